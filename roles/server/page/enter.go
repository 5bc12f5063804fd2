package page

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
)

// enterPath is where a browser brings its operator's token.
const enterPath = "/page/enter/"

// AskForToken answers a request for a page by somebody whose token is missing, or no good any more: a reader is sent to
// the form, a script is told.
func (p *Page) AskForToken(c echo.Context) error {
	if !strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/html") {
		return echo.ErrUnauthorized
	}
	root := strings.Repeat("../", strings.Count(c.Request().URL.Path, "/")-1)
	return c.Redirect(http.StatusSeeOther, root+strings.TrimPrefix(enterPath, "/")+"?to="+url.QueryEscape(local(c.Request().RequestURI)))
}

func (p *Page) askForToken(c echo.Context) error {
	return p.form(c, http.StatusOK, c.QueryParam("to"), "")
}

func (p *Page) enter(c echo.Context) error {
	to := c.FormValue("to")
	err := p.options.Enter(c, strings.TrimSpace(c.FormValue("token")))
	if errors.Is(err, ErrToken) {
		return p.form(c, http.StatusUnauthorized, to, err.Error())
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "../.."+local(to))
}

func (p *Page) form(c echo.Context, status int, to, problem string) error {
	return render(c, status, "enter", struct {
		common
		To, Problem string
	}{common{Title: "Token", Root: "../../"}, local(to), problem})
}

// local returns a path of this server: where somebody comes from must not become a way to another host.
func local(to string) string {
	parsed, err := url.Parse(to)
	if err != nil || parsed.IsAbs() || parsed.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") ||
		strings.ContainsAny(to, "\\\r\n") {
		return "/"
	}
	return to
}
