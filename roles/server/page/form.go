package page

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/audit"

	"github.com/labstack/echo/v4"
)

// mostForm is the size of the largest form that the page reads, in bytes. A browser may write three bytes for one.
const mostForm = 3 << 20

// Forms have a field "act" with the button's value.
const (
	actCheck = "check" // say what would happen
	actPlan  = "plan"  // as actCheck, beside the form
	actSet   = "set"   // do it
)

// A form has the fields of a request.
type form struct{ values url.Values }

// formOf reads the form of a request.
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

// text returns a field with one kind of line break: browsers send another one. It is "" if there is no such field.
func (f form) text(name string) string { return strings.ReplaceAll(f.values.Get(name), "\r\n", "\n") }

// word is text without white space around it.
func (f form) word(name string) string { return strings.TrimSpace(f.text(name)) }

// number returns a field that the page itself has filled in; -1 if it is none.
func (f form) number(name string) int64 {
	var n int64
	if _, err := fmt.Sscanf(f.word(name), "%d", &n); err != nil || n < 0 {
		return -1
	}
	return n
}

// A hidden is a field that a confirmation keeps for the act.
type hidden struct{ Name, Value string }

// A confirmation asks before something is done.
type confirmation struct {
	common
	Says    []string // what will happen
	Plan    *plan    // nil for none
	Kept    []hidden
	Button  string
	Danger  bool
	Back    string // URL of the page that the reader comes from
	Edit    bool   // there is a form to go back to, with what was typed
	Problem string
	Refused string // why the caller may not do it; "" if the caller may
}

// confirm answers with a confirmation. Status is not 200 if it has a Problem.
func (p *Page) confirm(c echo.Context, status int, data confirmation) error {
	return render(c, status, "confirm", data)
}

// refusalOf returns what a page says of an error, in the words of the API. An error that is no answer to what the caller wants
// is the application's: then it is returned as the second value.
func refusalOf(c echo.Context, err error) (text string, status int, other error) {
	answer := api.Explain(err)
	audit.From(c.Request().Context()).Refuse(api.Reason(err))
	if answer.Status >= http.StatusInternalServerError {
		return "", 0, err
	}
	return answer.Detail, answer.Status, nil
}

// explain has a page show why the server refuses something, in the words of the API. An error that is no answer to what the caller
// wants is the application's: then explain returns it.
func explain(c echo.Context, err error, show func(status int, problem string) error) error {
	problem, status, other := refusalOf(c, err)
	if other != nil {
		return other
	}
	return show(status, problem)
}

// refused shows a confirmation again, with why the server refuses the act.
func (p *Page) refused(c echo.Context, err error, data confirmation) error {
	return explain(c, err, func(status int, problem string) error {
		data.Problem = problem
		return p.confirm(c, status, data)
	})
}

// seeOther sends the browser to another page after an act, so that a reload does not repeat it.
func seeOther(c echo.Context, to string) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.Redirect(http.StatusSeeOther, to)
}

// rootOf returns the relative URL of the server's root.
func rootOf(c echo.Context) string {
	return strings.Repeat("../", max(0, strings.Count(c.Request().URL.EscapedPath(), "/")-1))
}

// done has what a page says after an act, by the value of its parameter "done".
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

// said returns what a page says after an act that has led to it.
func said(c echo.Context) string { return done[c.QueryParam("done")] }

// capital makes a sentence of an error.
func capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
