package rows

import "aspects-poc/roles/server/fleet"

const (
	// SignatureColumns are those of a Signature.
	SignatureColumns = "number, statement, signature, manifest, revision, author, at"
	// LastSigned selects Targets.Signed.
	LastSigned = "SELECT coalesce((SELECT revision FROM signatures ORDER BY number DESC LIMIT 1), 0)"
)

// A Signature is a row of SignatureColumns.
type Signature struct {
	number, revision, at int64
	statement, signature string
	manifest             *string
	author               Text
}

// Into returns what the columns are scanned into.
func (r *Signature) Into() []any {
	return []any{&r.number, &r.statement, &r.signature, &r.manifest, &r.revision, &r.author, &r.at}
}

// Signature returns the signature.
func (r *Signature) Signature() fleet.Signature {
	signature := fleet.Signature{Number: r.number, Statement: r.statement, Signature: r.signature, Revision: r.revision,
		Authorship: fleet.Authorship{By: string(r.author), At: Time(r.at)}}
	if r.manifest != nil {
		signature.Manifest = *r.manifest
	}
	return signature
}

// SignatureValues are those of SignatureColumns.
func SignatureValues(s fleet.Signature) []any {
	return []any{s.Number, s.Statement, s.Signature, NullIfEmpty(s.Manifest), s.Revision, Text(s.By), Seconds(s.At)}
}
