// Package fakesnapd is a snapd for tests: a real HTTP server on a unix socket that answers questions about confdb as
// snapd of a chosen version does, from 2.61 to 2.77, traps included.
//
//	fake := fakesnapd.Start(t, fakesnapd.Config{Version: "2.68.3-3"})
//	b, err := snapd.Open(ctx, snapd.Options{Socket: fake.Socket})
//
// What it stores and how it judges comes from our own engine, which is checked against snapd elsewhere; so it fakes
// snapd's daemon, not its semantics. The recordings in testdata, of snapd 2.68.3 and 2.77.1, are replayed against it.
// What it says in other versions follows their sources.
//
// Not imitated: what is stored in the older dialects beyond the engine's rules (empty lists, most of all), random order
// of the keys of one write, load and query hooks (see Config.ReadLooks for the time they take), observers.
package fakesnapd

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
)

// A Config says what snapd to be. The zero value is snapd 2.77.1 with testschema and its custodian connected.
type Config struct {
	Version   string            // as snapd writes it; "" is "2.77.1-2"
	Documents []json.RawMessage // confdb-schemas in the form that `snap sign` takes; nil is testschema

	FlagOff      bool                       // the experimental flag is off
	NoCustodian  func(view string) bool     // no custodian is connected for this view; nil: all have one
	Reject       func(Write) string         // the custodian's change-view hook: a reason refuses; nil accepts
	HookFails    func(Write) (string, bool) // the hook exits non-zero after printing this
	Unauthorized bool                       // the caller is not root
	NoNotices    bool                       // there is no /v2/notices

	// WriteLooks and ReadLooks are how often a change has to be asked for until it is finished; 0: it is from the
	// beginning. So a test decides how slow hooks are without a clock. A write in 2.62 to 2.66 is always finished.
	WriteLooks, ReadLooks int

	// Intercept, if not nil, is asked before each request; true means that it has answered. To lose a connection,
	// panic with http.ErrAbortHandler.
	Intercept func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool
}

// A Write is a write as a custodian sees it.
type Write struct {
	View   backend.ViewID
	Values map[string]any
}

// A Fake is a running fake of snapd.
type Fake struct {
	Socket string
	Data   *Data

	mu       sync.Mutex // guards what follows
	config   Config
	held     bool
	changes  []*change
	ongoing  map[string]*change   // by account and schema: the write that excludes others
	leftover map[string][]*change // refused, but to run after the ongoing one
	notices  map[string]*notice
	moved    chan struct{} // closed and replaced whenever a change moves
	requests []string
	arrived  *sync.Cond // of another request
	clock    time.Time  // of the latest notice: they never share a moment
}

// Start starts a fake, which ends with the test.
func Start(t testing.TB, config Config) *Fake {
	t.Helper()
	if config.Version == "" {
		config.Version = "2.77.1-2"
	}
	if config.Documents == nil {
		config.Documents = []json.RawMessage{testschema.Document()}
	}
	data, err := NewData(config.Documents...)
	if err != nil {
		t.Fatalf("fake snapd: %v", err)
	}
	// Not t.TempDir: it can be longer than a unix socket's name may be.
	dir, err := os.MkdirTemp("", "snapd")
	if err != nil {
		t.Fatalf("fake snapd: %v", err)
	}
	f := &Fake{
		Socket: filepath.Join(dir, "snapd.socket"), Data: data, config: config,
		ongoing: map[string]*change{}, leftover: map[string][]*change{}, notices: map[string]*notice{},
		moved: make(chan struct{}),
	}
	f.arrived = sync.NewCond(&f.mu)
	listener, err := net.Listen("unix", f.Socket)
	if err != nil {
		t.Fatalf("fake snapd: %v", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(f.serve), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // always http.ErrServerClosed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		_ = os.RemoveAll(dir)
	})
	return f
}

// Configure changes the fake while it runs: a snapd that was refreshed, a flag that was turned on.
func (f *Fake) Configure(change func(*Config)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.config)
}

// Requests returns the requests so far, as METHOD and URI.
func (f *Fake) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.requests...)
}

// Await waits until a request, as METHOD and URI, has come in that matches, not counting the first skip requests.
func (f *Fake) Await(skip int, match func(request string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !slices.ContainsFunc(f.requests[skip:], match) {
		f.arrived.Wait()
	}
}

// Hold stops all writes on their way until release is called.
func (f *Fake) Hold() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = true
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.held = false
		for _, c := range f.changes { // those that begin meanwhile wait for nothing
			f.advance(c, true)
		}
	}
}

func (f *Fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.RequestURI())
	f.arrived.Broadcast()
	intercept := f.config.Intercept
	f.mu.Unlock()
	if intercept != nil && intercept(w, r, f.route) {
		return
	}
	f.route(w, r)
}

// route answers a request, under the lock except while it waits.
func (f *Fake) route(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, known := eraOf(f.config.Version)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "", "not found") })
	mux.HandleFunc("/v2/system-info", f.systemInfo)
	mux.HandleFunc("/v2/changes/{id}", f.showChange)
	if known && !f.config.NoNotices {
		mux.HandleFunc("/v2/notices", f.showNotices)
	}
	if known {
		mux.HandleFunc("/v2/assertions/{type}", f.showAssertions)
		mux.HandleFunc(e.path+"{account}/{schema}/{view}", func(w http.ResponseWriter, r *http.Request) {
			f.view(w, r, e)
		})
	}
	mux.ServeHTTP(w, r)
}

func (f *Fake) systemInfo(w http.ResponseWriter, _ *http.Request) {
	info := map[string]any{
		"version": f.config.Version, "series": "16", "on-classic": true, "confinement": "partial",
		"os-release": map[string]any{"id": "debian"},
	}
	if e, known := eraOf(f.config.Version); known {
		info["features"] = map[string]any{
			"hotplug": map[string]any{"supported": true, "enabled": false},
			e.flag:    map[string]any{"supported": true, "enabled": !f.config.FlagOff},
		}
	}
	answer(w, info)
}

func (f *Fake) showAssertions(w http.ResponseWriter, r *http.Request) {
	e, _ := eraOf(f.config.Version)
	if kind := r.PathValue("type"); kind != e.assertion {
		refuse(w, 400, "", "invalid assert type: "+strconv.Quote(kind))
		return
	}
	views := map[string]any{} // by confdb-schema
	for _, document := range f.config.Documents {
		var headers struct {
			Account string         `json:"account-id"`
			Name    string         `json:"name"`
			Views   map[string]any `json:"views"`
		}
		if err := json.Unmarshal(document, &headers); err != nil {
			panic(err) // it was a confdb-schema before
		}
		views[headers.Account+"/"+headers.Name] = headers.Views
	}
	list := []any{}
	for _, schema := range f.Data.Schemas() {
		list = append(list, map[string]any{"headers": map[string]any{
			"type": e.assertion, "authority-id": schema.Account, "account-id": schema.Account, "name": schema.Name,
			"views": views[schema.Account+"/"+schema.Name],
		}})
	}
	answer(w, list)
}

// send writes an envelope.
func send(w http.ResponseWriter, status int, envelope map[string]any) {
	envelope["status-code"], envelope["status"] = status, http.StatusText(status)
	text, err := json.Marshal(envelope)
	if err != nil {
		panic(err) // what is sent was JSON before
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone is its own affair
}

func answer(w http.ResponseWriter, result any) {
	send(w, http.StatusOK, map[string]any{"type": "sync", "result": result})
}

func accept(w http.ResponseWriter, change string) {
	send(w, http.StatusAccepted, map[string]any{"type": "async", "result": nil, "change": change})
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	result := map[string]any{"message": message}
	if kind != "" {
		result["kind"] = kind
	}
	send(w, status, map[string]any{"type": "error", "result": result})
}
