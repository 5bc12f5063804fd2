package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

func (p *Page) secretRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/page/secrets/", Right: access.Read, Handle: p.onlyWith("done", p.secrets)},
		{Method: http.MethodPost, Path: "/page/secrets/", Right: mayRule, Act: "set secrets", Handle: p.onlyWith("", p.setSecret)},
		{Method: http.MethodGet, Path: "/page/secrets/:name/remove/", Right: access.Read, Handle: p.onlyWith("", p.askForget)},
		{Method: http.MethodPost, Path: "/page/secrets/:name/remove/", Right: mayRule, Act: "remove secrets/:name", Handle: p.onlyWith("", p.forget)},
	}
}

// A secretsPage lists the named secrets, and has a form that sets one. No page shows a value, not even the form in
// which it was typed.
type secretsPage struct {
	common
	Secrets []fleet.ShownSecret
	Name    string // as typed
	Problem string
	May     bool
}

func (p *Page) secrets(c echo.Context) error { return p.listSecrets(c, http.StatusOK, "", "") }

func (p *Page) listSecrets(c echo.Context, status int, name, problem string) error {
	list, err := p.fleet.Secrets(c.Request().Context())
	if err != nil {
		return err
	}
	return render(c, status, "secrets", secretsPage{common: p.common(c, "Secrets", "secrets"), Secrets: list, Name: name, Problem: problem,
		May: may(c, mayRule)})
}

// setSecret sets a named secret to a text.
func (p *Page) setSecret(c echo.Context) error {
	sent, err := formOf(c)
	if err != nil {
		return err
	}
	name, value := sent.word("name"), sent.text("value")
	if value == "" {
		return p.listSecrets(c, http.StatusUnprocessableEntity, name, "The value is empty.")
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	change := fleet.SecretChange{Secret: fleet.Secret{Name: name, Authorship: fleet.Authorship{By: author(c)}}}
	if change.Value, err = fleet.SecretValue(encoded); err != nil {
		return p.listSecrets(c, http.StatusUnprocessableEntity, name, "The value cannot be taken; more is not said, because it might quote it.")
	}
	if err := p.changeSecret(c, change); err != nil {
		return explain(c, err, func(status int, problem string) error { return p.listSecrets(c, status, name, problem) })
	}
	return seeOther(c, "?done=secret")
}

// changeSecret makes a change, and repeats it if a layer that refers to the secret has changed meanwhile.
func (p *Page) changeSecret(c echo.Context, change fleet.SecretChange) error {
	for {
		_, _, err := p.fleet.SetSecret(c.Request().Context(), change)
		if !errors.Is(err, fleet.ErrStale) {
			return err
		}
	}
}

func (p *Page) forgetting(c echo.Context) confirmation {
	data := confirmation{common: p.common(c, "Remove a secret", "secrets"), Button: "Remove the secret", Danger: true, Back: "../../",
		Says: []string{fmt.Sprintf("The secret %s is removed. Nothing keeps its value: it cannot be restored.", c.Param("name"))}}
	if !may(c, mayRule) {
		data.Refused = notAllowed
	}
	return data
}

func (p *Page) askForget(c echo.Context) error { return p.confirm(c, http.StatusOK, p.forgetting(c)) }

func (p *Page) forget(c echo.Context) error {
	err := p.changeSecret(c, fleet.SecretChange{Secret: fleet.Secret{Name: c.Param("name"),
		Authorship: fleet.Authorship{By: author(c)}}, Remove: true})
	if err != nil && !errors.Is(err, fleet.ErrUnknownSecret) {
		return p.refused(c, err, p.forgetting(c))
	}
	return seeOther(c, "../../?done=forget")
}
