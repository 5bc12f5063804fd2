package access

import (
	"time"

	"aspects-poc/roles/serverapi"
)

// State returns the state of a token at a time: valid, revoked, expired or used-up.
func (t Token) State(now time.Time) string {
	switch {
	case t.Valid(now):
		return "valid"
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return "expired"
	}
	return "used-up"
}

// Shape returns the token in the form of the API and the commands, without the secret text.
func (t Token) Shape(now time.Time) serverapi.Token {
	unix := func(at time.Time) int64 {
		if at.IsZero() {
			return 0
		}
		return at.Unix()
	}
	return serverapi.Token{
		Name: t.Name, Purpose: string(t.Purpose), State: t.State(now), Role: string(t.Role), Scope: t.Scope, Proxy: t.Proxy,
		Created: unix(t.Created), Expires: unix(t.Expires), Revoked: unix(t.Revoked), LastUsed: unix(t.LastUsed),
		Uses: t.Limit, Used: t.Used, Labels: t.Labels,
	}
}

// Make returns the token that a request asks for, and its secret text for the holder. It does not check the words of
// labels. It returns an error for a combination that makes no sense.
func Make(asked serverapi.TokenRequest, now time.Time) (token Token, text string, err error) {
	now = now.UTC().Truncate(time.Second)
	token = Token{Name: asked.Name, Purpose: Purpose(asked.Purpose), Role: Role(asked.Role), Scope: asked.Scope, Proxy: asked.Proxy,
		Labels: asked.Labels, Limit: asked.Uses, Created: now}
	if token.Purpose == "" {
		token.Purpose = Operate
	}
	if token.Purpose == Operate && token.Role == "" {
		token.Role = RoleAdmin
	}
	if asked.Expires != 0 {
		token.Expires = now.Add(time.Duration(asked.Expires) * time.Second)
	}
	if err := token.Check(); err != nil {
		return Token{}, "", err
	}
	text, token.Digest = NewToken(token.Purpose)
	return token, text, nil
}

// Details describes in a few words what the token is for. The audit log has this text.
func (t Token) Details() string {
	text := "role " + string(t.Role)
	if t.Purpose == Enrol {
		text = "enrolment"
	}
	if len(t.Scope) > 0 {
		text += ", scope " + t.Scope.String()
	}
	if len(t.Labels) > 0 {
		text += ", labels " + Scope(t.Labels).String()
	}
	if t.Proxy {
		text += ", names the person"
	}
	if !t.Expires.IsZero() {
		text += ", until " + t.Expires.UTC().Format(time.RFC3339)
	}
	return text
}
