// Package machine runs an imitated machine with snapd for tests. Its main type is Machine. It is the development
// kit's machine (internal/kit/world and internal/kit/rest) on two unix sockets, with a snap that is the custodian of
// all views, in any version of snapd, and with faults.
//
//	m := machine.Start(t, machine.Options{Version: "2.68.3-3"})
//	b, err := snapd.Open(ctx, snapd.Options{Socket: m.Socket()})
//
// Requests pass three layers: Main or Snaps, which record, answer or lose requests (package faults); the layer for
// older releases (package older); and snapd 2.77.1. Methods of Machine and of World are the acts of the administrator
// and of other snaps.
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/machine/faults"
	"aspects-poc/internal/machine/older"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
)

// Options are options of Start. The zero value is snapd 2.77.1 with testschema, and a snap "cust" with a service
// "svc" and a connected plug with the custodian's role for each view, named like the view.
type Options struct {
	Version   string                // in snapd's notation; "" means "2.77.1-2"
	Documents []json.RawMessage     // confdb-schemas in the form for `snap sign`; nil means testschema.Document
	Snap      string                // instance name; "" means "cust"
	Plugs     map[string]facts.Plug // additional plugs, besides "network" and one for each view of the first confdb-schema
	Services  []string              // running services of the snap; nil means "svc"

	WriteLimit time.Duration // how long snapctl waits for a write; 0 means 2 min, as in snapd
}

// A Machine runs until its test ends. It is safe for concurrent use.
//
// It has many methods because there is one for each act of an administrator or a snap, and for each fault, that tests need.
type Machine struct {
	World       *world.World
	Main, Snaps *faults.Layer // layers on snapd's main socket and on the socket for snaps

	dir    string
	snap   string
	cookie string
	schema facts.Schema // the first one
	older  *older.Layer
	nobody atomic.Bool // whether requests come from a user other than root

	mu       sync.Mutex // guards what follows
	hooks    map[string]Hook
	held     chan struct{} // change-view hooks wait until it is closed; nil if they do not wait
	poisoned bool          // commits fail
	restarts map[string]int
}

// Start starts a machine. It uses only Helper, Fatalf, Errorf and Cleanup of the test.
func Start(t testing.TB, options Options) *Machine {
	t.Helper()
	m, err := start(options)
	if err != nil {
		t.Fatalf("cannot start the machine: %v", err)
	}
	stop, err := m.serve()
	if err != nil {
		t.Fatalf("cannot start the machine: %v", err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the machine: %v", err)
		}
	})
	return m
}

func start(options Options) (*Machine, error) {
	if options.Version == "" {
		options.Version = "2.77.1-2"
	}
	if options.Documents == nil {
		options.Documents = []json.RawMessage{testschema.Document()}
	}
	if options.Snap == "" {
		options.Snap = "cust"
	}
	if options.Services == nil {
		options.Services = []string{"svc"}
	}
	m := &Machine{snap: options.Snap, older: older.New(options.Version), hooks: map[string]Hook{}, restarts: map[string]int{}}
	var err error
	m.World, err = world.Open("", changes.Options{Runner: m.older.Hooks(changes.RunnerFunc(m.runHook)), Services: m, WriteLimit: options.WriteLimit})
	if err != nil {
		return nil, err
	}
	return m, m.furnish(options)
}

func (m *Machine) furnish(options Options) error {
	for i, document := range options.Documents {
		schema, err := facts.ParseSchema(document)
		if err == nil {
			err = m.World.Facts.Acknowledge(schema)
		}
		if err != nil {
			return err
		}
		if i == 0 {
			m.schema = schema
		}
	}
	if err := m.World.Facts.SetSystem(map[string]any{flag: true}); err != nil {
		return err
	}
	snap := facts.Snap{Version: "1", Plugs: map[string]facts.Plug{"network": {Interface: "network"}}, Services: map[string]facts.Service{}}
	snap.Name, snap.Key = splitInstance(options.Snap)
	for _, service := range options.Services {
		snap.Services[service] = facts.Service{Command: "bin/" + service, Daemon: "simple", Running: true}
	}
	var plugs []string
	add := func(name string, plug facts.Plug) {
		snap.Plugs[name] = plug
		plugs = append(plugs, name)
	}
	for _, view := range m.schema.Parsed.Views() {
		add(view, facts.Plug{Interface: "confdb", Account: m.schema.Parsed.Account, View: m.schema.Parsed.Name + "/" + view, Role: facts.Custodian})
		snap.Hooks = append(snap.Hooks, changeView+view) // lets tests hold writes
	}
	for name, plug := range options.Plugs {
		add(name, plug)
	}
	if err := m.World.Facts.Install(snap, plugs...); err != nil {
		return err
	}
	var err error
	m.cookie, err = m.World.Facts.Now().Cookie(options.Snap)
	return err
}

const flag = "experimental.confdb"

// serve starts the servers. stop ends them and the machine.
func (m *Machine) serve() (stop func() error, err error) {
	server, err := rest.New(rest.Options{World: m.World, Root: func(int) bool { return !m.nobody.Load() }})
	if err != nil {
		return nil, err
	}
	m.older.Over(m.World, server.Handler(), server.SnapHandler())
	m.Main = faults.Over(http.HandlerFunc(m.older.Main))
	m.Snaps = faults.Over(http.HandlerFunc(m.older.Snaps))
	// The path of a socket must be short.
	if m.dir, err = os.MkdirTemp("", "snapd"); err != nil {
		return nil, err
	}
	var servers []*http.Server
	var serving sync.WaitGroup
	for path, handler := range map[string]http.Handler{m.Socket(): m.Main, m.SnapSocket(): m.Snaps} {
		listener, err := net.Listen("unix", path)
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ConnContext: rest.ConnContext}
		servers = append(servers, server)
		serving.Go(func() { _ = server.Serve(listener) }) // always http.ErrServerClosed
	}
	return func() error {
		for _, server := range servers {
			_ = server.Close() // a failed test may have left connections
		}
		serving.Wait()
		err := m.World.Close()
		m.older.Wait()
		return errors.Join(err, os.RemoveAll(m.dir))
	}, nil
}

// Socket returns the path of snapd's main socket.
func (m *Machine) Socket() string { return filepath.Join(m.dir, "snapd.socket") }

// SnapSocket returns the path of the socket for snaps.
func (m *Machine) SnapSocket() string { return filepath.Join(m.dir, "snapd-snap.socket") }

// Snap returns the instance name of the snap.
func (m *Machine) Snap() string { return m.snap }

// Cookie returns the snapctl cookie of the snap's apps and services.
func (m *Machine) Cookie() string { return m.cookie }

// SetVersion changes the version of snapd, as a refresh does.
func (m *Machine) SetVersion(text string) { m.older.SetVersion(text) }

// SetRoot sets whether requests come from root. At the start they do.
func (m *Machine) SetRoot(root bool) { m.nobody.Store(!root) }

// View returns the ID of a view of the first confdb-schema.
func (m *Machine) View(name string) backend.ViewID {
	return backend.ViewID{Account: m.schema.Parsed.Account, Schema: m.schema.Parsed.Name, View: name}
}

// Views returns the names of the views of the first confdb-schema.
func (m *Machine) Views() []string { return m.schema.Parsed.Views() }

// A Call is one call of snapctl.
type Call struct {
	Cookie string   `json:"context-id"`
	Args   []string `json:"args"`
}

// Calls returns the calls of snapctl since the beginning or the last ResetCalls.
func (m *Machine) Calls() []Call {
	var calls []Call
	for _, request := range m.Snaps.Requests() {
		var call Call
		if json.Unmarshal(request.Body, &call) == nil {
			calls = append(calls, call)
		}
	}
	return calls
}

// ResetCalls clears the recorded calls.
func (m *Machine) ResetCalls() { m.Snaps.Reset() }

// Service counts restarts.
func (m *Machine) Service(_ context.Context, action string, snap facts.Snap, service string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if action == "restart" {
		m.restarts[snap.Instance()+"."+service]++
	}
	return nil
}

// Restarts returns how often a service, named SNAP.SERVICE, was restarted.
func (m *Machine) Restarts(service string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.restarts[service]
}
