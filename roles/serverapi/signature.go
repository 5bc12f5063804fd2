package serverapi

// Signed is a statement of an operator on the targets of a fleet, with its signature. Package signed describes the
// statement.
type Signed struct {
	Statement string `json:"statement"` // the text that is signed: a JSON object
	Signature string `json:"signature"` // as ssh-keygen -Y sign writes it
}

// SignatureRequest is the body of PUT /signature/.
type SignatureRequest struct {
	Signed
	Manifest string `json:"manifest"` // what the statement is about: a JSON object
	// Salts are the salts of the manifest's digests of secrets, by the secrets' names. Salts that the server has may be
	// missing.
	Salts map[string]string `json:"salts,omitempty"`
}

// Signature is the answer to GET and PUT /signature/: the last statement of an operator on the targets of all devices.
type Signature struct {
	Number   int64  `json:"number" example:"3"`
	Fleet    string `json:"fleet"`                         // the name of the fleet that the operator has made
	By       string `json:"by" example:"anna@example.com"` // the name of the key that signed it
	At       int64  `json:"at" example:"1732480000"`       // by the operator's clock
	Devices  int64  `json:"devices"`                       // that it names
	Revision int64  `json:"revision" example:"9"`          // under which the server stored it
	SetBy    string `json:"set-by,omitempty"`              // the operator's token
	SetAt    int64  `json:"set-at,omitempty" example:"1732480000"`
	Signed
	// Only with manifest=true:
	Manifest string   `json:"manifest,omitempty"`
	Former   []Signed `json:"former,omitempty"` // earlier statements that changed the keys, the oldest first
	// Salts are the salts of the manifest's digests of secrets, by the secrets' names. Only an admin gets them.
	Salts map[string]string `json:"salts,omitempty"`
}

// Evidence proves to a device that an operator has signed its target.
type Evidence struct {
	Signed
	Index   int64         `json:"index"`             // of the device's leaf in the tree of the statement
	Targets []string      `json:"targets"`           // digests of the targets that the device may have: its leaf
	Proof   []string      `json:"proof"`             // hashes, from the leaf to the root
	Secrets []SecretPlace `json:"secrets,omitempty"` // of the target
	Former  []Signed      `json:"former,omitempty"`  // earlier statements that changed the keys, the oldest first
}

// A SecretPlace is the place of a secret in a target.
type SecretPlace struct {
	Path []string `json:"path" example:"control-tunnel,secret-key"` // names, from the view on
	Salt string   `json:"salt"`                                     // with which the operator's digest of the secret is made
}
