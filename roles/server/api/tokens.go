package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// whoami shows the caller.
//
//	@Summary		Show who the caller is
//	@Description	The name, role and scope of the caller's token, and the person if a proxy names one.
//	@Tags			access
//	@ID				whoami
//	@Success		200	{object}	serverapi.Self		"The caller"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/whoami/ [get]
func (h *handlers) whoami(c echo.Context) error {
	caller := access.From(c.Request().Context())
	self := serverapi.Self{Kind: string(audit.Operator), Name: caller.Name, Person: caller.Person, Role: string(caller.Role), Scope: caller.Scope}
	if caller.Kind != access.Operator {
		self.Kind, self.Role = string(audit.Loopback), string(access.RoleAdmin)
	}
	if !caller.Expires.IsZero() {
		self.Expires = caller.Expires.Unix()
	}
	return answerJSON(c, self)
}

// listTokens lists tokens.
//
//	@Summary		List tokens
//	@Description	All tokens in the order of their creation, revoked ones too, without the tokens themselves.
//	@Tags			access
//	@ID				list-tokens
//	@Success		200	{object}	serverapi.Tokens	"The tokens"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403	{object}	serverapi.Problem	"The token is no admin's"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/tokens/ [get]
func (h *handlers) listTokens(c echo.Context) error {
	list, err := h.tokens.Tokens(c.Request().Context())
	if err != nil {
		return err
	}
	answer := serverapi.Tokens{Tokens: []serverapi.Token{}}
	for _, token := range list {
		answer.Tokens = append(answer.Tokens, token.Shape(h.now()))
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return answerJSON(c, answer)
}

// createToken makes a token.
//
//	@Summary		Make a token
//	@Description	Makes a token for an operator, or with the purpose enrol for devices that register. Only this answer has the
//	@Description	token: the server stores a hash of it. A name is never used again. An operator's token has the role admin
//	@Description	unless the body names another; with proxy its holder is a proxy, which names the person in a header. The
//	@Description	answer for an enrolment token says which devices may register: where enrolment is open, the server ignores it.
//	@Tags			access
//	@ID				create-token
//	@Param			body	body		serverapi.TokenRequest	true	"The token"
//	@Success		200		{object}	serverapi.Token			"The token"
//	@Failure		401		{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem		"The token is no admin's; or a browser sent the request for another site's page"
//	@Failure		409		{object}	serverapi.Problem		"There is a token of this name, or was one"
//	@Failure		413		{object}	serverapi.Problem		"The body is too large"
//	@Failure		415		{object}	serverapi.Problem		"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem		"The body is invalid; errors has the fields"
//	@Failure		503		{object}	serverapi.Problem		"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/tokens/ [post]
func (h *handlers) createToken(c echo.Context) error {
	var asked serverapi.TokenRequest
	err := h.decode(c,
		field{name: "name", read: text(&asked.Name, 300)},
		field{name: "purpose", read: oneOf(&asked.Purpose, string(access.Operate), string(access.Enrol)), optional: true},
		field{name: "role", read: oneOf(&asked.Role, roleNames()...), optional: true},
		field{name: "scope", read: givenLabels(&asked.Scope), optional: true},
		field{name: "proxy", read: boolean(&asked.Proxy), optional: true},
		field{name: "labels", read: givenLabels(&asked.Labels), optional: true},
		field{name: "uses", read: integer(&asked.Uses, 0), optional: true},
		field{name: "expires-in", read: integer(&asked.Expires, 0), optional: true},
	)
	if err != nil {
		return err
	}
	if asked.Expires > mostExpires {
		return fieldProblem(serverapi.FieldProblem{Field: "expires-in", Message: fmt.Sprintf("must be %d seconds at most, or 0 for never", mostExpires)})
	}
	token, secret, err := access.Make(asked, h.now())
	if err != nil {
		return fieldProblem(serverapi.FieldProblem{Field: wholeBody, Message: "makes no token: " + err.Error()})
	}
	audit.From(c.Request().Context()).Amend(func(r *audit.Record) { r.Thing, r.Details = "tokens/"+token.Name, token.Details() })
	if err := h.tokens.AddToken(c.Request().Context(), token); err != nil {
		return err
	}
	shape := token.Shape(h.now())
	shape.Token = secret
	if token.Purpose == access.Enrol && h.gate != nil {
		shape.Enrolment = string(h.gate.Enrolment())
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return answerJSON(c, shape)
}

// mostExpires is the longest validity of a token, in seconds: a hundred years.
const mostExpires = 100 * 365 * 24 * 3600

// revokeToken revokes a token.
//
//	@Summary		Revoke a token
//	@Description	The server refuses the token from the next request on. Devices that registered with an enrolment token stay
//	@Description	registered. The last admin's token that is valid cannot be revoked here, only on the server's machine.
//	@Tags			access
//	@ID				revoke-token
//	@Param			name	path	string	true	"The token's name"
//	@Success		204		"The token is revoked"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem	"The token is no admin's; or a browser sent the request for another site's page"
//	@Failure		404		{object}	serverapi.Problem	"There is no such token"
//	@Failure		409		{object}	serverapi.Problem	"No other admin's token would be valid"
//	@Failure		422		{object}	serverapi.Problem	"A parameter is invalid"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/tokens/{name}/ [delete]
func (h *handlers) revokeToken(c echo.Context) error {
	if err := h.tokens.RevokeToken(c.Request().Context(), c.Param("name"), h.now().UTC(), true); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func roleNames() (names []string) {
	for _, role := range access.Roles() {
		names = append(names, string(role))
	}
	return names
}

// oneOf parses a text that is one of several.
func oneOf(target *string, known ...string) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if complaint := text(target, 100)(value); complaint != "" {
			return complaint
		}
		if !slices.Contains(known, *target) {
			return fmt.Sprintf("must be one of %v, not %q", known, clip(*target))
		}
		return ""
	}
}

// givenLabels parses labels that an operator gives to devices.
func givenLabels(target *map[string]string) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		var given fleet.Labels
		if complaint := labels(&given)(value); complaint != "" {
			return complaint
		}
		if name, err := given.CheckGiven(); err != nil {
			return fmt.Sprintf("cannot be taken: %s: %s", clip(name), err)
		}
		*target = given
		return ""
	}
}

// tokenProblem returns the answer to an error of tokens; nil for another error.
func tokenProblem(err error) *problem {
	switch {
	case errors.Is(err, access.ErrTokenExists):
		return newProblem(http.StatusConflict, "There is a token of this name, or was one; choose another name")
	case errors.Is(err, access.ErrUnknownToken):
		return newProblem(http.StatusNotFound, "There is no such token")
	case errors.Is(err, access.ErrLastAdmin):
		return newProblem(http.StatusConflict, "No other admin's token would be valid: make another first, or revoke this one on the server's "+
			"machine with: aspects-poc server token revoke NAME")
	}
	return nil
}
