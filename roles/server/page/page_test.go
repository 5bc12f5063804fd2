package page_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/clock/clocktest"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"
	"aspects-poc/roles/server/page"
	"aspects-poc/roles/serverapi"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

var (
	id  = uuid.MustParse("ca155b32-2472-4650-afb0-c6f967328afe")
	now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
)

// A world is a fleet whose page is looked at, with its store.
type world struct {
	*fleet.Fleet
	t     *testing.T
	store *sqlite.Store
	clock *clocktest.Clock
	// caller is whose requests these are.
	caller access.Caller
}

// open returns an empty fleet. The first device that registers is id.
func open(t *testing.T) *world { return openWith(t, nil) }

// openWith is open for a fleet that checks targets.
func openWith(t *testing.T, schema json.RawMessage) *world {
	t.Helper()
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, clock: clocktest.At(now)}
	var ids atomic.Int64
	w.Fleet, err = fleet.Open(t.Context(), store, fleet.Options{Now: w.clock.Now, MaxPending: 10_000, Schema: schema,
		NewID: func() (uuid.UUID, error) {
			if ids.Add(1) == 1 {
				return id, nil
			}
			return uuid.NewRandom()
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Close(), store.Close()); err != nil && !errors.Is(err, fleet.ErrClosed) {
			t.Error(err)
		}
	})
	return w
}

func (w *world) config(text string) fleet.Config {
	w.t.Helper()
	config, err := fleet.ParseConfig([]byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return config
}

// register adds a device.
func (w *world) register(labels fleet.Labels) uuid.UUID {
	w.t.Helper()
	device, err := w.Register(w.t.Context(), fleet.Identity{IPAddress: "192.0.2.7", Arch: "arm64"}, labels, fleet.Active)
	if err != nil {
		w.t.Fatal(err)
	}
	return device.ID
}

// set changes a layer.
func (w *world) set(by string, layer fleet.LayerName, selector, config string) {
	w.t.Helper()
	chosen, err := fleet.ParseSelector(selector)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.Set(w.t.Context(), fleet.Change{Layer: fleet.Layer{Name: layer, Selector: chosen, Config: w.config(config),
		Authorship: fleet.Authorship{By: by}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// poll reports for the device id.
func (w *world) poll(poll fleet.Poll) {
	w.t.Helper()
	if _, err := w.Poll(w.t.Context(), id, poll); err != nil {
		w.t.Fatal(err)
	}
}

// example returns a fleet of one device, which refused its target.
func example(t *testing.T) *world {
	t.Helper()
	w := open(t)
	w.clock.Set(now.Add(-2 * time.Hour))
	w.register(fleet.Labels{"site": "berlin", "stage": "<script>alert(1)</script>"})
	w.clock.Set(now.Add(-10 * time.Minute))
	w.set("bob", fleet.Everyone, "", `{"control-telemetry":{"monitor-peers":true}}`)
	for _, config := range []string{`{}`, `{"control-telemetry":{"sample-rate":4}}`, `{"control-telemetry":{"sample-rate":4,"old":1}}`} {
		w.set("bob", "labels/berlin", "site=berlin", config)
	}
	w.clock.Set(now.Add(-time.Minute))
	w.set("ann", "labels/berlin", "site=berlin", `{"control-telemetry":{"sample-rate":"often"},"control-tunnel":{"peers":null}}`)
	w.clock.Set(now.Add(-30 * time.Second))
	w.poll(fleet.Poll{Config: w.config(`{"control-telemetry":{"sample-rate":2,"monitor-peers":true}}`), Report: true, Sequence: 1,
		Running:   fleet.Running{Revision: 4, Hash: "sha-256=def"},
		Attempted: fleet.Attempted{Revision: 5, Outcome: fleet.Refused, Path: "metrics.sample-rate", Reason: "expected <int> type"}})
	w.clock.Set(now)
	return w
}

// routes serves the page.
func routes(w *world) *echo.Echo {
	app := echo.New()
	for _, route := range page.New(w.Fleet, page.Options{Now: func() time.Time { return now }}).Routes() {
		handle := route.Handle
		route.Handle = func(c echo.Context) error {
			c.SetRequest(c.Request().WithContext(access.With(c.Request().Context(), w.caller)))
			return handle(c)
		}
		app.Add(route.Method, route.Path, route.Handle)
		if route.Method == http.MethodGet {
			app.Add(http.MethodHead, route.Path, route.Handle)
		}
	}
	return app
}

func get(w *world, path string) *httptest.ResponseRecorder {
	w.t.Helper()
	answer := httptest.NewRecorder()
	routes(w).ServeHTTP(answer, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil))
	return answer
}

func TestPages(t *testing.T) {
	device := "/page/devices/" + id.String() + "/"
	w := example(t)
	for _, test := range []struct {
		name, path string
		status     int
		want       []string
	}{
		{"list", "/page/devices/", 200, []string{
			`href="` + id.String() + `/"`, "✗ refused", "site=berlin", "expected &lt;int&gt; type",
			"stage=&lt;script&gt;alert(1)&lt;/script&gt;", `datetime="2026-11-24T11:59:30Z"`, `<b>1</b> all`, `href="?state=refused"`,
			"1–1 of 1 devices", `<a href="?sort=seen">Last seen</a>`, `data-again="30000"`,
		}},
		{"filters stay", "/page/devices/?selector=site%3Dberlin&state=refused&q=ca15&sort=-seen", 200, []string{
			`value="site=berlin"`, `value="ca15"`, `<option value="refused" selected>`, `<option value="-seen" selected>`,
			`href="?q=ca15&amp;selector=site%3Dberlin&amp;sort=-seen&amp;state=failed"`,
			`aria-sort="descending"><a href="?q=ca15&amp;selector=site%3Dberlin&amp;sort=seen&amp;state=refused">`,
		}},
		{"a filter that is none", "/page/devices/?selector=%3D", 422, []string{`role="alert">selector cannot be read: `, `value="="`, "No devices match."}},
		{"a state that is none", "/page/devices/?state=odd", 422, []string{`role="alert">state must be one of in-sync, `, "silent, cloned, not &#34;odd&#34;<"}},
		{"an order that is none", "/page/devices/?sort=odd", 422, []string{`role="alert">sort must be one of state, `}},
		{"a place that is none", "/page/devices/?after=odd", 422, []string{`role="alert">after is no place in the list: take it from a link of the page<`}},
		{"a parameter that is none", "/page/devices/?selektor=site%3Dberlin&q=ca15", 422, []string{
			`role="alert">selektor is no parameter of this request; did you mean selector?<`, `value="ca15"`, "No devices match."}},
		{"a parameter twice", "/page/devices/?q=a&q=b", 422, []string{`role="alert">q stands twice in the query<`}},
		{"a value that is no text", "/page/devices/?q=%ff", 422, []string{`role="alert">q must be text in UTF-8`}},
		{"a parameter of a device", device + "?tab=stats", 422, []string{
			"tab is no parameter of this request", `Did you mean <a href=".">http://example.com` + device + `</a>?`}},
		{"a parameter of the history", "/page/history/?befor=5", 422, []string{"did you mean before?<"}},
		{"a parameter of a chart", device + "chart/?kind=peers&step=1", 422, []string{"step is no parameter of this request; "}},
		{"device", device, 200, []string{
			"It refused revision 5 at metrics.sample-rate: expected &lt;int&gt; type. It runs revision 4.",
			`<tr id="leaf-control-telemetry.sample-rate" class="differs">`, `<tr id="leaf-control-telemetry.monitor-peers">`,
			"labels/berlin", "arm64", `data-chart="chart/?kind=packets"`, `<a href="../../../.">`,
			"control-telemetry.sample-rate: 4 → &#34;often&#34;", "− control-telemetry.old = 1", "&#43; control-tunnel.peers = null",
		}},
		{"unknown device", "/page/devices/" + uuid.Nil.String() + "/", 404, []string{"No device " + uuid.Nil.String() + " is registered."}},
		{"no UUID", "/page/devices/<b>/", 404, []string{"must be the ID of a device, the beginning of one, or a device&#39;s name, not &#34;&lt;b&gt;&#34;."}},
		{"history", "/page/history/", 200, []string{`id="revision-5"`, `id="revision-1"`, "bob", "<code>site=berlin</code>"}},
		{"older history", "/page/history/?before=5", 200, []string{`id="revision-1"`}},
		{"history of nowhere", "/page/history/?before=x", 404, []string{"no page before &#34;x&#34;"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := get(w, test.path)
			if answer.Code != test.status {
				t.Errorf("status %d, want %d", answer.Code, test.status)
			}
			body := answer.Body.String()
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("%q is missing", want)
				}
			}
			if strings.Contains(body, "<script>alert") {
				t.Error("a device's text became a script")
			}
			if t.Failed() {
				t.Log(body)
			}
			policy := answer.Header().Get("Content-Security-Policy")
			if !strings.Contains(policy, "default-src 'self'") || strings.Contains(policy, "script-src") {
				t.Errorf("policy %q", policy)
			}
		})
	}
}

// TestList compares the rows and the numbers of the list with the devices that are there.
func TestList(t *testing.T) {
	const many = 1234
	w := open(t)
	var wait sync.WaitGroup
	for i := range many {
		wait.Go(func() { w.register(fleet.Labels{"site": fmt.Sprint("s", i%2), "number": fmt.Sprint(i)}) })
	}
	wait.Wait()
	devices, _, err := w.Devices(t.Context(), fleet.Filter{}, "", 7)
	if err != nil {
		t.Fatal(err)
	}
	var twins []fleet.Observation
	for _, device := range devices {
		twins = append(twins, fleet.Observation{ID: device.ID, Seen: now, Twins: now})
	}
	if err := w.store.Observe(t.Context(), twins); err != nil {
		t.Fatal(err)
	}
	w.clock.Set(now.Add(time.Minute))
	next := regexp.MustCompile(`<a rel="next" href="([^"]*)">`)
	pages := regexp.MustCompile(`[\d,]+–[\d,]+ of [\d,]+ devices[^<]*`)
	shown := func(path string) string { return pages.FindString(get(w, "/page/devices"+path).Body.String()) }
	for path, want := range map[string]string{
		"/":                             "1–50 of 1,234 devices · page 1 of 25",
		"/?selector=site%3Ds1":          "1–50 of 617 devices · page 1 of 13",
		"/?q=number=1000":               "1–1 of 1 devices",
		"/?state=cloned":                "1–7 of 7 devices",
		"/?state=new&sort=-labels":      "1–50 of 1,234 devices · page 1 of 25",
		"/?state=silent":                "",
		"/?selector=site%3Ds1&q=r=12":   "1–22 of 22 devices",
		"/?selector=site%3Ds0&q=r=1234": "",
	} {
		if got := shown(path); got != want {
			t.Errorf("%s shows %q, want %q", path, got, want)
		}
	}
	first := get(w, "/page/devices/?selector=number&sort=-seen").Body.String()
	for _, want := range []string{`<b>1,234</b> all`, `href="?selector=number&amp;sort=-seen&amp;state=cloned"><b>7</b> ‖ two machines`} {
		if !strings.Contains(first, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(first, `rel="prev"`) {
		t.Error("a page before the first")
	}
	link := html.UnescapeString(next.FindStringSubmatch(first)[1])
	if !strings.HasPrefix(link, "?after=") || !strings.HasSuffix(link, "&selector=number&sort=-seen") {
		t.Errorf("the next page is at %s", link)
	}
	second := get(w, "/page/devices/"+link).Body.String()
	if !strings.Contains(second, "51–100 of 1,234 devices · page 2 of 25") ||
		!strings.Contains(second, `<a rel="prev" href="?selector=number&amp;sort=-seen">`) {
		t.Error(second)
	}
}

func TestEmptyFleet(t *testing.T) {
	w := open(t)
	if body := get(w, "/page/devices/").Body.String(); !strings.Contains(body, "No device has registered yet.") {
		t.Error(body)
	}
	if body := get(w, "/page/devices/?state=failed").Body.String(); !strings.Contains(body, "No devices match.") {
		t.Error(body)
	}
}

// The application's error handler has the store's trouble; a page never shows half of itself.
func TestTroubleIsTheApplications(t *testing.T) {
	w := example(t)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/page/devices/", "/page/layers/", "/page/secrets/", "/page/devices/" + id.String() + "/", "/page/history/",
		"/page/devices/" + id.String() + "/chart/?kind=peers"} {
		if answer := get(w, path); answer.Code != 500 || strings.Contains(answer.Body.String(), "<html") {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
}

func TestStatic(t *testing.T) {
	w := open(t)
	_, rest, _ := strings.Cut(get(w, "/").Body.String(), `src="`)
	script, _, _ := strings.Cut(rest, `"`)
	answer := get(w, "/"+script)
	if answer.Code != 200 || !strings.Contains(answer.Header().Get("Cache-Control"), "immutable") ||
		answer.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || answer.Body.Len() < 1000 {
		t.Error(answer.Code, answer.Header())
	}
	for _, path := range []string{"/page/static/other/page.css", "/page/static/..%2fpage.go",
		strings.ReplaceAll("/"+script, "vendor/idiomorph.min.js", "vendor")} {
		if answer := get(w, path); answer.Code != 404 {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
}

// count stores statistics of the device id.
func (w *world) count(points ...serverapi.Stats) {
	w.t.Helper()
	var list []fleet.Observation
	for _, point := range points {
		text, err := json.Marshal(point)
		if err != nil {
			w.t.Fatal(err)
		}
		at := time.Unix(point.At, 0)
		list = append(list, fleet.Observation{ID: id, Seen: at, Stats: &fleet.Stats{At: at, Text: string(text)}})
	}
	if err := w.store.Observe(w.t.Context(), list); err != nil {
		w.t.Fatal(err)
	}
}

func TestCharts(t *testing.T) {
	three, w, begin := int64(3), example(t), now.Unix()-100
	chart := "/page/devices/" + id.String() + "/chart/?kind="
	if answer := get(w, chart+"packets"); strings.TrimSpace(answer.Body.String()) != `{"times":[],"series":[]}` {
		t.Error(answer.Body)
	}
	w.count(
		serverapi.Stats{At: begin - 24*3600, Peers: &three}, // too old for a chart
		serverapi.Stats{At: begin, Packets: map[string]serverapi.Packets{"eth0": {Sent: 10, Received: 5}}, Peers: &three},
		serverapi.Stats{At: begin + 10, Packets: map[string]serverapi.Packets{"eth0": {Sent: 30, Received: 5}}},
		// The device has restarted.
		serverapi.Stats{At: begin + 20, Packets: map[string]serverapi.Packets{"eth0": {Sent: 4, Received: 7}, "wlan0": {Sent: 1}}},
	)
	for kind, want := range map[string]string{
		"packets": fmt.Sprintf(`{"times":[%d,%d],"series":[{"name":"eth0 sent","values":[2,null]},{"name":"eth0 received","values":[0,0.2]}]}`,
			begin+10, begin+20),
		"peers": fmt.Sprintf(`{"times":[%d,%d,%d],"series":[{"name":"peers","values":[3,null,null]}]}`, begin, begin+10, begin+20),
	} {
		if diff := cmp.Diff(want, strings.TrimSpace(get(w, chart+kind).Body.String())); diff != "" {
			t.Error(diff)
		}
	}
	for _, path := range []string{chart + "odd", "/page/devices/" + uuid.Nil.String() + "/chart/?kind=peers", "/page/devices/x/chart/?kind=peers"} {
		if answer := get(w, path); answer.Code != 404 {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
}

// Paths of values are the API's, also for names with dots.
func TestOriginOfDottedNames(t *testing.T) {
	w := open(t)
	w.register(fleet.Labels{"vlans": ""})
	w.set("ann", "labels/of-vlans", "vlans", `{"v":{"eth0.100":1}}`)
	body := get(w, "/page/devices/"+id.String()+"/").Body.String()
	if !strings.Contains(body, `<td data-name="Set by"><a href="../../layers/labels/of-vlans/">labels/of-vlans</a></td>`) {
		t.Error(body)
	}
}

// A device may report anything: its page shows a part of each section, and has a bounded size.
func TestHugeReport(t *testing.T) {
	w := open(t)
	w.register(nil)
	w.set("ann", fleet.Everyone, "", `{"v":{"z":1}}`)
	path := "/page/devices/" + id.String() + "/"
	var members strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&members, `,"m%d":%d`, i, i)
	}
	long := strings.Repeat("ü", 100_000)
	for _, test := range []struct{ name, report, want string }{
		{"many members", `{"v":{"z":2` + members.String() + `}}`, "And 39,800 more"},
		{"a long value and a long name", `{"v":{"z":2,"` + long + `":"` + long + `"}}`, "1 value that it reports"},
		{"many members below a long name", `{"v":{"z":2},"` + long + `":{"a":1` + members.String() + `}}`, "It reports more than this page can show"},
	} {
		w.poll(fleet.Poll{Config: w.config(test.report)})
		body := get(w, path).Body.String()
		if len(body) > 500_000 || !strings.Contains(body, test.want) || !strings.Contains(body, `href="../../../devices/`+id.String()+`/"`) &&
			strings.Contains(test.want, "more") {
			t.Errorf("%s: %d bytes, which begin with %.3000s", test.name, len(body), body)
		}
	}
}

// TestHistory: the page shows what an entry of each kind changed, and links to the older entries.
func TestHistory(t *testing.T) {
	w := open(t)
	w.register(fleet.Labels{"site": "berlin"})
	for i := range 50 {
		w.set("ann", fleet.Everyone, "", fmt.Sprintf(`{"v":{"n":%d}}`, i))
	}
	if _, err := w.Restore(t.Context(), 49, "bob", nil); err != nil {
		t.Fatal(err)
	}
	for _, value := range []*string{new("oslo"), nil} {
		if _, err := w.SetLabels(t.Context(), id, map[string]*string{"site": value}, "eve", nil); err != nil {
			t.Fatal(err)
		}
	}
	body := get(w, "/page/history/").Body.String()
	for _, want := range []string{"labels: site=oslo", "labels: none", "back to revision 49", "v.n: 49 → 48", `id="revision-4"`, `href="?before=4"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
	older := get(w, "/page/history/?before=4").Body.String()
	if strings.Count(older, `id="revision-`) != 3 || strings.Contains(older, `rel="next"`) || !strings.Contains(older, "&#43; v.n = 0") {
		t.Error(older)
	}
	device := get(w, "/page/devices/"+id.String()+"/").Body.String()
	if strings.Count(device, `id="revision-`) != 12 { // ten of the layer of everyone, and two of its labels
		t.Error(device)
	}
}

// What a device shows beside what it shall show.
func TestDifferences(t *testing.T) {
	for _, test := range []struct {
		name, demanded, config string
		want                   string // the marks, by path
	}{
		{"equal", `{"v":{"a":1}}`, `{"v":{"a":1.0}}`, "v.a: matches"},
		{"other", `{"v":{"a":[1,2]}}`, `{"v":{"a":[2,1]}}`, "v.a: differs!"},
		{"secret", `{"v":{"a":1}}`, `{}`, "v.a: not reported"},
		{"unset", `{"v":{"a":null}}`, `{}`, "v.a: matches"},
		{"not unset", `{"v":{"a":null}}`, `{"v":{"a":1}}`, "v.a: differs!"},
		{"not unset below", `{"v":{"a":null}}`, `{"v":{"a":{"b":1}}}`, "v.a.b: differs!, v.a: matches"},
		{"not asked for", `{}`, `{"v":{"a":1}}`, "v.a: not managed"},
		{"differences first", `{"v":{"a":1,"b":2,"c":3}}`, `{"v":{"a":1,"c":4,"d":5}}`,
			"v.c: differs!, v.b: not reported, v.a: matches, v.d: not managed"},
		{"counters last", `{}`, `{"observe-x":{"n":1},"v":{"stats":{"eth0":2},"z":3}}`,
			"v.z: not managed, observe-x.n: not managed, v.stats.eth0: not managed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := open(t)
			w.register(nil)
			w.set("ann", fleet.Everyone, "", test.demanded)
			w.poll(fleet.Poll{Config: w.config(test.config)})
			body := get(w, "/page/devices/"+id.String()+"/").Body.String()
			var marks []string
			for _, row := range strings.Split(body, `<tr id="leaf-`)[1:] {
				path, rest, _ := strings.Cut(row, `"`)
				_, mark, _ := strings.Cut(row, `class="mark">`)
				mark, _, _ = strings.Cut(mark, "<")
				if strings.HasPrefix(rest, ` class="differs"`) {
					mark += "!"
				}
				marks = append(marks, path+": "+mark)
			}
			if diff := cmp.Diff(test.want, strings.Join(marks, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
