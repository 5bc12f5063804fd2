package serverapi

// Signed is a statement of an operator on the targets of a fleet, with its signature. Package signed has what is in it.
type Signed struct {
	Statement string `json:"statement"` // the text that is signed: a JSON object
	Signature string `json:"signature"` // as ssh-keygen -Y sign writes it
}

// Evidence is what a device needs to see that an operator has signed its target.
type Evidence struct {
	Signed
	Index   int64         `json:"index"`             // of the device's leaf in the tree of the statement
	Targets []string      `json:"targets"`           // digests of the targets that the device may have: its leaf
	Proof   []string      `json:"proof"`             // hashes, from the leaf to the root
	Secrets []SecretPlace `json:"secrets,omitempty"` // of the target
	Former  []Signed      `json:"former,omitempty"`  // earlier statements that changed the keys, the oldest first
}

// A SecretPlace is where a target has a secret.
type SecretPlace struct {
	Path []string `json:"path" example:"control-tunnel,secret-key"` // names, from the view on
	Salt string   `json:"salt"`                                     // with which the operator's digest of the secret is made
}
