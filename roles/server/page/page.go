// Package page is the fleet page: devices with their states at a glance, one device's desired configuration beside the
// one it runs, its figures over time, and the history of targets. Pages are rendered by the server, read only, and complete
// without scripts; a script makes them live. Everything comes from the binary, nothing from other hosts.
//
// New returns the routes; what they show comes from a Source, in the shapes of the API.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"aspects-poc/roles/server/params"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// A Source answers what the page shows. ErrNotFound and ErrQuery, wrapped, are told to the reader; all other errors are
// left to the application's error handler.
type Source interface {
	// Devices lists and counts the devices that a query selects, all as of the same moment.
	Devices(ctx context.Context, query Query) (List, error)
	// Device returns one device with its configuration, and its target, explained, as of the same moment.
	Device(ctx context.Context, id uuid.UUID) (serverapi.Device, serverapi.DeviceTarget, error)
	// Stats returns what a device has counted since a time, the oldest first, thinned to at most some hundred points.
	Stats(ctx context.Context, id uuid.UUID, since time.Time) (serverapi.DeviceStats, error)
	// History returns changes, the newest first, with the configurations before and after; of one layer or of all (""),
	// those before a revision (0: from the newest on).
	History(ctx context.Context, layer string, before int64, limit int) (serverapi.HistoryPage, error)
}

// A Query selects devices. Empty fields select all.
type Query struct {
	Selector string // of labels, such as "site=berlin,stage!=test"
	State    string // one of serverapi's states
	Silent   bool   // only those not seen for a while
	Cloned   bool   // only those as which two machines report
	Text     string // in UUID, address, architecture or labels
	Sort     string // a column, with "-" before it for the other way round; "" is the worst first
	After    string // continues a list
	Limit    int
}

// A List is a page of the devices that a query selects.
type List struct {
	Devices []serverapi.Device
	Before  int // how many devices come before this page
	Found   int // how many the query selects
	// Next and Previous continue the list; HasPrevious tells that there is a page before, whose After may be "".
	Next, Previous string
	HasPrevious    bool
	// States, Silent and Cloned count the devices that the query would select in each state, and All in any.
	States              map[string]int
	Silent, Cloned, All int
	// Good is for how long the same answer will be given; 0 for one that is new.
	Good time.Duration
}

// What cannot be answered because of what was asked. Their texts are shown.
var (
	ErrNotFound = errors.New("there is no such device")
	ErrQuery    = errors.New("cannot use the filter")
)

//go:embed templates static
var files embed.FS

// Options changes how a Page works. The zero value is ready for use.
type Options struct {
	Now func() time.Time // nil means time.Now
	// Again is after how long an open page looks again where it was told of no change: who is silent follows from the time.
	// Zero means half a minute.
	Again time.Duration
}

// A Page answers for the fleet page.
type Page struct {
	source  Source
	options Options
}

// New returns a page over a source.
func New(source Source, options Options) *Page {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Again == 0 {
		options.Again = 30 * time.Second
	}
	return &Page{source: source, options: options}
}

// A Route is one of the page's, to GET and HEAD.
type Route struct {
	Path   string
	Handle echo.HandlerFunc
	Open   bool // to anyone: it shows nothing of the fleet
}

// Routes returns what the page answers.
func (p *Page) Routes() []Route {
	return []Route{
		{Path: "/", Handle: p.devices},
		{Path: "/page/devices/:uuid/", Handle: p.understood("", "../../../", p.device)},
		{Path: "/page/devices/:uuid/chart/", Handle: p.understood("kind", "../../../../", p.chart)},
		{Path: "/page/history/", Handle: p.understood("before", "../../", p.history)},
		{Path: "/page/static/:hash/*", Handle: static, Open: true},
	}
}

// common is what every page has.
type common struct {
	Title string
	Here  string // the entry of the navigation
	Root  string // leads from the page's URL to the server's, so that a proxy may put both anywhere
	Again int64  // milliseconds after which the script looks again
}

func (p *Page) common(title, here, root string) common {
	return common{Title: title, Here: here, Root: root, Again: p.options.Again.Milliseconds()}
}

// templates are those of the pages, each with the base around it. They are parsed when the first page is asked for: most
// runs of the program are no server's.
var templates = sync.OnceValue(func() map[string]*template.Template {
	base := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/base.html"))
	list := map[string]*template.Template{}
	for _, name := range []string{"devices", "device", "history", "problem"} {
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

// render answers with a page. It is complete before the first byte is sent, so that a failure can still be told.
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
	return c.HTMLBlob(status, body.Bytes())
}

// problem tells the reader of a page what cannot be shown.
func (p *Page) problem(c echo.Context, root, detail string) error {
	return p.problemWith(c, http.StatusNotFound, root, detail, "", "")
}

// problemWith is problem, with the address that was meant; "" for none.
func (p *Page) problemWith(c echo.Context, status int, root, detail, meantURL, meant string) error {
	title := "Not found"
	if status != http.StatusNotFound {
		title = "Not understood"
	}
	return render(c, status, "problem", struct {
		common
		Detail, MeantURL, Meant string
	}{p.common(title, "", root), detail, meantURL, meant})
}

// understood lets requests through whose queries have nothing but what is known, and tells the readers of others.
func (p *Page) understood(known, root string, handle echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		_, wrong := params.Parse(c.Request().URL.RawQuery, strings.Fields(known))
		if wrong == nil {
			return handle(c)
		}
		here := *c.Request().URL
		here.Scheme, here.Host, here.RawQuery = c.Scheme(), c.Request().Host, ""
		return p.problemWith(c, http.StatusUnprocessableEntity, root, complaints(wrong), ".", here.String())
	}
}

// complaints says what was wrong with a query.
func complaints(wrong []serverapi.FieldProblem) string {
	var texts []string
	for _, one := range wrong {
		texts = append(texts, one.Field+" "+one.Message)
	}
	return strings.Join(texts, "; ")
}

// version changes with the static files, so that they can be kept by browsers for good.
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
		panic(err) // the binary's own files
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
	kind, known := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}[path.Ext(name)]
	if !known {
		kind = "text/plain; charset=utf-8"
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	return c.Blob(http.StatusOK, kind, content)
}

// stateText words a state for people.
func stateText(state string) string {
	switch state {
	case "":
		return "all"
	case serverapi.StateInSync:
		return "✓ in sync"
	case serverapi.StateBehind:
		return "… behind"
	case serverapi.StateNew:
		return "+ new"
	case serverapi.StateRefused:
		return "✗ refused"
	case serverapi.StateFailed:
		return "✗ failed"
	case serverapi.StateDrifted:
		return "≠ drifted"
	case serverapi.StatePending:
		return "? pending"
	case serverapi.StateRevoked:
		return "⊘ revoked"
	case "silent":
		return "☾ silent"
	case "cloned":
		return "‖ two machines"
	}
	return strings.ReplaceAll(state, "-", " ")
}
