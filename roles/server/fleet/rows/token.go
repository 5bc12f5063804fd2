package rows

import (
	"fmt"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
)

// TokenColumns are the columns of a Token.
const TokenColumns = "name, purpose, digest, role, scope, created, expires, revoked, last_used, device_limit, used, labels, proxy"

// IsAdmin is the condition for admins' tokens that are valid at a time, the second argument.
const IsAdmin = "purpose = 'operate' AND role = 'admin' AND revoked = 0 AND (expires = 0 OR expires > $2)"

// A Token is a row of TokenColumns.
type Token struct {
	token                               access.Token
	purpose                             string
	digest                              []byte
	created, expires, revoked, lastUsed int64
	role, scope, labels                 string
}

// Into returns what the columns are scanned into.
func (r *Token) Into() []any {
	return []any{&r.token.Name, &r.purpose, &r.digest, &r.role, &r.scope, &r.created, &r.expires, &r.revoked, &r.lastUsed,
		&r.token.Limit, &r.token.Used, &r.labels, &r.token.Proxy}
}

// Token returns the token. It returns an error for a row that no store has written.
func (r *Token) Token() (access.Token, error) {
	token := r.token
	token.Purpose = access.Purpose(r.purpose)
	copy(token.Digest[:], r.digest)
	token.Created, token.Expires, token.Revoked, token.LastUsed = Time(r.created), Time(r.expires), Time(r.revoked), Time(r.lastUsed)
	labels, err := labelsOf(r.labels)
	if err != nil {
		return access.Token{}, fmt.Errorf("a token's %w", err)
	}
	token.Labels = labels
	scope, err := labelsOf(r.scope)
	if err != nil {
		return access.Token{}, fmt.Errorf("a token's scope: %w", err)
	}
	token.Role, token.Scope = access.Role(r.role), access.Scope(scope)
	return token, nil
}

// TokenValues returns the values for TokenColumns.
func TokenValues(token access.Token) []any {
	return []any{token.Name, string(token.Purpose), token.Digest[:], string(token.Role), fleet.Labels(token.Scope).String(), Seconds(token.Created),
		Seconds(token.Expires), Seconds(token.Revoked), Seconds(token.LastUsed), token.Limit, token.Used,
		fleet.Labels(token.Labels).String(), token.Proxy}
}
