package page_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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

// A fleet is a Source with one device in it.
type fleet struct {
	device  serverapi.Device
	target  serverapi.DeviceTarget
	points  []serverapi.Stats
	history []serverapi.HistoryEntry
	err     error
	asked   []page.Query
}

func (f *fleet) Devices(_ context.Context, query page.Query) (page.List, error) {
	f.asked = append(f.asked, query)
	if query.Selector == "=" {
		return page.List{}, fmt.Errorf("%w: selector cannot be read", page.ErrQuery)
	}
	return page.List{
		Devices: []serverapi.Device{f.device}, Before: 50, Found: 1234, Next: "0123", HasPrevious: true,
		States: map[string]int{f.device.State: 1234}, Cloned: 7, All: 1234,
	}, f.err
}

func (f *fleet) Device(_ context.Context, asked uuid.UUID) (serverapi.Device, serverapi.DeviceTarget, error) {
	if asked != id {
		return serverapi.Device{}, serverapi.DeviceTarget{}, page.ErrNotFound
	}
	return f.device, f.target, f.err
}

func (f *fleet) Stats(_ context.Context, asked uuid.UUID, since time.Time) (serverapi.DeviceStats, error) {
	if asked != id {
		return serverapi.DeviceStats{}, page.ErrNotFound
	}
	if want := now.Add(-24 * time.Hour); !since.Equal(want) {
		return serverapi.DeviceStats{}, fmt.Errorf("asked for figures since %s, want %s", since, want)
	}
	return serverapi.DeviceStats{Points: f.points}, f.err
}

func (f *fleet) History(_ context.Context, layer string, before int64, limit int) (serverapi.HistoryPage, error) {
	var found serverapi.HistoryPage
	for _, entry := range f.history {
		if (layer == "" || layer == entry.Layer) && (before == 0 || entry.Revision < before) && len(found.History) < limit {
			found.History = append(found.History, entry)
		}
	}
	return found, f.err
}

func example() *fleet {
	return &fleet{
		device: serverapi.Device{
			UUID: id, Registered: now.Unix() - 7200, IPAddress: "192.0.2.7", Arch: "arm64",
			Labels: map[string]string{"site": "berlin", "stage": "<script>alert(1)</script>"},
			Status: "active", State: serverapi.StateRefused, LastSeen: now.Unix() - 30,
			Desired:   serverapi.Desired{Revision: 5, Hash: "sha-256=abc", SetBy: "ann", SetAt: now.Unix() - 60},
			Running:   &serverapi.Running{Revision: 4, Hash: "sha-256=def"},
			Attempted: &serverapi.Attempted{Revision: 5, Outcome: serverapi.Refused, Path: "metrics.sample-rate", Reason: "expected <int> type"},
			Config:    serverapi.Config{"control-telemetry": map[string]any{"sample-rate": json.Number("2"), "monitor-peers": true}},
		},
		target: serverapi.DeviceTarget{
			Config:   serverapi.Config{"control-telemetry": map[string]any{"sample-rate": "often", "monitor-peers": true}},
			Revision: 5, Hash: "sha-256=abc", Layers: []string{"everyone", "labels/berlin"},
			Explain: map[string]serverapi.Origin{
				"control-telemetry.sample-rate":   {Layer: "labels/berlin", Revision: 5},
				"control-telemetry.monitor-peers": {Layer: "everyone", Revision: 1},
			},
		},
		history: []serverapi.HistoryEntry{
			{Revision: 5, At: now.Unix() - 60, Author: "ann", Layer: "labels/berlin", Selector: "site=berlin", Action: "set",
				Before: serverapi.Config{"control-telemetry": map[string]any{"sample-rate": json.Number("4"), "old": json.Number("1")}},
				After:  serverapi.Config{"control-telemetry": map[string]any{"sample-rate": "often"}, "control-tunnel": map[string]any{"peers": nil}}},
			{Revision: 1, At: now.Unix() - 600, Author: "bob", Layer: "everyone", Action: "set",
				After: serverapi.Config{"control-telemetry": map[string]any{"monitor-peers": true}}},
		},
	}
}

func get(t *testing.T, source page.Source, path string) *httptest.ResponseRecorder {
	t.Helper()
	return serve(source, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
}

func serve(source page.Source, request *http.Request) *httptest.ResponseRecorder {
	app := echo.New()
	for _, route := range page.New(source, page.Options{Now: func() time.Time { return now }}).Routes() {
		app.GET(route.Path, route.Handle)
	}
	answer := httptest.NewRecorder()
	app.ServeHTTP(answer, request)
	return answer
}

func TestPages(t *testing.T) {
	device := "/page/devices/" + id.String() + "/"
	for _, test := range []struct {
		name, path string
		status     int
		want       []string
	}{
		{"list", "/", 200, []string{
			`href="page/devices/` + id.String() + `/"`, "✗ refused", "site=berlin", "expected &lt;int&gt; type",
			"stage=&lt;script&gt;alert(1)&lt;/script&gt;", `<a rel="next" href="?after=0123">`, `<a rel="prev" href=".">`,
			`datetime="2026-11-24T11:59:30Z"`, `<b>1,234</b> all`, `href="?state=refused"`,
			"51–51 of 1,234 devices · page 2 of 25", `href="?state=cloned"><b>7</b> ‖ two machines`, `<a href="?sort=seen">Last seen</a>`,
		}},
		{"filters stay", "/?selector=site%3Dberlin&state=silent&q=ca15&sort=-seen", 200, []string{
			`value="site=berlin"`, `value="ca15"`, `<option value="silent" selected>`, `<option value="-seen" selected>`,
			`href="?q=ca15&amp;selector=site%3Dberlin&amp;sort=-seen&amp;state=refused"`,
			`href="?after=0123&amp;q=ca15&amp;selector=site%3Dberlin&amp;sort=-seen&amp;state=silent"`,
			`aria-sort="descending"><a href="?q=ca15&amp;selector=site%3Dberlin&amp;sort=seen&amp;state=silent">`,
		}},
		{"a filter that is none", "/?selector=%3D", 422, []string{`role="alert">selector cannot be read<`, `value="="`, "No devices match."}},
		{"a parameter that is none", "/?selektor=site%3Dberlin&q=ca15", 422, []string{
			`role="alert">selektor is no parameter of this request; did you mean selector?<`, `value="ca15"`, "No devices match."}},
		{"a parameter twice", "/?q=a&q=b", 422, []string{`role="alert">q stands twice in the query<`}},
		{"a value that is no text", "/?q=%ff", 422, []string{`role="alert">q must be text in UTF-8`}},
		{"a parameter of a device", device + "?tab=stats", 422, []string{
			"tab is no parameter of this request; it takes none<", `Did you mean <a href=".">http://example.com` + device + `</a>?`}},
		{"a parameter of the history", "/page/history/?befor=5", 422, []string{"did you mean before?<"}},
		{"a parameter of a chart", device + "chart/?kind=peers&step=1", 422, []string{"step is no parameter of this request; "}},
		{"device", device, 200, []string{
			"It refused revision 5 at metrics.sample-rate: expected &lt;int&gt; type. It runs revision 4.",
			`<tr id="leaf-control-telemetry.sample-rate" class="differs">`, `<tr id="leaf-control-telemetry.monitor-peers">`,
			"labels/berlin", "arm64", `data-chart="chart/?kind=packets"`, `<a href="../../../.">`,
			"control-telemetry.sample-rate: 4 → &#34;often&#34;", "− control-telemetry.old = 1", "&#43; control-tunnel.peers = null",
		}},
		{"unknown device", "/page/devices/" + uuid.Nil.String() + "/", 404, []string{"No device " + uuid.Nil.String() + " is registered."}},
		{"no UUID", "/page/devices/<b>/", 404, []string{"&#34;&lt;b&gt;&#34; is no UUID."}},
		{"history", "/page/history/", 200, []string{`id="revision-5"`, `id="revision-1"`, "bob", "<code>site=berlin</code>"}},
		{"older history", "/page/history/?before=5", 200, []string{`id="revision-1"`}},
		{"history of nowhere", "/page/history/?before=x", 404, []string{"no page before &#34;x&#34;"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := get(t, example(), test.path)
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

func TestFilterReachesTheSource(t *testing.T) {
	source := example()
	get(t, source, "/?selector=site%3Dberlin&state=silent&q=ca15&after=01")
	get(t, source, "/?state=in-sync&sort=-labels")
	get(t, source, "/?state=cloned")
	want := []page.Query{
		{Selector: "site=berlin", Silent: true, Text: "ca15", After: "01", Limit: 50},
		{State: "in-sync", Sort: "-labels", Limit: 50},
		{Cloned: true, Limit: 50},
	}
	if diff := cmp.Diff(want, source.asked); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyFleet(t *testing.T) {
	answer := get(t, empty{example()}, "/")
	if !strings.Contains(answer.Body.String(), "No device has registered yet.") {
		t.Error(answer.Body)
	}
	answer = get(t, empty{example()}, "/?state=failed")
	if !strings.Contains(answer.Body.String(), "No devices match.") {
		t.Error(answer.Body)
	}
}

type empty struct{ *fleet }

func (empty) Devices(context.Context, page.Query) (page.List, error) { return page.List{}, nil }

// The application's error handler has the store's trouble; a page never shows half of itself.
func TestTroubleIsTheApplications(t *testing.T) {
	source := example()
	source.err = errors.New("the disk is on fire")
	for _, path := range []string{"/", "/page/devices/" + id.String() + "/", "/page/history/",
		"/page/devices/" + id.String() + "/chart/?kind=peers"} {
		if answer := get(t, source, path); answer.Code != 500 || strings.Contains(answer.Body.String(), "<html") {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
}

func TestStatic(t *testing.T) {
	_, rest, _ := strings.Cut(get(t, example(), "/").Body.String(), `src="`)
	script, _, _ := strings.Cut(rest, `"`)
	answer := get(t, example(), "/"+script)
	if answer.Code != 200 || !strings.Contains(answer.Header().Get("Cache-Control"), "immutable") ||
		answer.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || answer.Body.Len() < 1000 {
		t.Error(answer.Code, answer.Header())
	}
	for _, path := range []string{"/page/static/other/page.css", "/page/static/..%2fpage.go",
		strings.ReplaceAll("/"+script, "vendor/idiomorph.min.js", "vendor")} {
		if answer := get(t, example(), path); answer.Code != 404 {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
}

func TestCharts(t *testing.T) {
	three, source := int64(3), example()
	source.points = []serverapi.Stats{
		{At: 100, Packets: map[string]serverapi.Packets{"eth0": {Sent: 10, Received: 5}}, Peers: &three},
		{At: 110, Packets: map[string]serverapi.Packets{"eth0": {Sent: 30, Received: 5}}},
		{At: 120, Packets: map[string]serverapi.Packets{"eth0": {Sent: 4, Received: 7}, "wlan0": {Sent: 1}}}, // began anew
	}
	for kind, want := range map[string]string{
		"packets": `{"times":[110,120],"series":[{"name":"eth0 sent","values":[2,null]},{"name":"eth0 received","values":[0,0.2]}]}`,
		"peers":   `{"times":[100,110,120],"series":[{"name":"peers","values":[3,null,null]}]}`,
	} {
		answer := get(t, source, "/page/devices/"+id.String()+"/chart/?kind="+kind)
		if diff := cmp.Diff(want, strings.TrimSpace(answer.Body.String())); diff != "" {
			t.Error(diff)
		}
	}
	if answer := get(t, example(), "/page/devices/"+id.String()+"/chart/?kind=packets"); strings.TrimSpace(answer.Body.String()) != `{"times":[],"series":[]}` {
		t.Error(answer.Body)
	}
	if answer := get(t, example(), "/page/devices/"+id.String()+"/chart/?kind=odd"); answer.Code != 404 {
		t.Error(answer.Code)
	}
}

// Who set a value is told for names with dots too: paths are written as the API writes them.
func TestOriginOfDottedNames(t *testing.T) {
	source := example()
	source.target.Config = config(`{"v":{"eth0.100":1}}`)
	source.target.Explain = map[string]serverapi.Origin{serverapi.JoinPath("v", "eth0.100"): {Layer: "labels/of-vlans"}}
	body := get(t, source, "/page/devices/"+id.String()+"/").Body.String()
	if !strings.Contains(body, `<td data-name="Set by">labels/of-vlans</td>`) {
		t.Error(body)
	}
}

// What a device shows beside what it shall show.
func TestDifferences(t *testing.T) {
	for _, test := range []struct {
		name             string
		demanded, config serverapi.Config
		want             string // the marks, by path
	}{
		{"equal", config(`{"v":{"a":1}}`), config(`{"v":{"a":1.0}}`), "v.a: matches"},
		{"other", config(`{"v":{"a":[1,2]}}`), config(`{"v":{"a":[2,1]}}`), "v.a: differs!"},
		{"secret", config(`{"v":{"a":1}}`), config(`{}`), "v.a: not reported"},
		{"unset", config(`{"v":{"a":null}}`), config(`{}`), "v.a: matches"},
		{"not unset", config(`{"v":{"a":null}}`), config(`{"v":{"a":1}}`), "v.a: differs!"},
		{"not unset below", config(`{"v":{"a":null}}`), config(`{"v":{"a":{"b":1}}}`), "v.a.b: differs!, v.a: matches"},
		{"not asked for", config(`{}`), config(`{"v":{"a":1}}`), "v.a: not managed"},
		{"differences first", config(`{"v":{"a":1,"b":2,"c":3}}`), config(`{"v":{"a":1,"c":4,"d":5}}`),
			"v.c: differs!, v.b: not reported, v.a: matches, v.d: not managed"},
		{"counters last", config(`{}`), config(`{"observe-x":{"n":1},"v":{"stats":{"eth0":2},"z":3}}`),
			"v.z: not managed, observe-x.n: not managed, v.stats.eth0: not managed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := example()
			source.target.Config, source.device.Config = test.demanded, test.config
			body := get(t, source, "/page/devices/"+id.String()+"/").Body.String()
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

func config(text string) serverapi.Config {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var parsed serverapi.Config
	if err := decoder.Decode(&parsed); err != nil {
		panic(err)
	}
	return parsed
}
