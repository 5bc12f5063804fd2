// Package fakesnapctl imitates the endpoint that snapd has for the snapctl requests of snaps, with one snap and the
// confdb behind it: an HTTP server on a unix socket, in the dialect of any snapd from 2.64 to 2.77, with its traps. Its
// exchanges are checked against recorded ones; the data follow the engine in registry/confdb.
//
//	server := fakesnapctl.Start(t, fakesnapctl.Options{Version: "2.77.1"})
//	b, err := snapctl.Open(ctx, snapctl.Options{Socket: server.Socket(), Cookie: server.Cookie()})
//
// What an administrator and other snaps do to the real one has a method here: connecting plugs, turning the flag off,
// writing as root, a hook that refuses. The traps that are imitated:
//
//   - `set` from an app tells success when a hook refused, a hook failed or the commit did;
//   - the values of a set are applied in random order, each validated by itself;
//   - in a change-view hook only the last set counts, a refused one makes the commit fail, and get shows none of them;
//   - is-connected says "no" with an error envelope and HTTP status 200, and does not know plugs with a colon;
//   - a plug without its colon is taken for the name of a configuration option;
//   - an unknown flag, a missing or stale cookie, a user who is not root;
//   - a write that takes too long is answered, and carried out later all the same (2.76 and later);
//   - what a load-view hook sets is shown by this one read and not stored; when the hook fails, get from an app does not
//     tell and shows what is stored.
//
// Not imitated: the hooks of lifecycle events, and configuration keys with dots, which snapd takes for nested ones.
package fakesnapctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/internal/snapctlcmd"
	"aspects-poc/registry/internal/snapdhttp"
	"aspects-poc/registry/registrytest/testschema"
)

// Options say what to imitate. The zero value is snapd 2.77.1 with testschema, all of whose views have a
// connected plug of the view's name and a custodian.
type Options struct {
	Version  string          // of snapd; "" means "2.77.1-2"
	Document json.RawMessage // the confdb-schema; nil means testschema.Document()
	Snap     string          // instance name of the calling snap; "" means "cust"
	Plugs    map[string]Plug // beside one for each view, and "network", which is no confdb plug
	Services []string        // names of the snap's services, all running; nil means "svc"
	Seed     uint64          // of the random order in which values are applied
}

// A Plug is a plug of the calling snap.
type Plug struct {
	Interface             string // "confdb", or another one
	Account, Schema, View string
}

// A Hook is what the snap runs when snapd calls a hook of it. An error ends the hook with a failure.
type Hook func(call HookCall) error

// A HookCall is one run of a hook.
type HookCall struct {
	Name   string
	Cookie string // valid until the hook has returned
}

// A Call is one request that the server got.
type Call struct {
	Cookie string
	Args   []string
}

// A Server is a running imitation. Its methods are safe for concurrent use.
type Server struct {
	socket string
	snap   string
	schema *confdb.Schema

	turn    chan struct{}  // holds one token: who may access the confdb
	changes sync.WaitGroup // changes that go on behind an answer

	mu        sync.Mutex // guards what follows
	dialect   snapctlcmd.Dialect
	bag       databag.Bag
	plugs     map[string]Plug
	connected map[string]bool
	custodian map[string]bool // by view
	enabled   bool
	unknown   bool // no assertion of the confdb-schema
	uid       int
	hooks     map[string]Hook
	contexts  map[string]*hookContext // by cookie; nil for the snap's own
	config    map[string]any
	services  map[string]int // restarts
	stopped   map[string]bool
	calls     []Call
	lastID    int
	stall     chan struct{} // not nil: changes wait for it
	badCommit error
	random    *rand.Rand
}

// Start starts a server on a socket in a new directory, until the test has ended.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	if options.Version == "" {
		options.Version = "2.77.1-2"
	}
	if options.Document == nil {
		options.Document = testschema.Document()
	}
	if options.Snap == "" {
		options.Snap = "cust"
	}
	version, ok := snapdhttp.ParseVersion(options.Version)
	if !ok {
		t.Fatalf("cannot imitate snapd %q", options.Version)
	}
	schema, err := confdb.ParseDocument(options.Document)
	if err != nil {
		t.Fatalf("cannot imitate snapd with this confdb-schema: %v", err)
	}
	s := &Server{
		socket:    filepath.Join(t.TempDir(), "snapd-snap.socket"),
		snap:      options.Snap,
		schema:    schema,
		turn:      make(chan struct{}, 1),
		dialect:   snapctlcmd.DialectOf(options.Version, version),
		plugs:     map[string]Plug{"network": {Interface: "network"}},
		connected: map[string]bool{"network": true},
		custodian: map[string]bool{},
		enabled:   true,
		hooks:     map[string]Hook{},
		contexts:  map[string]*hookContext{"permanent-cookie-of-" + options.Snap: nil},
		config:    map[string]any{},
		services:  map[string]int{},
		stopped:   map[string]bool{},
		random:    rand.New(rand.NewPCG(options.Seed, 0)),
	}
	if options.Services == nil {
		options.Services = []string{"svc"}
	}
	for _, service := range options.Services {
		s.services[options.Snap+"."+service] = 0
	}
	for _, view := range schema.Views() {
		s.plugs[view] = Plug{Account: schema.Account, Schema: schema.Name, View: view}
		s.custodian[view] = true
	}
	for name, plug := range options.Plugs {
		s.plugs[name] = plug
	}
	for name, plug := range s.plugs {
		if plug.Interface == "" {
			plug.Interface = "confdb"
			s.plugs[name] = plug
		}
		s.connected[name] = true
	}
	s.serve(t)
	return s
}

func (s *Server) serve(t testing.TB) {
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatalf("cannot imitate snapd: %v", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(s.handle), ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		s.mu.Lock()
		stall := s.stall
		s.stall = nil
		s.mu.Unlock()
		if stall != nil {
			close(stall)
		}
		_ = server.Close() // a test that failed may have left connections
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("fake snapctl: %v", err)
		}
		s.changes.Wait()
	})
}

// Socket returns the path of the socket.
func (s *Server) Socket() string { return s.socket }

// Cookie returns the snap's permanent cookie, as apps and services get it.
func (s *Server) Cookie() string { return "permanent-cookie-of-" + s.snap }

// Snap returns the calling snap's instance name.
func (s *Server) Snap() string { return s.snap }

// Connect connects a plug, Disconnect does the opposite.
func (s *Server) Connect(plug string) { s.change(func() { s.connected[plug] = true }) }

// Disconnect disconnects a plug.
func (s *Server) Disconnect(plug string) { s.change(func() { s.connected[plug] = false }) }

// SetCustodian says whether a view has a connected custodian.
func (s *Server) SetCustodian(view string, connected bool) {
	s.change(func() { s.custodian[view] = connected })
}

// SetEnabled turns the experimental flag on or off.
func (s *Server) SetEnabled(enabled bool) { s.change(func() { s.enabled = enabled }) }

// SetAcknowledged says whether snapd has the confdb-schema's assertion.
func (s *Server) SetAcknowledged(acknowledged bool) { s.change(func() { s.unknown = !acknowledged }) }

// SetUID says which user the caller is; 0 is the default.
func (s *Server) SetUID(uid int) { s.change(func() { s.uid = uid }) }

// SetVersion lets another snapd answer from now on, as after a refresh.
func (s *Server) SetVersion(t testing.TB, text string) {
	t.Helper()
	version, ok := snapdhttp.ParseVersion(text)
	if !ok {
		t.Fatalf("cannot imitate snapd %q", text)
	}
	s.change(func() { s.dialect = snapctlcmd.DialectOf(text, version) })
}

// Handle gives the snap a hook, such as "change-view-control-tunnel"; nil takes it away. Hooks of views are run for
// writes by apps of the snap and by Write.
func (s *Server) Handle(name string, hook Hook) { s.change(func() { s.hooks[name] = hook }) }

// FailCommits lets commits fail from now on; nil lets them succeed.
func (s *Server) FailCommits(err error) { s.change(func() { s.badCommit = err }) }

// Hold lets another transaction occupy the confdb until the returned function is called.
func (s *Server) Hold() (release func()) {
	s.turn <- struct{}{}
	return sync.OnceFunc(func() { <-s.turn })
}

// Stall keeps changes from ending until the returned function is called, so that a set takes longer than snapd waits.
// The function returns when they have ended.
func (s *Server) Stall() (release func()) {
	stall := make(chan struct{})
	s.change(func() { s.stall = stall })
	return sync.OnceFunc(func() {
		s.mu.Lock()
		mine := s.stall == stall
		if mine {
			s.stall = nil
		}
		s.mu.Unlock()
		if mine {
			close(stall)
		}
		s.changes.Wait()
	})
}

// Load replaces what is stored by a JSON object.
func (s *Server) Load(t testing.TB, text string) {
	t.Helper()
	bag, err := databag.Parse([]byte(text))
	if err != nil {
		t.Fatalf("cannot load %s: %v", text, err)
	}
	s.change(func() { s.bag = bag })
}

// Stored returns what is stored, as compact JSON.
func (s *Server) Stored() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.bag.AppendJSON(nil))
}

// Write writes as the administrator does with `snap set`: it returns what refused, and observers are told.
func (s *Server) Write(view string, values map[string]any) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	tx, err := s.begin(view, values)
	if err != nil {
		return err
	}
	return s.finish(tx, view, true)
}

// Read reads as the administrator does with `snap get`, through a custodian's load-view hook if there is one. Without
// keys it is the whole view.
func (s *Server) Read(view string, keys ...string) (map[string]any, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	bag, err := s.load(view)
	if err != nil {
		return nil, err
	}
	found, err := s.schema.Read(bag, view, keys, confdb.ReadOptions{})
	if err != nil {
		return nil, err
	}
	document, ok := found.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s shows %v, which is no document", view, found)
	}
	return document, nil
}

// SetConfig changes options of the snap's configuration, as `snap set SNAP` does before it runs the configure hook; nil
// unsets.
func (s *Server) SetConfig(values map[string]any) {
	s.change(func() {
		for key, value := range values {
			if s.config[key] = value; value == nil {
				delete(s.config, key)
			}
		}
	})
}

// Hook runs a hook of a lifecycle event, such as "configure", with a cookie of its own, and returns its error. Writes
// of confdb in it are not imitated.
func (s *Server) Hook(name string, hook Hook) error {
	_, err := s.call(name, hook, &hookContext{hook: name})
	return err
}

// StopService stops a service, named SNAP.SERVICE, as `snap stop` does.
func (s *Server) StopService(service string) { s.change(func() { s.stopped[service] = true }) }

// Config returns an option of the snap's configuration, nil where it is not set.
func (s *Server) Config(key string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config[key]
}

// Restarts returns how often a service, named SNAP.SERVICE, was restarted.
func (s *Server) Restarts(service string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.services[service]
}

// Calls returns the requests since the beginning or the last ResetCalls.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// ResetCalls forgets the requests.
func (s *Server) ResetCalls() { s.change(func() { s.calls = nil }) }

func (s *Server) change(act func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	act()
}

// current returns the dialect that is spoken at the moment.
func (s *Server) current() snapctlcmd.Dialect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialect
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v2/snapctl" {
		refuse(w, http.StatusForbidden, "access denied", "login-required")
		return
	}
	if r.Method != http.MethodPost {
		refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("method %q not allowed", r.Method), "")
		return
	}
	var body struct {
		Context string   `json:"context-id"`
		Args    []string `json:"args"`
		Stdin   []byte   `json:"stdin"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "cannot decode snapctl request: "+err.Error(), "")
		return
	}
	if len(body.Args) == 0 {
		refuse(w, http.StatusBadRequest, "snapctl cannot run without args", "")
		return
	}
	s.change(func() { s.calls = append(s.calls, Call{Cookie: body.Context, Args: body.Args}) })
	stdout, err := s.run(r.Context(), body.Context, body.Args)
	var denied *snapctlcmd.DeniedError
	var no *exitError
	switch {
	case err == nil:
		answer(w, http.StatusOK, map[string]any{
			"type": "sync", "status-code": http.StatusOK, "status": "OK",
			"result": map[string]any{"stdout": stdout, "stderr": ""},
		})
	case errors.As(err, &denied):
		refuse(w, http.StatusForbidden, denied.Error(), "login-required")
	case errors.As(err, &no):
		// Yes: an error with status 200.
		answer(w, http.StatusOK, map[string]any{
			"type": "error", "status-code": http.StatusOK, "status": "OK",
			"result": map[string]any{
				"message": no.Error(), "kind": "unsuccessful",
				"value": map[string]any{"exit-code": no.code, "stdout": "", "stderr": ""},
			},
		})
	default:
		refuse(w, http.StatusBadRequest, s.current().Prefix+err.Error(), "")
	}
}

func refuse(w http.ResponseWriter, status int, message, kind string) {
	result := map[string]any{"message": message}
	if kind != "" {
		result["kind"] = kind
	}
	answer(w, status, map[string]any{
		"type": "error", "status-code": status, "status": http.StatusText(status), "result": result,
	})
}

func answer(w http.ResponseWriter, status int, envelope any) {
	text, err := json.Marshal(envelope)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that went away is its own affair
}

// An exitError is a command that says "no" by its exit code.
type exitError struct{ code int }

func (e *exitError) Error() string { return "unsuccessful with exit code: " + strconv.Itoa(e.code) }
