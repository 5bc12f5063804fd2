package snapd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/machine"
	"aspects-poc/internal/machine/faults"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/registry/snapd"
)

var plain backend.GetOptions

func viewID(view string) backend.ViewID {
	return backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: view}
}

var (
	telemetry = viewID(testschema.ControlTelemetryView)
	tunnel    = viewID(testschema.ControlTunnelView)
	device    = viewID(testschema.ControlDeviceView)
)

func open(t *testing.T, m *machine.Machine, options ...snapd.Options) *snapd.Backend {
	t.Helper()
	o := snapd.Options{}
	if len(options) > 0 {
		o = options[0]
	}
	o.Socket = m.Socket()
	b, err := snapd.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// wantError checks the kind of an error and, unless they are "", its text and remedy.
func wantError(t *testing.T, err, kind error, message, remedy string) {
	t.Helper()
	_ = refusal(t, err, kind, message, remedy)
}

// refusal is wantError. It returns the error.
func refusal(t *testing.T, err, kind error, message, remedy string) *backend.Error {
	t.Helper()
	var e *backend.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *backend.Error, want %v", err, kind)
	}
	if !errors.Is(err, kind) {
		t.Errorf("error %v is of kind %v, want %v", err, e.Kind, kind)
	}
	if message != "" && e.Message != message {
		t.Errorf("message is %q, want %q", e.Message, message)
	}
	if e.Remedy != remedy {
		t.Errorf("remedy is %q, want %q", e.Remedy, remedy)
	}
	if e.Error() == "" {
		t.Error("error without words")
	}
	return e
}

// TestWire checks the requests and answers of each generation.
func TestWire(t *testing.T) {
	a := testschema.AccountID
	timeout := regexp.MustCompile(`access-timeout=[0-9.]+m?s|"access-timeout":"[0-9.]+m?s"`)
	tests := []struct{ version, get, put string }{
		{"2.68.3-3+deb13u1+b7", "/v2/confdb/A/network/control-telemetry?fields=monitor-peers,sample-rate", `{"monitor-peers":null,"sample-rate":3}`},
		{"2.69", "/v2/confdb/A/network/control-telemetry?fields=monitor-peers,sample-rate", `{"monitor-peers":null,"sample-rate":3}`},
		{"2.70", "/v2/confdb/A/network/control-telemetry?fields=monitor-peers,sample-rate", `{"monitor-peers":null,"sample-rate":3}`},
		{"2.71", "/v2/confdb/A/network/control-telemetry?keys=monitor-peers,sample-rate", `{"monitor-peers":null,"sample-rate":3}`},
		{"2.72", "/v2/confdb/A/network/control-telemetry?keys=monitor-peers,sample-rate", `{"monitor-peers":null,"sample-rate":3}`},
		{"2.73", "/v2/confdb/A/network/control-telemetry?keys=monitor-peers,sample-rate", `{"values":{"monitor-peers":null,"sample-rate":3}}`},
		{"2.75.2.1", "/v2/confdb/A/network/control-telemetry?keys=monitor-peers,sample-rate", `{"values":{"monitor-peers":null,"sample-rate":3}}`},
		{"2.76", "/v2/confdb/A/network/control-telemetry?TIMEOUT&keys=monitor-peers,sample-rate", `{"options":{TIMEOUT},"values":{"monitor-peers":null,"sample-rate":3}}`},
		{"2.77.1-2", "/v2/confdb/A/network/control-telemetry?TIMEOUT&keys=monitor-peers,sample-rate", `{"options":{TIMEOUT},"values":{"monitor-peers":null,"sample-rate":3}}`},
		{"unknown", "/v2/confdb/A/network/control-telemetry?TIMEOUT&keys=monitor-peers,sample-rate", `{"options":{TIMEOUT},"values":{"monitor-peers":null,"sample-rate":3}}`},
	}
	for _, test := range tests {
		t.Run(test.version, func(t *testing.T) {
			m := machine.Start(t, machine.Options{Version: test.version})
			sent := func(method string) (list []string) {
				for _, r := range m.Main.Requests() {
					if r.Method != method || !strings.Contains(r.URI, a) {
						continue
					}
					text := strings.ReplaceAll(strings.ReplaceAll(r.URI, a, "A"), "%2C", ",")
					if method == http.MethodPut {
						text = string(r.Body)
					}
					list = append(list, timeout.ReplaceAllString(text, "TIMEOUT"))
				}
				return list
			}
			b := open(t, m)
			if err := b.Set(t.Context(), telemetry, map[string]any{"sample-rate": json.Number("3"), "monitor-peers": nil}); err != nil {
				t.Fatal(err)
			}
			got, err := b.Get(t.Context(), telemetry, []string{"sample-rate", "monitor-peers", "sample-rate"}, plain)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]any{"sample-rate": json.Number("3")}, got); diff != "" {
				t.Errorf("values differ (-want +got):\n%s", diff)
			}
			gets, puts := sent(http.MethodGet), sent(http.MethodPut)
			if gets[0] != test.get {
				t.Errorf("GET %s, want %s", gets[0], test.get)
			}
			if len(puts) != 1 || puts[0] != test.put {
				t.Errorf("PUT %s, want %s", puts, test.put)
			}
			for _, r := range m.Main.Requests() {
				if r.Method == http.MethodPut && r.Type != "application/json" {
					t.Errorf("content type %q", r.Type)
				}
			}
			// Where requests without a rule are left out, each missing one is asked for alone, once.
			if _, err := b.Get(t.Context(), telemetry, []string{"sample-rate", "monitor-peers"}, plain); err != nil {
				t.Error(err)
			}
			if again := len(sent(http.MethodGet)) - len(gets); again != 1 {
				t.Errorf("asked %d times the second time", again)
			}
		})
	}
}

// TestRefusals checks the kind of each refusal in each generation.
func TestRefusals(t *testing.T) {
	connect := func(view string) string {
		return "snap connect CUSTODIAN-SNAP:PLUG, whose plug has role custodian and view network/" + view
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			m := machine.Start(t, machine.Options{Version: version})
			b := open(t, m)
			m.Put(telemetry, map[string]any{"sample-rate": json.Number("3"), "monitor-packets-sent": true})
			get := func(view backend.ViewID, requests ...string) error {
				values, err := b.Get(t.Context(), view, requests, plain)
				if err != nil && values != nil {
					t.Errorf("values %v beside error %v", values, err)
				}
				return err
			}
			set := func(values map[string]any) error { return b.Set(t.Context(), telemetry, values) }

			wantError(t, get(telemetry, "monitor-peers"), backend.ErrNoData, "", "")
			wantError(t, get(tunnel), backend.ErrNoData, "", "")
			wantError(t, get(telemetry, "nosuch"), backend.ErrNoMatch, "", "")
			wantError(t, get(telemetry, "sample-rate", "nosuch"), backend.ErrNoMatch, "", "")
			wantError(t, get(telemetry, "monitor-peers", "nosuch"), backend.ErrNoMatch, "", "")
			wantError(t, get(telemetry, "Sample"), backend.ErrBadRequest, "", "")
			wantError(t, get(viewID("nosuch")), backend.ErrNoView, "", "")
			other := backend.ViewID{Account: "ACC", Schema: "other", View: "v"}
			wantError(t, get(other), backend.ErrNoSchema, "", "snap ack FILE, with the signed assertion of ACC/other")
			for _, odd := range []backend.ViewID{
				{}, {Account: "..", Schema: "b", View: "c"}, {Account: "a/b", Schema: "c", View: "d"},
			} {
				wantError(t, get(odd), backend.ErrBadRequest, "", "")
			}
			wantError(t, get(telemetry, "a,b"), backend.ErrBadRequest, "", "")
			wantError(t, get(telemetry, ""), backend.ErrBadRequest, "", "")

			e := refusal(t, set(map[string]any{"sample-rate": json.Number("-3")}), backend.ErrInvalid,
				`cannot write data: cannot accept element in "metrics.sample-rate": -3 is less than the allowed minimum 0`, "")
			if e.Path != "metrics.sample-rate" || e.Reason != "-3 is less than the allowed minimum 0" {
				t.Errorf("violation at %q: %q", e.Path, e.Reason)
			}
			wantError(t, set(map[string]any{"nosuch": true}), backend.ErrNoMatch, "", "")
			wantError(t, set(map[string]any{"Sample": true}), backend.ErrBadRequest, "", "")
			wantError(t, set(nil), backend.ErrBadRequest, "", "")

			hook := "change-view-" + telemetry.View
			m.Handle(hook, m.Rejecting("50 is (far) too high"))
			e = refusal(t, set(map[string]any{"sample-rate": json.Number("50")}), backend.ErrRejected, "", "")
			if e.Reason != "50 is (far) too high" || !strings.Contains(e.Message, "cust rejected changes: ") {
				t.Errorf("rejected with reason %q: %q", e.Reason, e.Message)
			}
			m.Handle(hook, func(machine.HookCall) error { return errors.New("first line\nsecond line") })
			e = refusal(t, set(map[string]any{"sample-rate": json.Number("51")}), backend.ErrRejected, "", "")
			if e.Reason != "first line\nsecond line" {
				t.Errorf("hook failed with reason %q", e.Reason)
			}
			m.Handle(hook, nil)
			m.Disconnect(telemetry.View)
			wantError(t, set(map[string]any{"sample-rate": json.Number("52")}), backend.ErrNoCustodian, "", connect("control-telemetry"))
			if err := get(telemetry); version >= "2.69" {
				wantError(t, err, backend.ErrNoCustodian, "", connect("control-telemetry"))
			} else if err != nil {
				t.Errorf("without custodian: %v", err)
			}
			m.Connect(telemetry.View)
			m.SetEnabled(false)
			flag := "confdb"
			if version < "2.69" {
				flag = "confdbs"
			}
			remedy := "snap set system experimental." + flag + "=true"
			wantError(t, get(telemetry), backend.ErrDisabled, "", remedy)
			wantError(t, set(map[string]any{"sample-rate": json.Number("5")}), backend.ErrDisabled, "", remedy)
			m.SetEnabled(true)
			m.SetRoot(false)
			wantError(t, get(telemetry), backend.ErrUnauthorized, "", "run it as root")
			wantError(t, set(map[string]any{"sample-rate": json.Number("5")}), backend.ErrUnauthorized, "", "run it as root")
		})
	}
}

func TestOpenRefusesWhatItCannotSpeak(t *testing.T) {
	for version, want := range map[string]string{
		"2.67": "snapd 2.67 is too old: shared configuration begins with 2.68",
		"2.30": "snapd 2.30 is too old: shared configuration begins with 2.68",
	} {
		m := machine.Start(t, machine.Options{Version: version})
		_, err := snapd.Open(t.Context(), snapd.Options{Socket: m.Socket()})
		if e := refusal(t, err, backend.ErrUnsupported, "", "install snapd 2.77 or later"); e.Reason != want {
			t.Errorf("reason is %q, want %q", e.Reason, want)
		}
	}
	_, err := snapd.Open(t.Context(), snapd.Options{Socket: filepath.Join(t.TempDir(), "none")})
	wantError(t, err, backend.ErrUnreachable, "", "systemctl start snapd.socket")
}

func TestConstraints(t *testing.T) {
	interfaces := viewID(testschema.ControlInterfacesView)
	stored := map[string]any{"stats": map[string]any{
		"eth0":  map[string]any{"n-sent": json.Number("1"), "n-received": json.Number("2")},
		"wlan0": map[string]any{"n-sent": json.Number("3"), "n-received": json.Number("4")},
	}}
	tests := []struct {
		version    string
		constraint any
		want       error
	}{
		{"2.77.1", "eth0", nil},
		{"2.74", "eth0", nil},
		{"2.74", json.Number("5"), backend.ErrUnsupported},
		{"2.74", []any{}, backend.ErrBadRequest},
		{"2.75", json.Number("5"), backend.ErrNoData},
		{"2.75", nil, backend.ErrBadRequest},
		{"2.75", map[string]any{}, backend.ErrBadRequest},
		{"2.73", "eth0", backend.ErrUnsupported},
		{"2.68", "eth0", backend.ErrUnsupported},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.version, test.constraint), func(t *testing.T) {
			m := machine.Start(t, machine.Options{Version: test.version})
			m.Put(interfaces, stored)
			got, err := open(t, m).Get(t.Context(), interfaces, []string{"stats"},
				backend.GetOptions{Constraints: map[string]any{"name": test.constraint}})
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if test.want != nil {
				return
			}
			want := map[string]any{"stats": map[string]any{"eth0": stored["stats"].(map[string]any)["eth0"]}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("values differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetSendsOnlyWhatSurvives(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	b := open(t, m)
	err := b.Set(t.Context(), telemetry, map[string]any{"sample-rate": json.Number("9007199254740993")})
	wantError(t, err, backend.ErrBadRequest, "", "write it as a string")
	err = b.Set(t.Context(), tunnel, map[string]any{"peers": []any{"10.0.0.1", json.Number("1e999")}})
	wantError(t, err, backend.ErrBadRequest, "", "write it as a string")
	if slices.ContainsFunc(m.Main.Requests(), func(r faults.Request) bool { return r.Method == http.MethodPut }) {
		t.Error("numbers that lose digits were sent")
	}
	values := map[string]any{"peers": []any{}, "interface": "eth0"}
	if err := b.Set(t.Context(), tunnel, values); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"peers": []any{}, "interface": "eth0"}, values); diff != "" {
		t.Errorf("the caller's values were changed (-want +got):\n%s", diff)
	}
	if _, err := b.Get(t.Context(), tunnel, []string{"peers"}, plain); !errors.Is(err, backend.ErrNoData) {
		t.Errorf("got %v after an empty list was set", err)
	}
}

// If snapd refreshes itself while a program runs, the next request detects that, and no write is lost or repeated.
func TestSnapdChangesItsVersion(t *testing.T) {
	for _, step := range [][2]string{
		{"2.68", "2.69"}, {"2.70", "2.71"}, {"2.72", "2.73"}, {"2.75", "2.76"}, {"2.77", "2.72"}, {"2.73", "2.68"}, {"2.77", "2.68"},
	} {
		t.Run(step[0]+" to "+step[1], func(t *testing.T) {
			for _, write := range []bool{true, false} {
				m := machine.Start(t, machine.Options{Version: step[0]})
				m.Put(telemetry, map[string]any{"sample-rate": json.Number("3"), "monitor-peers": true})
				m.Put(viewID(testschema.ControlInterfacesView), map[string]any{"config.eth0.ip-address": "10.0.0.1"})
				b := open(t, m)
				m.SetVersion(step[1])
				want := json.Number("3")
				if write {
					want = "4"
					if err := b.Set(t.Context(), telemetry, map[string]any{"sample-rate": want}); err != nil {
						t.Fatal(err)
					}
				}
				got, err := b.Get(t.Context(), telemetry, []string{"sample-rate"}, plain)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(map[string]any{"sample-rate": want}, got); diff != "" {
					t.Errorf("values differ (-want +got):\n%s", diff)
				}
				// A key that the whole view, which comes back for the wrong parameter, does not have as such.
				got, err = b.Get(t.Context(), viewID(testschema.ControlInterfacesView), []string{"config.eth0"}, plain)
				if err != nil || got["config.eth0"] == nil {
					t.Errorf("config.eth0: %v, %v", got, err)
				}
			}
		})
	}
}

func TestLostConnections(t *testing.T) {
	const forever = -1
	value := map[string]any{"sample-rate": json.Number("9")}
	tests := []struct {
		name      string
		intercept faults.Interceptor
		get, set  error
		stored    bool
	}{
		{"reads once", faults.Lose(1, "GET /v2/confdb/", true), nil, nil, true},
		{"reads always", faults.Lose(forever, "GET /v2/confdb/", false), backend.ErrUnreachable, nil, true},
		{"writes, not carried out", faults.Lose(1, "PUT /v2/confdb/", false), backend.ErrNoData, backend.ErrUnknown, false},
		{"writes, carried out", faults.Lose(1, "PUT /v2/confdb/", true), nil, backend.ErrUnknown, true},
		{"looks at the change", faults.Lose(1, "GET /v2/changes/", true), nil, nil, true},
		{"looks at the change, always", faults.Lose(forever, "GET /v2/changes/", true), backend.ErrUnreachable, backend.ErrUnknown, true},
		{"system-info", faults.Lose(forever, "GET /v2/system-info", false), nil, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := machine.Start(t, machine.Options{})
			b := open(t, m, snapd.Options{AccessTimeout: 50 * time.Millisecond})
			m.Main.Intercept(test.intercept)
			err := b.Set(t.Context(), telemetry, value)
			if !errors.Is(err, test.set) {
				t.Errorf("set: got %v, want %v", err, test.set)
			}
			got, err := b.Get(t.Context(), telemetry, nil, plain)
			if !errors.Is(err, test.get) {
				t.Errorf("get: got %v, %v, want %v", got, err, test.get)
			}
			if err == nil && !cmp.Equal(got, value) {
				t.Errorf("got %v", got)
			}
			m.Main.Intercept(nil)
			got, err = b.Get(t.Context(), telemetry, nil, plain)
			if stored := err == nil; stored != test.stored {
				t.Errorf("stored: %v, %v", got, err)
			}
		})
	}
}

// If snapd ends after it has begun a write, the error is ErrUnknown: the write may be stored nevertheless.
func TestGoneAfterWrite(t *testing.T) {
	m := machine.Start(t, machine.Options{})
	b := open(t, m, snapd.Options{AccessTimeout: 50 * time.Millisecond})
	lose := faults.Lose(-1, "GET /v2/changes/", false)
	m.Main.Intercept(func(w http.ResponseWriter, r *http.Request, handler http.HandlerFunc) bool {
		if strings.HasPrefix(r.URL.Path, "/v2/changes/") {
			_ = os.Remove(m.Socket()) // it may be gone already
		}
		return lose(w, r, handler)
	})
	e := refusal(t, b.Set(t.Context(), telemetry, map[string]any{"sample-rate": json.Number("9")}), backend.ErrUnknown, "",
		"snap change 1, or read back before writing again")
	if !strings.Contains(e.Error(), "cannot see how change 1 ends: cannot reach snapd") {
		t.Error(e)
	}
}

// cancelOn returns a context that ends when a request matches.
func cancelOn(t *testing.T, m *machine.Machine, prefix string, cause error) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	if cause == context.DeadlineExceeded {
		// A deadline that is over while the request hangs, and not before it is made, on a busy machine either.
		ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	}
	t.Cleanup(cancel)
	m.Main.Intercept(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		if cause == context.Canceled && strings.HasPrefix(r.Method+" "+r.URL.Path, prefix) {
			cancel()
		}
		return false
	})
	return ctx
}

func TestContexts(t *testing.T) {
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		for _, version := range []string{"2.68.3", "2.70", "2.77.1"} {
			t.Run(version+"/"+cause.Error(), func(t *testing.T) {
				t.Parallel()             // it waits for deadlines
				if version != "2.68.3" { // there, a read does not wait for anything
					m := machine.Start(t, machine.Options{Version: version})
					m.Handle("load-view-"+telemetry.View, func(call machine.HookCall) error {
						<-call.Killed
						return nil
					})
					_, err := open(t, m).Get(cancelOn(t, m, "GET /v2/changes/", cause), telemetry, nil, plain)
					if !errors.Is(err, cause) {
						t.Errorf("get: got %v, want %v", err, cause)
					}
				}
				m := machine.Start(t, machine.Options{Version: version})
				m.Hold()
				b := open(t, m)
				err := b.Set(cancelOn(t, m, "GET /v2/changes/", cause), telemetry, map[string]any{"monitor-peers": true})
				if !errors.Is(err, cause) || !errors.Is(err, backend.ErrUnknown) {
					t.Errorf("set: got %v, want one of kind %v that wraps %v", err, backend.ErrUnknown, cause)
				}
				if version != "2.77.1" {
					return
				}
				// The first write is still under way, so the next waits in snapd for its turn.
				if cause == context.DeadlineExceeded {
					// It is asked to answer before the deadline.
					_, err = b.Get(cancelOn(t, m, "", cause), telemetry, nil, plain)
					if e := refusal(t, err, backend.ErrInterrupted, "", ""); e.Until.IsZero() || !errors.Is(err, cause) {
						t.Errorf("got %v, which does not say until when it waited for others", err)
					}
					err = b.Set(cancelOn(t, m, "", cause), telemetry, map[string]any{"monitor-peers": true})
					if e := refusal(t, err, backend.ErrInterrupted, "", ""); e.Until.IsZero() || !errors.Is(err, cause) {
						t.Errorf("got %v, which does not say until when it waited for others", err)
					}
					return
				}
				_, err = b.Get(cancelOn(t, m, "GET /v2/confdb/", cause), telemetry, nil, plain)
				if !errors.Is(err, cause) {
					t.Errorf("get: got %v, want %v", err, cause)
				}
				err = b.Set(cancelOn(t, m, "PUT /v2/confdb/", cause), telemetry, map[string]any{"monitor-peers": true})
				if !errors.Is(err, cause) || !errors.Is(err, backend.ErrUnknown) {
					t.Errorf("set: got %v, want one of kind %v that wraps %v", err, backend.ErrUnknown, cause)
				}
			})
		}
	}
}

// TestBusy makes accesses while another write runs.
func TestBusy(t *testing.T) {
	short := snapd.Options{AccessTimeout: 30 * time.Millisecond}
	long := snapd.Options{AccessTimeout: time.Minute}
	rate := func(n string) map[string]any { return map[string]any{"sample-rate": json.Number(n)} }

	// begin has another client write, as long as hold is not released.
	begin := func(t *testing.T, version string) (m *machine.Machine, release func(), written chan error) {
		m = machine.Start(t, machine.Options{Version: version})
		m.Put(telemetry, rate("3"))
		release = m.Hold()
		other := open(t, m, long)
		written = make(chan error, 1)
		go func() { written <- other.Set(t.Context(), telemetry, rate("10")) }()
		m.Main.Await(0, func(r faults.Request) bool { return strings.HasPrefix(r.URI, "/v2/changes/") }) // accepted
		return m, release, written
	}
	want := func(t *testing.T, b *snapd.Backend, n string) {
		t.Helper()
		got, err := b.Get(t.Context(), telemetry, []string{"sample-rate"}, plain)
		if err != nil || !cmp.Equal(got, rate(n)) {
			t.Errorf("stored is %v, %v; want %s", got, err, n)
		}
	}

	for _, version := range []string{"2.70", "2.75", "2.76", "2.77.1"} {
		t.Run(version+" gives up", func(t *testing.T) {
			m, release, written := begin(t, version)
			b := open(t, m, short)
			_, err := b.Get(t.Context(), telemetry, nil, plain)
			if e := refusal(t, err, backend.ErrBusy, "", ""); e.Until.IsZero() || e.Message == "" {
				t.Errorf("busy until %v: %q", e.Until, e.Message)
			}
			if e := refusal(t, b.Set(t.Context(), tunnel, map[string]any{"interface": "eth0"}), backend.ErrBusy, "", ""); e.Until.IsZero() {
				t.Error("busy, but not until when")
			}
			release()
			if err := <-written; err != nil {
				t.Error(err)
			}
			want(t, b, "10")
			if _, err := b.Get(t.Context(), tunnel, nil, plain); !errors.Is(err, backend.ErrNoData) {
				t.Errorf("refused for being busy, and yet written: %v", err)
			}
		})
		t.Run(version+" waits", func(t *testing.T) {
			m, release, written := begin(t, version)
			b := open(t, m, long)
			var calls sync.WaitGroup
			before := len(m.Main.Requests())
			calls.Go(func() {
				if err := b.Set(t.Context(), tunnel, map[string]any{"interface": "eth0"}); err != nil {
					t.Error(err)
				}
			})
			calls.Go(func() { want(t, b, "10") })
			m.Main.Await(before, func(r faults.Request) bool { return r.Method == http.MethodPut })
			release()
			calls.Wait()
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	}
	for _, version := range []string{"2.68.3", "2.69"} {
		t.Run(version+" writes what it refused", func(t *testing.T) {
			m, release, written := begin(t, version)
			b := open(t, m, long)
			done := make(chan error, 1)
			before := len(m.Main.Requests())
			go func() { done <- b.Set(t.Context(), telemetry, rate("20")) }()
			// It reads back; by then it has been refused.
			m.Main.Await(before, func(r faults.Request) bool { return strings.Contains(r.URI, "fields=sample-rate") })
			release()
			if err := <-done; err != nil {
				t.Errorf("the second write is stored, but got %v", err)
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
			want(t, b, "20")
		})
		t.Run(version+" cannot tell", func(t *testing.T) {
			m, release, written := begin(t, version)
			b := open(t, m, short)
			wantError(t, b.Set(t.Context(), telemetry, rate("20")), backend.ErrUnknown, "", "read back before writing again")
			wantError(t, b.Set(t.Context(), device, map[string]any{"id": "bd7bcbe7-25a4-4a75-9ee1-06a0ee6a05c0"}),
				backend.ErrUnknown, "", "read back before writing again") // cannot be read through this view
			release()
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	second := bytes.Replace(testschema.Document(), []byte(`"name": "network"`), []byte(`"name": "other"`), 1)
	both := []json.RawMessage{testschema.Document(), second}
	const account = "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"
	const loses = "snapd below 2.77 holds several databags: snapd 2.75 knows " + account + "/network, " +
		account + "/other, and the first write to one without data erases the data of the others " +
		"(try: update snapd to 2.77, or keep everything in one confdb-schema)"
	tests := []struct {
		name    string
		machine machine.Options
		off     bool
		want    backend.Status
	}{
		{"2.77", machine.Options{Version: "2.77.1-2", Documents: both}, false, backend.Status{
			Version: "2.77.1-2", Generation: "confdb 2.77",
			Capabilities: backend.Capabilities{WatchPushed: true, WatchEvery: 10 * time.Minute, SetConfirmed: true},
		}},
		{"2.75", machine.Options{Version: "2.75"}, false, backend.Status{
			Version: "2.75", Generation: "confdb 2.75",
			Capabilities: backend.Capabilities{WatchPushed: true, WatchEvery: 10 * time.Minute, SetConfirmed: true},
		}},
		{"2.75 with two schemas", machine.Options{Version: "2.75", Documents: both}, false, backend.Status{
			Version: "2.75", Generation: "confdb 2.75", Warnings: []string{loses},
			Capabilities: backend.Capabilities{WatchPushed: true, WatchEvery: 10 * time.Minute, SetConfirmed: true},
		}},
		{"2.68, off", machine.Options{Version: "2.68"}, true, backend.Status{
			Version: "2.68", Generation: "confdb 2.68",
			Capabilities: backend.Capabilities{WatchPushed: true, WatchEvery: 10 * time.Minute, SetConfirmed: true},
			Warnings: []string{
				`the experimental feature "confdbs" is off (try: snap set system experimental.confdbs=true)`,
			},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := machine.Start(t, test.machine)
			m.SetEnabled(!test.off)
			got, err := open(t, m).Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			test.want.Backend, test.want.Address = "snapd", m.Socket()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("status differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	tests := []struct {
		version            string
		off                bool
		family, generation string
		reason, remedy     string
		enabled, useable   bool
	}{
		{"", false, "confdb", "confdb 2.77", "", "", true, true},
		{"2.68.3", true, "confdbs", "confdb 2.68",
			`the experimental feature "confdbs" is off`, "snap set system experimental.confdbs=true", false, false},
		{"2.67", false, "", "", "snapd 2.67 is too old: shared configuration begins with 2.68",
			"install snapd 2.77 or later", false, false},
	}
	for _, test := range tests {
		m := machine.Start(t, machine.Options{Version: test.version})
		m.SetEnabled(!test.off)
		got, err := snapd.Probe(t.Context(), m.Socket())
		if err != nil {
			t.Fatal(err)
		}
		if got.Family != test.family || got.Generation() != test.generation || got.Reason != test.reason ||
			got.Remedy != test.remedy || got.Enabled != test.enabled || got.Usable() != test.useable {
			t.Errorf("got %+v", got)
		}
		if requests := m.Main.Requests(); len(requests) != 1 || requests[0].String() != "GET /v2/system-info" {
			t.Errorf("requests %q", requests)
		}
	}
	_, err := snapd.Probe(t.Context(), filepath.Join(t.TempDir(), "none"))
	wantError(t, err, backend.ErrUnreachable, "", "systemctl start snapd.socket")
}
