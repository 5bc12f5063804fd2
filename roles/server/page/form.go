package page

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/audit"

	"github.com/labstack/echo/v4"
)

// mostForm is the largest form that the page reads, in bytes. A browser may write three bytes for one.
const mostForm = 3 << 20

// Forms have a field "act" with the button's value.
const (
	actCheck = "check" // say what would happen
	actPlan  = "plan"  // as actCheck, beside the form
	actSet   = "set"   // do it
)

// A form has the fields of a request.
type form struct{ values url.Values }

// formOf parses the form of a request.
func formOf(c echo.Context) (form, error) {
	request := c.Request()
	request.Body = http.MaxBytesReader(c.Response(), request.Body, mostForm)
	if err := request.ParseForm(); err != nil {
		var exceeded *http.MaxBytesError
		if errors.As(err, &exceeded) {
			return form{}, echo.ErrStatusRequestEntityTooLarge
		}
		return form{}, echo.ErrBadRequest
	}
	for name, values := range request.PostForm {
		if len(values) != 1 || !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return form{}, echo.ErrBadRequest
		}
	}
	if act := request.PostForm.Get("act"); act != "" && act != actSet { // it is a question
		audit.From(request.Context()).Drop()
	}
	return form{request.PostForm}, nil
}

// text returns a field with line feeds as line breaks, because browsers send CR LF. It is "" without the field.
func (f form) text(name string) string { return strings.ReplaceAll(f.values.Get(name), "\r\n", "\n") }

// word returns text without white space around it.
func (f form) word(name string) string { return strings.TrimSpace(f.text(name)) }

// number returns a field that the page itself has filled in; -1 if it is no number.
func (f form) number(name string) int64 {
	var n int64
	if _, err := fmt.Sscanf(f.word(name), "%d", &n); err != nil || n < 0 {
		return -1
	}
	return n
}

// A hidden is a field that a confirmation sends on to the act.
type hidden struct{ Name, Value string }

// A confirmation is a page that asks before an act.
type confirmation struct {
	common
	Says    []string // what will happen
	Plan    *plan    // nil for none
	Kept    []hidden
	Button  string
	Danger  bool
	Back    string // URL of the previous page
	Edit    bool   // there is a form to go back to, with the typed values
	Problem string
	Refused string // why the caller may not act; "" if the caller may
}

// confirm answers with a confirmation. status is not 200 if it has a Problem.
func (p *Page) confirm(c echo.Context, status int, data confirmation) error {
	return render(c, status, "confirm", data)
}

// refusalOf returns the text of an error for a page, in the words of the API. An error that is no answer to the
// caller's wish is the application's: refusalOf returns it as other.
func refusalOf(c echo.Context, err error) (text string, status int, other error) {
	answer := api.Explain(err)
	audit.From(c.Request().Context()).Refuse(api.Reason(err))
	if answer.Status >= http.StatusInternalServerError {
		return "", 0, err
	}
	return answer.Detail, answer.Status, nil
}

// explain calls show with the reason of a refusal, in the words of the API. An error that is no answer to the caller's
// wish is the application's: explain returns it.
func explain(c echo.Context, err error, show func(status int, problem string) error) error {
	problem, status, other := refusalOf(c, err)
	if other != nil {
		return other
	}
	return show(status, problem)
}

// refused shows a confirmation again, with the reason why the server refuses the act.
func (p *Page) refused(c echo.Context, err error, data confirmation) error {
	return explain(c, err, func(status int, problem string) error {
		data.Problem = problem
		return p.confirm(c, status, data)
	})
}

// seeOther redirects the browser to another page after an act, so that a reload does not repeat the act.
func seeOther(c echo.Context, to string) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.Redirect(http.StatusSeeOther, to)
}

// rootOf returns the relative URL of the server's root.
func rootOf(c echo.Context) string {
	return strings.Repeat("../", max(0, strings.Count(c.Request().URL.EscapedPath(), "/")-1))
}

// done has the messages after an act, by the value of the parameter "done".
var done = map[string]string{
	"approve": "The device is approved.",
	"revoke":  "The device is revoked.",
	"alone":   "The mark of two machines is removed.",
	"labels":  "The labels are set.",
	"name":    "The name is set.",
	"set":     "The layer is set.",
	"remove":  "The layer is removed.",
	"restore": "The revision is restored.",
	"begin":   "The release has begun.",
	"go":      "The release goes on.",
	"halt":    "The release is halted.",
	"undo":    "The release is undone.",
	"secret":  "The secret is set.",
	"forget":  "The secret is removed.",
}

// said returns the message of the act that has led to this page.
func said(c echo.Context) string { return done[c.QueryParam("done")] }

// capital returns an error's text as a sentence.
func capital(text string) string {
	text = api.Capital(text)
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
