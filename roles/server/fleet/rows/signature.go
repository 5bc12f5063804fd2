package rows

import "aspects-poc/roles/server/fleet"

const (
	// SignatureColumns are the columns of a Signature.
	SignatureColumns = "number, statement, signature, manifest, revision, author, at, salts"
	// LastSigned selects Targets.Signed.
	LastSigned = "SELECT coalesce((SELECT revision FROM signatures ORDER BY number DESC LIMIT 1), 0)"
)

// A Signature is a row of SignatureColumns.
type Signature struct {
	number, revision, at int64
	statement, signature string
	manifest             *string
	author               Text
	salts                []byte
}

// Into returns what the columns are scanned into.
func (r *Signature) Into() []any {
	return []any{&r.number, &r.statement, &r.signature, &r.manifest, &r.revision, &r.author, &r.at, &r.salts}
}

// Signature returns the signature.
func (r *Signature) Signature() (fleet.Signature, error) {
	signature := fleet.Signature{Number: r.number, Statement: r.statement, Signature: r.signature, Revision: r.revision,
		Authorship: fleet.Authorship{By: string(r.author), At: Time(r.at)}}
	if r.manifest != nil {
		signature.Manifest = *r.manifest
	}
	var err error
	if r.salts != nil {
		signature.Salts, err = configOf("the salts of a statement", r.salts)
	}
	return signature, err
}

// SignatureValues returns the values for SignatureColumns.
func SignatureValues(s fleet.Signature) []any {
	var salts []byte
	if !s.Salts.Equal(fleet.Config{}) {
		salts = []byte(s.Salts.String())
	}
	return []any{s.Number, s.Statement, s.Signature, NullIfEmpty(s.Manifest), s.Revision, Text(s.By), Seconds(s.At), salts}
}
