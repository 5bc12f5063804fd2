// Package page renders the fleet page: an overview, the list of devices, one device with its target beside its report,
// layers, secrets and the history, and the forms that change them. Its main type is Page; Routes lists its addresses.
//
// Pages are HTML from templates. They work without scripts; a script refreshes an open page after changes. GET shows
// and asks, and only POST changes; after a change the browser is redirected to another page. The binary contains all
// files of the page: a browser loads nothing from other hosts. Package fleet decides the states and makes the changes,
// package roster filters and sorts the list, and package access checks who may read and change.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/params"
	"aspects-poc/roles/server/roster"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

//go:embed templates static
var files embed.FS

// Options are options of New. The zero value is ready for use.
type Options struct {
	Now func() time.Time // nil means time.Now
}

// A Page shows a fleet, and changes it for callers with the right.
//
// It has many methods because each address is one.
type Page struct {
	fleet  *fleet.Fleet
	roster *roster.Roster
	now    func() time.Time
	schema func() *schemaForm // returns nil without a confdb-schema
}

// New returns the page of a fleet.
func New(rules *fleet.Fleet, options Options) *Page {
	if options.Now == nil {
		options.Now = time.Now
	}
	// Most runs of the program serve no page.
	schema := sync.OnceValue(func() *schemaForm {
		made, err := newSchemaForm(rules.Schema())
		if err != nil {
			return nil // the fleet has made the schema
		}
		return made
	})
	return &Page{fleet: rules, roster: roster.New(rules), now: options.Now, schema: schema}
}

// Routes returns the routes of the page. Anyone may load its scripts and styles: they show nothing of the fleet.
func (p *Page) Routes() []api.Route {
	routes := []api.Route{
		{Method: http.MethodGet, Path: "/", Right: access.Read, Handle: p.home},
		{Method: http.MethodGet, Path: "/page/devices/", Right: access.Read, Handle: p.devices},
		{Method: http.MethodGet, Path: "/page/devices/:uuid/", Right: access.Read, Handle: p.onlyWith("done", p.ofDevice(p.device))},
		{Method: http.MethodGet, Path: "/page/devices/:uuid/chart/", Right: access.Read, Handle: p.onlyWith("kind", p.chart)},
		{Method: http.MethodGet, Path: "/page/devices/:uuid/labels/", Right: access.Read, Handle: p.onlyWith("", p.ofDevice(p.askLabels))},
		{Method: http.MethodPost, Path: "/page/devices/:uuid/labels/", Right: mayWrite, Act: "label devices/:uuid", Handle: p.onlyWith("", p.ofDevice(p.setLabels))},
		{Method: http.MethodGet, Path: "/page/devices/:uuid/name/", Right: access.Read, Handle: p.onlyWith("", p.ofDevice(p.askName))},
		{Method: http.MethodPost, Path: "/page/devices/:uuid/name/", Right: mayName, Act: "name devices/:uuid", Handle: p.onlyWith("", p.ofDevice(p.setName))},
		{Method: http.MethodGet, Path: "/page/history/", Right: access.Read, Handle: p.onlyWith("before done", p.history)},
		{Method: http.MethodGet, Path: "/page/history/:revision/restore/", Right: access.Read, Handle: p.onlyWith("", p.askRestore)},
		{Method: http.MethodPost, Path: "/page/history/:revision/restore/", Right: mayWrite, Act: "restore revisions/:revision", Handle: p.onlyWith("", p.restore)},
		{Method: http.MethodGet, Path: "/page/static/:hash/*", Right: access.Anyone, Handle: static},
	}
	return slices.Concat(routes, p.actRoutes(), p.layerRoutes(), p.releaseRoutes(), p.secretRoutes())
}

// common has the fields that every template needs.
type common struct {
	Title string
	Here  string // the current entry of the navigation
	Root  string // relative URL of the server's root, so that a proxy may serve it under any path
	Again int64  // milliseconds after which the script loads the page again even without an event, because silence depends on the time
	Who   string // the caller; "" if anybody may do everything
	Done  string // the message of the act that has led to this page; "" for none
}

func (p *Page) common(c echo.Context, title, here string) common {
	return common{Title: title, Here: here, Root: rootOf(c), Again: (p.fleet.PollInterval() / 2).Milliseconds(), Who: who(c), Done: said(c)}
}

// templates are the pages' templates, each inside the base. They are parsed for the first request, because most runs of
// the program serve no page.
var templates = sync.OnceValue(func() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/base.html", "templates/parts.html"))
	list := map[string]*template.Template{}
	for _, name := range []string{"overview", "devices", "device", "labels", "name", "layers", "layer", "edit", "releases", "release", "secrets", "history", "confirm", "problem"} {
		list[name] = template.Must(template.Must(base.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return list
})

var functions = template.FuncMap{
	"asset":     func(name string) string { return "page/static/" + version + "/" + name },
	"stateText": stateText,
	"iso":       func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
	"number":    number,
	"short":     func(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") },
}

// render answers with a page. It renders the whole page first, so that a failure can still be answered with an error.
func render(c echo.Context, status int, name string, data any) error {
	var body bytes.Buffer
	if err := templates()[name].ExecuteTemplate(&body, "base", data); err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "same-origin")
	header.Set(echo.HeaderCacheControl, "no-store")
	return c.HTML(status, visible(body.String()))
}

// problem answers with a page that says why there is nothing to show.
func (p *Page) problem(c echo.Context, root, detail string) error {
	return p.problemWith(c, http.StatusNotFound, root, detail, "", "")
}

// problemWith is problem with a status, and with the address that the reader probably means; "" for none.
func (p *Page) problemWith(c echo.Context, status int, root, detail, meantURL, meant string) error {
	title, known := map[int]string{http.StatusNotFound: "Not found", http.StatusUnprocessableEntity: "Not understood",
		http.StatusBadRequest: "Not understood", http.StatusUnauthorized: "A token is needed", http.StatusForbidden: "Not allowed",
		http.StatusServiceUnavailable: "Not possible now"}[status]
	if !known {
		title = http.StatusText(status)
	}
	head := p.common(c, title, "")
	head.Root = root
	return render(c, status, "problem", struct {
		common
		Detail, MeantURL, Meant string
		Still                   bool // the page is not loaded again
	}{head, detail, meantURL, meant, c.Request().Method == http.MethodPost || status != http.StatusNotFound && status != http.StatusUnprocessableEntity})
}

// onlyWith refuses requests with other parameters than the named ones. names are separated by spaces.
func (p *Page) onlyWith(names string, handle echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		_, wrong := params.Parse(c.Request().URL.RawQuery, strings.Fields(names))
		if wrong == nil {
			return handle(c)
		}
		here := *c.Request().URL
		here.Scheme, here.Host, here.RawQuery = c.Scheme(), c.Request().Host, ""
		return p.problemWith(c, http.StatusUnprocessableEntity, rootOf(c), sentence(wrong), ".", here.String())
	}
}

// sentence joins the problems of a query in one line.
func sentence(wrong []serverapi.FieldProblem) string {
	var texts []string
	for _, one := range wrong {
		texts = append(texts, one.Field+" "+one.Message)
	}
	return strings.Join(texts, "; ")
}

// version is a hash of the static files. It is part of their URLs, so that browsers can cache them forever.
var version = func() string {
	sum := sha256.New()
	err := fs.WalkDir(files, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		sum.Write([]byte(name))
		sum.Write(content)
		return err
	})
	if err != nil {
		panic(err) // the files are in the binary
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}()

// static serves scripts and styles.
func static(c echo.Context) error {
	name := c.Param("*")
	if !fs.ValidPath(name) || c.Param("hash") != version {
		return echo.ErrNotFound
	}
	content, err := files.ReadFile(path.Join("static", name))
	if err != nil {
		return echo.ErrNotFound
	}
	kind, ok := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}[path.Ext(name)]
	if !ok {
		kind = "text/plain; charset=utf-8"
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	return c.Blob(http.StatusOK, kind, content)
}

// stateText returns a state in the page's words.
func stateText(state string) string {
	switch state {
	case "":
		return "all"
	case fleet.StateInSync.String():
		return "✓ in sync"
	case fleet.StateBehind.String():
		return "… behind"
	case fleet.StateNew.String():
		return "+ new"
	case fleet.StateRefused.String():
		return "✗ refused"
	case fleet.StateFailed.String():
		return "✗ failed"
	case fleet.StateDrifted.String():
		return "≠ drifted"
	case fleet.StatePending.String():
		return "? pending"
	case fleet.StateRevoked.String():
		return "⊘ revoked"
	case silent:
		return "☾ silent"
	case cloned:
		return "‖ two machines"
	}
	return strings.ReplaceAll(state, "-", " ")
}
