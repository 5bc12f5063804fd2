package api

import (
	"errors"
	"net/http"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// listSecrets lists the named secrets.
//
//	@Summary		List the named secrets
//	@Description	Sorted by name. No answer has a value, only its digest.
//	@Tags			target
//	@ID				list-secrets
//	@Success		200	{object}	serverapi.Secrets	"The secrets"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/secrets/ [get]
func (h *handlers) listSecrets(c echo.Context) error {
	secrets, err := h.fleet.Secrets(c.Request().Context())
	if err != nil {
		return err
	}
	list := serverapi.Secrets{Secrets: []serverapi.Secret{}}
	for _, secret := range secrets {
		list.Secrets = append(list.Secrets, wire.Secret(secret))
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return answerJSON(c, list)
}

// putSecret makes or replaces a named secret.
//
//	@Summary		Set a named secret
//	@Description	Layers refer to the secret with {"$secret":"NAME"} in the place of a value that the confdb-schema marks as
//	@Description	secret. The server checks the value in every layer that does. Nobody can read the value again. With dry-run
//	@Description	it changes nothing, and answers what would change.
//	@Tags			target
//	@ID				put-secret
//	@Param			name			path		string					true	"The secret's name: letters, digits, and ._- between them"
//	@Param			If-Match		header		string					false	"Change the secret only if it has this ETag"
//	@Param			If-None-Match	header		string					false	"*: only if there is no secret of this name"
//	@Param			dry-run			query		bool					false	"Change nothing, and answer what would change"
//	@Param			body			body		serverapi.SecretRequest	true	"The value"
//	@Success		200				{object}	serverapi.SecretSet		"What is stored, without the value; after a dry run a DryRun"
//	@Failure		401				{object}	serverapi.Problem		"An operator's token is needed"
//	@Failure		403				{object}	serverapi.Problem		"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		412				{object}	serverapi.Problem		"The secret has another revision than If-Match names"
//	@Failure		413				{object}	serverapi.Problem		"The body is too large"
//	@Failure		415				{object}	serverapi.Problem		"The body is not of type JSON"
//	@Failure		422				{object}	serverapi.Problem		"The body is invalid, or the confdb-schema refuses the value in a layer"
//	@Failure		503				{object}	serverapi.Problem		"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/secrets/{name}/ [put]
func (h *handlers) putSecret(c echo.Context) error {
	change := fleet.SecretChange{Secret: fleet.Secret{Name: c.Param("name")}}
	err := h.decode(c, field{name: "value", read: func(value jsontext.Value) string {
		var err error
		if change.Value, err = fleet.SecretValue(value); err != nil {
			return "cannot be taken: " + err.Error()
		}
		return ""
	}})
	var refused *problem
	if errors.As(err, &refused) && refused.Errors != nil {
		return fieldProblem(serverapi.FieldProblem{Field: wholeBody, Message: "must be a JSON object with one member, value, " +
			"and no name twice; more is not said, because it might quote the secret"})
	}
	if err != nil {
		return err
	}
	return h.answerSecret(c, change)
}

// deleteSecret removes a named secret.
//
//	@Summary	Remove a named secret
//	@Tags		target
//	@ID			delete-secret
//	@Param		name		path	string	true	"The secret's name"
//	@Param		If-Match	header	string	false	"Remove the secret only if it has this ETag"
//	@Success	204			"The secret is removed"
//	@Failure	401			{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure	403			{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure	404			{object}	serverapi.Problem	"There is no such secret"
//	@Failure	409			{object}	serverapi.Problem	"Layers refer to the secret; the detail names them"
//	@Failure	412			{object}	serverapi.Problem	"The secret has another revision than If-Match names"
//	@Failure	422			{object}	serverapi.Problem	"Not a name of a secret"
//	@Failure	503			{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router		/secrets/{name}/ [delete]
func (h *handlers) deleteSecret(c echo.Context) error {
	return h.answerSecret(c, fleet.SecretChange{Secret: fleet.Secret{Name: c.Param("name")}, Remove: true})
}

// answerSecret makes a change under the conditions of the request, or finds out what it would do, and answers.
func (h *handlers) answerSecret(c echo.Context, change fleet.SecretChange) error {
	q := query{c: c}
	dry := q.flag("dry-run")
	if err := q.done(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	change.By = author(c)
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	for {
		var err error
		change.Match, err = matching(c, "secret", func() (int64, error) { return h.fleet.SecretRevision(ctx, change.Name) })
		if err != nil {
			return err
		}
		if dry != nil && *dry {
			preview, err := h.fleet.DryRunSecret(ctx, change, mostPreviewed)
			if err != nil {
				return err
			}
			return answerJSON(c, dryRun(preview))
		}
		secret, devices, err := h.fleet.SetSecret(ctx, change)
		switch {
		case errors.Is(err, fleet.ErrStale):
			continue // another change was first: check again
		case err != nil:
			return err
		case change.Remove:
			return c.NoContent(http.StatusNoContent)
		}
		setTag(c, secret.Revision)
		return answerJSON(c, wire.SecretSet(secret, devices))
	}
}
