package snapdhttp_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

const account = "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"

var telemetry = backend.ViewID{Account: account, Schema: "network", View: "control-telemetry"}

// ACC stands for the account ID in the texts of these tables.
func acc(text string) string { return strings.ReplaceAll(text, "ACC", account) }

func TestExplain(t *testing.T) {
	tests := []struct {
		name    string
		origin  string // where the text was seen
		refusal snapdhttp.Refusal
		plug    string

		kind                          error
		message, path, reason, remedy string // message: "" if it is the refusal's
	}{
		{
			name: "flag off, REST", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `feature flag "confdb" is disabled: set 'experimental.confdb' to true`},
			kind:    backend.ErrDisabled, reason: `set 'experimental.confdb' to true`,
			remedy: "snap set system experimental.confdb=true",
		},
		{
			name: "flag off, REST of 2.68", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 400, Message: `"confdbs" feature flag is disabled: set 'experimental.confdbs' to true`},
			kind:    backend.ErrDisabled, reason: `set 'experimental.confdbs' to true`,
			remedy: "snap set system experimental.confdbs=true",
		},
		{
			name: "flag off, snapctl", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `snapctl: "confdb" feature flag is disabled: set 'experimental.confdb' to true`},
			kind:    backend.ErrDisabled, reason: `set 'experimental.confdb' to true`,
			message: `"confdb" feature flag is disabled: set 'experimental.confdb' to true`,
			remedy:  "snap set system experimental.confdb=true",
		},
		{
			name: "unknown schema", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Kind: "assertion-not-found", Message: `confdb-schema (nosuch; account-id:ACC) not found`},
			kind:    backend.ErrNoSchema, remedy: `snap ack FILE, with the signed assertion of ACC/network`,
		},
		{
			name: "unknown schema without network", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 500, Message: `persistent network error: Get "https://api.snapcraft.io/v2/assertions/confdb-schema/x": dial tcp`},
			kind:    backend.ErrNoSchema, reason: "dial tcp", remedy: `snap ack FILE, with the signed assertion of ACC/network`,
		},
		{
			name: "unknown schema in 2.68", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 404, Message: `cannot find confdb ACC/nosuch: assertion not found`},
			kind:    backend.ErrNoSchema, reason: "assertion not found",
			remedy: `snap ack FILE, with the signed assertion of ACC/network`,
		},
		{
			name: "unknown view", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Kind: "option-not-available", Message: `cannot find view "nosuch" in confdb schema ACC/network`},
			kind:    backend.ErrNoView,
		},
		{
			name: "unknown view in 2.71", origin: "sources of 2.71",
			refusal: snapdhttp.Refusal{Status: 400, Kind: "confdb-view-not-found", Message: `cannot find view "nosuch" in confdb schema ACC/network`},
			kind:    backend.ErrNoView,
		},
		{
			name: "unknown view in 2.68", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 404, Message: `cannot find view "nosuch" in confdb ACC/network`},
			kind:    backend.ErrNoView,
		},
		{
			name: "no rule", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Kind: "option-not-available", Message: `cannot get "id" through ACC/network/control-device: no matching rule`},
			kind:    backend.ErrNoMatch, reason: "no matching rule",
		},
		{
			name: "no rule for one of several", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Kind: "option-not-available", Message: `internal error: cannot read confdb ACC/network: cannot get "id" through ACC/network/control-device: no matching rule`},
			kind:    backend.ErrNoMatch, reason: "no matching rule",
			message: `cannot get "id" through ACC/network/control-device: no matching rule`,
		},
		{
			name: "no rule in 2.71", origin: "sources of 2.71",
			refusal: snapdhttp.Refusal{Status: 400, Kind: "confdb-no-matching-rule", Message: `cannot get "id" through ACC/network/control-device: no matching rule`},
			kind:    backend.ErrNoMatch, reason: "no matching rule",
		},
		{
			name: "no rule in 2.68", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 404, Message: `cannot get "nosuch" through ACC/network/control-telemetry: no matching rule`},
			kind:    backend.ErrNoMatch, reason: "no matching rule",
		},
		{
			name: "nothing stored", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Kind: "option-not-found", Message: `cannot get "monitor-peers" through ACC/network/control-telemetry: no data`},
			kind:    backend.ErrNoData, reason: "no data",
		},
		{
			name: "nothing stored in 2.69", origin: "sources of 2.69",
			refusal: snapdhttp.Refusal{Message: `cannot get "monitor-peers" through ACC/network/control-telemetry: no data`},
			kind:    backend.ErrNoData, reason: "no data",
		},
		{
			name: "nothing stored in 2.68", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 404, Message: `cannot get ACC/network/control-telemetry: no view data`},
			kind:    backend.ErrNoData, reason: "no view data",
		},
		{
			name: "malformed path", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `cannot set "Sample" through confdb view ACC/network/control-telemetry: invalid subkey "Sample"`},
			kind:    backend.ErrBadRequest, reason: `invalid subkey "Sample"`,
		},
		{
			name: "a scalar where the request spans entries", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 400, Message: `cannot set "stats" in confdb view ACC/network/control-interfaces: expected map for unmatched request parts but got string`},
			kind:    backend.ErrBadRequest, reason: `expected map for unmatched request parts but got string`,
		},
		{
			name: "a part that a rule writes is not there", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 400, Message: `cannot set "config.eth0" in confdb view ACC/network/control-interfaces: cannot use unmatched part "interface-type" as key in map[ip-address:10.0.0.9]`},
			kind:    backend.ErrBadRequest, reason: `cannot use unmatched part "interface-type" as key in map[ip-address:10.0.0.9]`,
		},
		{
			name: "malformed path of a read", origin: "sources of 2.77",
			refusal: snapdhttp.Refusal{Status: 500, Message: `invalid subkey "A"`},
			kind:    backend.ErrBadRequest,
		},
		{
			name: "empty list", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `cannot set "peers" through confdb view ACC/network/control-tunnel: cannot set empty container: must contain at least one scalar`},
			kind:    backend.ErrBadRequest, reason: "must contain at least one scalar",
		},
		{
			name: "no values", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `cannot write confdb: request body contains no values`},
			kind:    backend.ErrBadRequest, reason: "request body contains no values",
		},
		{
			name: "below the minimum", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot write data: cannot accept element in "metrics.sample-rate": -3 is less than the allowed minimum 0`},
			kind:    backend.ErrInvalid, path: "metrics.sample-rate", reason: "-3 is less than the allowed minimum 0",
		},
		{
			name: "wrong type", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot write data: cannot accept element in "metrics.sample-rate": expected int type but value was string`},
			kind:    backend.ErrInvalid, path: "metrics.sample-rate", reason: "expected int type but value was string",
		},
		{
			name: "duplicates", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot write data: cannot accept element in "tunnel.peers": cannot accept duplicate values for array with "unique" constraint`},
			kind:    backend.ErrInvalid, path: "tunnel.peers", reason: `cannot accept duplicate values for array with "unique" constraint`,
		},
		{
			name: "unexpected key", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot write data: cannot accept element in "interfaces.eth0.config": map contains unexpected key "bogus"`},
			kind:    backend.ErrInvalid, path: "interfaces.eth0.config", reason: `map contains unexpected key "bogus"`,
		},
		{
			name: "a value that looks like another error", origin: "made up",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot write data: cannot accept element in "tunnel.peers[0]": expected string matching ^a$ but value was "no custodian snap connected: no data"`},
			kind:    backend.ErrInvalid, path: "tunnel.peers[0]", reason: `expected string matching ^a$ but value was "no custodian snap connected: no data"`,
		},
		{
			name: "unset of what is required", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot unset data: cannot accept element in "device": cannot find required combinations of keys`},
			kind:    backend.ErrInvalid, path: "device", reason: "cannot find required combinations of keys",
		},
		{
			name: "violation found by the commit", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Message: `cannot accept element in "metrics.sample-rate": -5 is less than the allowed minimum 0`},
			kind:    backend.ErrInvalid, path: "metrics.sample-rate", reason: "-5 is less than the allowed minimum 0",
		},
		{
			name: "no custodian", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot read confdb view ACC/network/control-telemetry: no custodian snap connected`},
			kind:    backend.ErrNoCustodian, reason: "no custodian snap connected",
			remedy: "snap connect CUSTODIAN-SNAP:PLUG, whose plug has role custodian and view network/control-telemetry",
		},
		{
			name: "no custodian in 2.68", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot commit changes to confdb ACC/network: no custodian snap installed`},
			kind:    backend.ErrNoCustodian, reason: "no custodian snap installed",
			remedy: "snap connect CUSTODIAN-SNAP:PLUG, whose plug has role custodian and view network/control-telemetry",
		},
		{
			name: "plug not connected", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `snapctl: cannot access confdb through unconnected plug :tele`},
			plug:    "vpn:tele",
			kind:    backend.ErrNotConnected, remedy: "snap connect vpn:tele",
			message: `cannot access confdb through unconnected plug :tele`,
		},
		{
			name: "busy", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot write ACC/network/control-tunnel: timed out waiting for access`},
			kind:    backend.ErrBusy, reason: "timed out waiting for access",
		},
		{
			name: "busy write of 2.70", origin: "sources of 2.70",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot write confdb through view ACC/network/control-tunnel: ongoing transaction`},
			kind:    backend.ErrBusy, reason: "ongoing transaction",
		},
		{
			name: "busy read of 2.70", origin: "sources of 2.70",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot access confdb view ACC/network/control-tunnel: ongoing write transaction`},
			kind:    backend.ErrBusy, reason: "ongoing write transaction",
		},
		{
			name: "busy in 2.69", origin: "sources of 2.69",
			refusal: snapdhttp.Refusal{Status: 500, Message: `cannot write confdb (ACC/network): a write transaction is ongoing`},
			kind:    backend.ErrBusy, reason: "a write transaction is ongoing",
		},
		{
			name: "busy in 2.68", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 500, Message: `internal error: cannot set task "143" as ongoing commit task for confdb ACC/network: already have "137"`},
			kind:    backend.ErrBusy, reason: `already have "137"`,
		},
		{
			name: "a hook that asks for another schema", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `snapctl: cannot read confdb view ACC/other/v: ongoing transaction for ACC/network`},
			kind:    backend.ErrUnsupported, reason: "ongoing transaction for ACC/network",
			message: `cannot read confdb view ACC/other/v: ongoing transaction for ACC/network`,
			remedy:  "do it from a service instead of this hook",
		},
		{
			name: "snapctl gave up waiting", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `snapctl: cannot write confdb view ACC/network/control-device: timed out (2m0s) waiting for change 117`},
			kind:    backend.ErrUnknown, reason: "timed out (2m0s) waiting for change 117",
			message: `cannot write confdb view ACC/network/control-device: timed out (2m0s) waiting for change 117`,
			remedy:  "read back before writing again",
		},
		{
			name: "custodian refuses", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Message: `cannot change confdb ACC/network: cust rejected changes: rate too high`},
			kind:    backend.ErrRejected, reason: "rate too high",
		},
		{
			name: "custodian refuses with words of ours", origin: "made up",
			refusal: snapdhttp.Refusal{Message: `cannot change confdb ACC/network: cust rejected changes: cannot write data: no data`},
			kind:    backend.ErrRejected, reason: "cannot write data: no data",
		},
		{
			name: "hook fails", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Message: "run hook \"change-view-control-telemetry\": \n-----\nout-text\nerr-text\n-----"},
			kind:    backend.ErrRejected, reason: "out-text\nerr-text",
		},
		{
			name: "not root", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 401, Kind: "login-required", Message: `access denied`},
			kind:    backend.ErrUnauthorized, remedy: "run it as root",
		},
		{
			name: "snapctl as a user", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 403, Kind: "login-required", Message: `cannot use "set" with uid 1000, try with sudo`},
			kind:    backend.ErrUnauthorized, remedy: "run it as root",
		},
		{
			name: "secret", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `snapctl: cannot get "secret-key" through ACC/network/control-tunnel: unauthorized access`},
			kind:    backend.ErrUnauthorized, reason: "unauthorized access", remedy: "run it as root",
			message: `cannot get "secret-key" through ACC/network/control-tunnel: unauthorized access`,
		},
		{
			name: "stale cookie", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `snapctl: cannot invoke snapctl operation commands (here "get") from outside of a snap`},
			kind:    backend.ErrUnauthorized, remedy: "start it as an app, service or hook of a snap",
			message: `cannot invoke snapctl operation commands (here "get") from outside of a snap`,
		},
		{
			name: "hook may only read", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `snapctl: cannot modify confdb in "save-view-tele" hook`},
			kind:    backend.ErrUnsupported, remedy: "do it from a service instead of this hook",
			message: `cannot modify confdb in "save-view-tele" hook`,
		},
		{
			name: "after fail", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `snapctl: cannot read from aborted transaction`},
			kind:    backend.ErrRejected, message: `cannot read from aborted transaction`,
		},
		{
			name: "flag of a newer snapctl", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: "snapctl: unknown flag `pristine'"},
			kind:    backend.ErrUnsupported, message: "unknown flag `pristine'",
		},
		{
			name: "command of a newer snapctl", origin: "2.68.3",
			refusal: snapdhttp.Refusal{Status: 400, Message: "error running snapctl: Unknown command `version'. Please specify one command of: unset"},
			kind:    backend.ErrUnsupported, reason: "unset",
			message: "Unknown command `version'. Please specify one command of: unset",
		},
		{
			name: "constraint without placeholder", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 400, Message: `internal error: cannot read confdb ACC/network: cannot get ACC/network/control-telemetry: no placeholder for constraint "name"`},
			kind:    backend.ErrBadRequest, reason: `no placeholder for constraint "name"`,
			message: `cannot get ACC/network/control-telemetry: no placeholder for constraint "name"`,
		},
		{
			name: "no such route", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 404, Message: `not found`},
			kind:    backend.ErrUnsupported,
		},
		{
			name: "no such method", origin: "2.77.1",
			refusal: snapdhttp.Refusal{Status: 405, Message: `method "POST" not allowed`},
			kind:    backend.ErrUnsupported,
		},
		{
			name: "anything else", origin: "made up",
			refusal: snapdhttp.Refusal{Status: 500, Message: `internal error: the sky is falling`},
			kind:    backend.ErrOther, reason: "the sky is falling",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.refusal.Message = acc(test.refusal.Message)
			request := snapdhttp.Request{Op: "get", View: telemetry, Requests: []string{"a"}, Plug: test.plug}
			got := snapdhttp.Explain(test.refusal, request)
			if !errors.Is(got, test.kind) {
				t.Errorf("kind is %v, want %v (text from %s)", got.Kind, test.kind, test.origin)
			}
			want := &backend.Error{
				Op: "get", View: telemetry, Requests: []string{"a"}, Kind: got.Kind,
				Message: acc(test.message), Path: test.path, Reason: acc(test.reason), Remedy: acc(test.remedy),
			}
			if test.message == "" {
				want.Message = test.refusal.Message
			}
			same := cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })
			if diff := cmp.Diff(*want, *got, same); diff != "" {
				t.Errorf("error differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLost(t *testing.T) {
	refused := &snapdhttp.TransportError{Socket: "s", Err: errors.New("connection refused")}
	broken := &snapdhttp.TransportError{Socket: "s", Sent: true, Err: errors.New("unexpected EOF")}
	tests := []struct {
		name  string
		err   error
		write bool
		want  error
	}{
		{"read, nobody there", refused, false, backend.ErrUnreachable},
		{"write, nobody there", refused, true, backend.ErrUnreachable},
		{"read, answer lost", broken, false, backend.ErrUnreachable},
		{"write, answer lost", broken, true, backend.ErrUnknown},
		{"not JSON", errors.New("cannot encode"), true, backend.ErrBadRequest},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := snapdhttp.Lost(test.err, snapdhttp.Request{Op: "set", View: telemetry}, test.write)
			if !errors.Is(got, test.want) || !errors.Is(got, test.err) {
				t.Errorf("got %v, want one of kind %v that wraps the cause", got, test.want)
			}
		})
	}
}

func TestStatusDecidesWhereWordsDoNot(t *testing.T) {
	for status, want := range map[int]error{
		http.StatusUnauthorized:        backend.ErrUnauthorized,
		http.StatusForbidden:           backend.ErrUnauthorized,
		http.StatusMethodNotAllowed:    backend.ErrUnsupported,
		http.StatusInternalServerError: backend.ErrOther,
	} {
		if got := snapdhttp.Classify(snapdhttp.Refusal{Status: status, Message: "words"}); got != want {
			t.Errorf("status %d is %v, want %v", status, got, want)
		}
	}
}
