package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// largestSignature is the largest body with a statement, in bytes. It is larger than signed.MaxManifest, because the
// manifest is longer in JSON.
const largestSignature = 16 << 20

// getSignature shows the last statement of an operator.
//
//	@Summary		Show what an operator has signed
//	@Description	The last statement on the targets of all devices, with its signature; with manifest=true also what it is
//	@Description	about: layers, devices and labels, and the earlier statements that changed the keys. Only an admin gets the salts of
//	@Description	the digests of secrets: with them somebody could find a short secret by trying.
//	@Tags			target
//	@ID				get-signature
//	@Param			manifest	query		bool				false	"With the manifest"
//	@Success		200			{object}	serverapi.Signature	"The statement"
//	@Failure		401			{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		404			{object}	serverapi.Problem	"Nothing is signed in this fleet"
//	@Failure		422			{object}	serverapi.Problem	"A parameter is not as it must be"
//	@Router			/signature/ [get]
func (h *handlers) getSignature(c echo.Context) error {
	q := query{c: c}
	whole := q.flag("manifest")
	if err := q.done(); err != nil {
		return err
	}
	book, stored, err := h.fleet.Book()
	if err != nil {
		return signatureProblem(err)
	}
	answer := wire.Signature(book, stored)
	if whole != nil && *whole {
		if answer.Manifest, err = book.Manifest.Text(); err != nil {
			return err
		}
		answer.Former = book.Former()
		if access.From(c.Request().Context()).May(access.Administer) {
			if err := h.recordRead(c, "signature/salts"); err != nil {
				return err
			}
			answer.Salts = book.Salts()
		}
	}
	return answerJSON(c, answer)
}

// putSignature stores a statement of an operator.
//
//	@Summary		Store what an operator has signed
//	@Description	The statement has to follow the last one, and one of the keys that the last one allows must have signed it; the
//	@Description	first statement brings its keys, and only an admin may store it, or one that changes the keys. From the first one on
//	@Description	the server offers a device only a target that the last statement has for it. The body may have 16 MiB. aspects-poc fleet sign makes statement and manifest.
//	@Tags			target
//	@ID				put-signature
//	@Param			body	body		serverapi.SignatureRequest	true	"Statement, signature and manifest"
//	@Success		200		{object}	serverapi.Signature			"What is stored, without the manifest"
//	@Failure		401		{object}	serverapi.Problem			"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem			"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		412		{object}	serverapi.Problem			"Somebody else has signed meanwhile"
//	@Failure		413		{object}	serverapi.Problem			"The body is too large"
//	@Failure		415		{object}	serverapi.Problem			"The body is not of type JSON"
//	@Failure		422		{object}	serverapi.Problem			"The body is invalid, or the statement cannot be taken; the detail says why"
//	@Failure		503		{object}	serverapi.Problem			"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/signature/ [put]
func (h *handlers) putSignature(c echo.Context) error {
	if _, err := h.readUpTo(c, largestSignature); err != nil {
		return err
	}
	var statement signed.Signed
	var manifest string
	var salts map[string]string
	err := h.decode(c, field{name: "statement", read: long(&statement.Statement)}, field{name: "signature", read: long(&statement.Signature)},
		field{name: "manifest", read: long(&manifest)},
		field{name: "salts", optional: true, read: texts(&salts)})
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	book, stored, err := h.fleet.Sign(ctx, statement, manifest, salts, author(c), access.From(ctx).Lacks(access.Administer))
	if err != nil {
		return signatureProblem(err)
	}
	return answerJSON(c, wire.Signature(book, stored))
}

// deleteSignature removes all statements.
//
//	@Summary		Sign no more
//	@Description	Removes all statements: the server then offers every target. Devices that have operators' keys go on refusing
//	@Description	what is not signed.
//	@Tags			target
//	@ID				delete-signature
//	@Success		204	"The statements are removed"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403	{object}	serverapi.Problem	"The role or the scope of the token does not permit it; or a browser sent the request for another site's page"
//	@Failure		404	{object}	serverapi.Problem	"Nothing is signed in this fleet"
//	@Failure		412	{object}	serverapi.Problem	"Somebody else has signed meanwhile"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot write to its store; Retry-After says when to try again"
//	@Router			/signature/ [delete]
func (h *handlers) deleteSignature(c echo.Context) error {
	if err := h.fleet.Unsign(c.Request().Context(), author(c)); err != nil {
		return signatureProblem(err)
	}
	return c.NoContent(http.StatusNoContent)
}

func signatureProblem(err error) error {
	switch {
	case errors.Is(err, fleet.ErrNotSigned):
		return newProblem(http.StatusNotFound, "Nothing is signed in this fleet")
	case errors.Is(err, fleet.ErrBadSignature):
		return fieldProblem(serverapi.FieldProblem{Field: "statement", Message: err.Error()})
	case errors.Is(err, fleet.ErrStale):
		refused := newProblem(http.StatusPreconditionFailed, "Somebody else has signed meanwhile: look at it, and sign again")
		refused.Type = serverapi.ProblemStale
		return refused
	}
	return err
}

// long parses a text of any length.
func long(target *string) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != '"' {
			return "must be a text, not " + kindOf(value)
		}
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return "cannot be read"
		}
		*target = string(text)
		return ""
	}
}

// texts parses an object of texts.
func texts(target *map[string]string) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if json.Unmarshal(value, target) != nil {
			return "must be an object of texts"
		}
		return ""
	}
}
