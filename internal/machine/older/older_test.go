package older_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/machine"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/registrytest/testschema"
)

// TestReleases sends the same requests to several releases. The expected answers were read in their sources; those of 2.68 and
// 2.77 were observed, and internal/machine/testdata has more recordings of them.
func TestReleases(t *testing.T) {
	const view = "/v2/confdb/" + testschema.AccountID + "/network/"
	type obj = map[string]any
	rate := obj{"sample-rate": 3}
	empty := func(*machine.Machine) {}
	unplugged := func(m *machine.Machine) { m.Disconnect(testschema.ControlTelemetryView) }
	var release func()
	busy := func(m *machine.Machine) { release = m.Occupy(testschema.ControlTunnelView, obj{"interface": "eth0"}) }
	tests := []struct {
		name            string
		given           func(*machine.Machine)
		method, path    string
		body            any
		from, to        string // releases, all of which answer so
		status          int
		kind, message   string // of a refusal, the end of its message
		data            string // of the change
		changes, result string // kind of the change; an answer at once
	}{
		{name: "no rule", method: "GET", path: "control-telemetry?fields=nosuch&keys=nosuch", from: "2.68", to: "2.68",
			status: 404, message: ": no matching rule"},
		{name: "no rule", method: "GET", path: "control-telemetry?fields=nosuch&keys=nosuch", from: "2.69", to: "2.70",
			status: 202, changes: "get-confdb", data: `{"confdb-error":"cannot get \"nosuch\" through ` + view[len("/v2/confdb/"):] +
				`control-telemetry: no matching rule"}`},
		{name: "no rule", method: "GET", path: "control-telemetry?fields=nosuch&keys=nosuch", from: "2.71", to: "2.71",
			status: 400, kind: "confdb-no-matching-rule", message: ": no matching rule"},
		{name: "no rule", method: "GET", path: "control-telemetry?fields=nosuch&keys=nosuch", from: "2.72", to: "2.77",
			status: 400, kind: "option-not-available", message: ": no matching rule"},
		{name: "several, one without a rule", method: "GET", path: "control-device?fields=id,server-url", from: "2.68", to: "2.68",
			status: 200, result: `{"server-url":"http://x"}`},
		{name: "several, one without a rule", method: "GET", path: "control-device?fields=id,server-url", from: "2.69", to: "2.70",
			status: 202, changes: "get-confdb", data: `{"confdb-data":{"server-url":"http://x"}}`},
		{name: "several, one without a rule", method: "GET", path: "control-device?keys=id,server-url", from: "2.72", to: "2.77",
			status: 400, kind: "option-not-available", message: ": no matching rule"},
		{name: "malformed request", method: "GET", path: "control-device?fields=Id", from: "2.68", to: "2.70", status: 400, message: `invalid subkey "Id"`},
		{name: "malformed request", method: "GET", path: "control-device?keys=Id", from: "2.71", to: "2.77", status: 500, message: `invalid subkey "Id"`},
		{name: "no view", method: "GET", path: "nosuch", from: "2.68", to: "2.68", status: 404, message: " in confdb " + testschema.AccountID + "/network"},
		{name: "no view", method: "GET", path: "nosuch", from: "2.69", to: "2.70", status: 404, message: " in confdb schema " + testschema.AccountID + "/network"},
		{name: "no view", method: "GET", path: "nosuch", from: "2.71", to: "2.71", status: 400, kind: "confdb-view-not-found", message: "/network"},
		{name: "no view", method: "GET", path: "nosuch", from: "2.72", to: "2.77", status: 400, kind: "option-not-available", message: "/network"},
		{name: "nothing to write", method: "PUT", path: "control-telemetry", body: obj{}, from: "2.68", to: "2.68", status: 202, changes: "modify-confdb"},
		{name: "nothing to write", method: "PUT", path: "control-telemetry", body: obj{}, from: "2.69", to: "2.72", status: 202, changes: "set-confdb"},
		{name: "nothing to write", method: "PUT", path: "control-telemetry", body: obj{}, from: "2.73", to: "2.75", status: 400,
			message: "cannot set confdb: request body contains no values"},
		{name: "nothing to write", method: "PUT", path: "control-telemetry", body: obj{}, from: "2.76", to: "2.77", status: 400,
			message: "cannot write confdb: request body contains no values"},
		{name: "bare body", method: "PUT", path: "control-telemetry", body: rate, from: "2.69", to: "2.72", status: 202, changes: "set-confdb"},
		{name: "wrapped body", method: "PUT", path: "control-telemetry", body: obj{"values": rate}, from: "2.73", to: "2.77",
			status: 202, changes: "set-confdb"},
		{name: "no custodian", given: unplugged, method: "GET", path: "control-telemetry", from: "2.69", to: "2.75", status: 500,
			message: "/control-telemetry: no custodian snap connected"},
		{name: "no custodian, bare", given: unplugged, method: "PUT", path: "control-telemetry", body: rate, from: "2.69", to: "2.72",
			status: 500, message: "cannot commit changes to confdb made through view " + view[len("/v2/confdb/"):] +
				"control-telemetry: no custodian snap installed"},
		{name: "no custodian", given: unplugged, method: "PUT", path: "control-telemetry", body: obj{"values": rate}, from: "2.76", to: "2.77",
			status: 500, message: "/control-telemetry: no custodian snap connected"},
		{name: "others write", given: busy, method: "GET", path: "control-telemetry", from: "2.68", to: "2.68", status: 404, message: "no view data"},
		{name: "others write", given: busy, method: "GET", path: "control-telemetry", from: "2.69", to: "2.69", status: 202, changes: "get-confdb",
			data: `{"confdb-error":"cannot get ` + view[len("/v2/confdb/"):] + `control-telemetry: no data"}`},
		{name: "others write", given: busy, method: "GET", path: "control-telemetry", from: "2.70", to: "2.75", status: 500,
			message: ": ongoing write transaction"},
		{name: "others write, and it waits", given: busy, method: "GET", path: "control-telemetry?access-timeout=1ms", from: "2.76", to: "2.77",
			status: 500, message: ": timed out waiting for access"},
		{name: "others write", given: busy, method: "PUT", path: "control-telemetry", body: rate, from: "2.69", to: "2.69", status: 500,
			message: ": a write transaction is ongoing"},
		{name: "others write", given: busy, method: "PUT", path: "control-telemetry", body: rate, from: "2.70", to: "2.72", status: 500,
			message: "/control-telemetry: ongoing transaction"},
		{name: "a number as constraint", method: "GET", path: `control-device?constraints={"a":5}`, from: "2.74", to: "2.74", status: 400,
			message: `parameter "a" has non-string constraint`},
		{name: "a constraint that is not known", method: "GET", path: `control-device?constraints={"a":5}`, from: "2.71", to: "2.73",
			status: 202, changes: "get-confdb", data: `{"values":{"server-url":"http://x"}}`},
	}
	for _, test := range tests {
		for _, version := range []string{"2.68", "2.69", "2.70", "2.71", "2.72", "2.73", "2.74", "2.75", "2.76", "2.77"} {
			if version < test.from || version > test.to {
				continue
			}
			t.Run(test.name+"/"+test.method+"/"+version, func(t *testing.T) {
				m := machine.Start(t, machine.Options{Version: version})
				m.Put(m.View(testschema.ControlDeviceView), obj{"server-url": "http://x"})
				if test.given == nil {
					test.given = empty
				}
				release = func() {}
				test.given(m)
				defer release()
				path, query, _ := strings.Cut(test.path, "?")
				values := map[string][]string{}
				for pair := range strings.SplitSeq(query, "&") {
					if name, value, found := strings.Cut(pair, "="); found {
						values[name] = []string{value}
					}
				}
				client := snapdhttp.New(m.Socket())
				response, err := client.Do(t.Context(), test.method, view+path, values, test.body)
				if err != nil {
					t.Fatal(err)
				}
				if response.Status != test.status {
					t.Errorf("status %d, want %d: %s", response.Status, test.status, response.Result)
				}
				if refused := response.Refusal(); refused != nil || test.message != "" {
					if refused == nil || refused.Kind != test.kind || !strings.HasSuffix(refused.Message, test.message) {
						t.Errorf("refusal %+v, want %q of kind %q", refused, test.message, test.kind)
					}
					return
				}
				if test.result != "" && string(response.Result) != test.result {
					t.Errorf("result %s, want %s", response.Result, test.result)
				}
				if test.changes == "" {
					return
				}
				if _, err := m.World.Changes.Wait(t.Context(), response.Change); err != nil {
					t.Fatal(err)
				}
				shown, err := client.Do(t.Context(), http.MethodGet, "/v2/changes/"+response.Change, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				var change struct {
					Kind, Status string
					Data         json.RawMessage
				}
				if err := json.Unmarshal(shown.Result, &change); err != nil {
					t.Fatal(err)
				}
				if change.Kind != test.changes || change.Status != "Done" || string(change.Data) != test.data {
					t.Errorf("change %s %s %s, want %s with %s", change.Kind, change.Status, change.Data, test.changes, test.data)
				}
			})
		}
	}
}

// TestLateWrite: 2.68 and 2.69 refuse a write because of another one, and nevertheless perform it afterwards.
func TestLateWrite(t *testing.T) {
	for _, version := range []string{"2.68.3", "2.69"} {
		m := machine.Start(t, machine.Options{Version: version})
		release := m.Occupy(testschema.ControlTunnelView, map[string]any{"interface": "eth0"})
		response, err := snapdhttp.New(m.Socket()).Do(t.Context(), http.MethodPut, "/v2/confdb/"+m.View(testschema.ControlTelemetryView).String(),
			nil, map[string]any{"sample-rate": 3})
		if err != nil || response.Status != http.StatusInternalServerError {
			t.Fatalf("%s: %+v, %v", version, response, err)
		}
		release()
		for ends := time.Now().Add(time.Minute); m.Stored() != `{"metrics":{"sample-rate":3}}`; time.Sleep(time.Millisecond) {
			if time.Now().After(ends) {
				t.Fatalf("%s: stored %s", version, m.Stored())
			}
		}
	}
}
