package registrycmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/roles"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/registrycmd"

	"github.com/google/go-cmp/cmp"
)

// A shelf is a backend that answers with what the test put there and notes what it was asked: these tests are about
// arguments and output. Scripts in the main package do the same with a real registry.
type shelf struct {
	answer      map[string]any
	err         error
	status      backend.Status
	events      []backend.Event
	closed      int
	view        backend.ViewID
	requests    []string
	constraints map[string]any
	values      map[string]any
}

var _ backend.Backend = (*shelf)(nil)

func (s *shelf) Get(_ context.Context, view backend.ViewID, requests []string, options backend.GetOptions) (map[string]any,
	error) {
	s.view, s.requests, s.constraints = view, requests, options.Constraints
	return s.answer, s.err
}

func (s *shelf) Set(_ context.Context, view backend.ViewID, values map[string]any) error {
	s.view, s.values = view, values
	return s.err
}

func (s *shelf) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	s.view = view
	events := make(chan backend.Event, len(s.events))
	for _, event := range s.events {
		events <- event
	}
	if ctx.Err() != nil || len(s.events) > 0 {
		close(events)
	}
	return events, nil
}

func (s *shelf) Status(ctx context.Context) (backend.Status, error) {
	return s.status, errors.Join(s.statusErr(), ctx.Err())
}

func (s *shelf) statusErr() error {
	if errors.Is(s.err, backend.ErrUnreachable) {
		return s.err
	}
	return nil
}

func (s *shelf) Close() error { s.closed++; return nil }

type outcome struct {
	Code           int
	Stdout, Stderr string
}

// run runs "aspects-poc registry ARGS" over a shelf.
func run(t *testing.T, s *shelf, args ...string) outcome {
	t.Helper()
	return runIn(t.Context(), t, s, args...)
}

func runIn(ctx context.Context, t *testing.T, s *shelf, args ...string) outcome {
	t.Helper()
	var stdout bytes.Buffer
	code, stderr := runTo(ctx, t, s, &stdout, args...)
	return outcome{code, stdout.String(), stderr}
}

func runTo(ctx context.Context, t *testing.T, s *shelf, stdout io.Writer, args ...string) (code int, errors string) {
	t.Helper()
	var stderr bytes.Buffer
	env := &roles.Env{
		Stdin: strings.NewReader(""), Stdout: stdout, Stderr: &stderr, Getenv: func(string) string { return "" },
		Open: func(_ context.Context, _ string, options ...registry.Options) (*registry.Registry, error) {
			return registry.New(s, backend.ViewID{Account: options[0].Account, Schema: options[0].Schema}), nil
		},
	}
	args = append([]string{"aspects-poc", "registry"}, args...)
	return roles.Run(ctx, env, args, registrycmd.New()), stderr.String()
}

// Values must not reach a terminal as what it would obey; elsewhere, scripts get them as they are.
func TestControlCharacters(t *testing.T) {
	answer := map[string]any{"a": "\x1b[2J\u009b31m\nb\tc", "l": []any{"\x1b\x7f"}}
	for _, test := range []struct{ args, terminal, elsewhere string }{
		{"get v a", `\x1b[2J\u009b31m` + "\nb\tc\n", "\x1b[2J\u009b31m\nb\tc\n"},
		{"get -t v a", `"\u001b[2J\u009b31m\nb\tc"` + "\n", `"\u001b[2J` + "\u009b" + `31m\nb\tc"` + "\n"},
		{"get v l", "[\n\t" + `"\u001b\u007f"` + "\n]\n", "[\n\t\"\\u001b\x7f\"\n]\n"},
		{"get -l v a l", "\x1b[1mKey  Value\x1b[22m\n" + `a    \x1b[2J\u009b31m\nb\tc` + "\n" + `l    [\x1b\x7f]` + "\n", ""},
		{"get v", "\x1b[1mKey  Value\x1b[22m\n" + `a    \x1b[2J\u009b31m\nb\tc` + "\n" + `l    [\x1b\x7f]` + "\n", ""},
		{"watch --count 1 v", `{"a":"\u001b[2J\u009b31m\nb\tc","l":["\u001b\u007f"]}` + "\n", ""},
	} {
		s := func() *shelf { return &shelf{answer: answer, events: []backend.Event{{}}} }
		args := strings.Fields(test.args)
		got := rolestest.OnTerminal(t, func(terminal *os.File) {
			if code, stderr := runTo(t.Context(), t, s(), terminal, args...); code != 0 {
				t.Errorf("%s: exit code %d: %s", test.args, code, stderr)
			}
		})
		if got != test.terminal {
			t.Errorf("%s on a terminal:\ngot  %q\nwant %q", test.args, got, test.terminal)
		}
		if test.elsewhere == "" {
			continue
		}
		if got := run(t, s(), args...); got.Stdout != test.elsewhere {
			t.Errorf("%s:\ngot  %q\nwant %q", test.args, got.Stdout, test.elsewhere)
		}
	}
	failed := &shelf{err: errors.New("told \x1b[2J\nand more")}
	if got := run(t, failed, "get", "v"); got.Stderr != "error: told \\x1b[2J\nand more\n" {
		t.Errorf("an error is told as %q", got.Stderr)
	}
}

// values decodes a document as backends do.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	if text == "" {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document
}

var noData = &backend.Error{Op: "get", Requests: []string{"x"}, Kind: backend.ErrNoData,
	Message: `cannot get "x" through acc/network/v: no data`}

// The shapes are those of snap get, seen on snapd 2.77.1.
func TestGet(t *testing.T) {
	const telemetry = `{"sample-rate": 2, "monitor-peers": true, "url": "http://x/?a=1&b=<2>"}`
	tests := []struct {
		name   string
		args   string
		answer string
		err    error
		want   outcome
	}{
		{"string", "v url", `{"url": "http://x/?a&b"}`, nil, outcome{0, "http://x/?a&b\n", ""}},
		{"string, typed", "-t v url", `{"url": "http://x/?a&b"}`, nil, outcome{0, "\"http://x/?a&b\"\n", ""}},
		{"string, document", "-d v url", `{"url": "x"}`, nil, outcome{0, "{\n\t\"url\": \"x\"\n}\n", ""}},
		{"string, list", "-l v url", `{"url": "x"}`, nil, outcome{0, "Key  Value\nurl  x\n", ""}},
		{"empty string", "v url", `{"url": ""}`, nil, outcome{0, "\n", ""}},
		{"number keeps its digits", "v n", `{"n": 12345678901234567890}`, nil, outcome{0, "12345678901234567890\n", ""}},
		{"bool", "-t v on", `{"on": false}`, nil, outcome{0, "false\n", ""}},
		{"list", "v peers", `{"peers": ["192.168.21.3", "192.168.151.225"]}`, nil,
			outcome{0, "[\n\t\"192.168.21.3\",\n\t\"192.168.151.225\"\n]\n", ""}},
		{"list in a table", "-l v peers", `{"peers": ["192.168.21.3", "192.168.151.225"]}`, nil,
			outcome{0, "Key    Value\npeers  [192.168.21.3 192.168.151.225]\n", ""}},
		{"map", "v config", `{"config": {"eth0": {"ip-address": "172.16.0.3"}}}`, nil,
			outcome{0, "{\n\t\"config\": {\n\t\t\"eth0\": {\n\t\t\t\"ip-address\": \"172.16.0.3\"\n\t\t}\n\t}\n}\n", ""}},
		{"map with -d behind it", "v config -d", `{"config": {"b": 1, "a": {}}}`, nil,
			outcome{0, "{\n\t\"config\": {\n\t\t\"a\": {},\n\t\t\"b\": 1\n\t}\n}\n", ""}},
		{"counters", "v packets-received -l", `{"packets-received": {"wlan0": 148, "eth0": 127}}`, nil,
			outcome{0, "Key                     Value\npackets-received.eth0   127\npackets-received.wlan0  148\n", ""}},
		{"deeper maps", "-l v config", `{"config": {"eth0": {"ip-address": "x"}}}`, nil,
			outcome{0, "Key          Value\nconfig.eth0  {...}\n", ""}},
		{"whole view", "v", telemetry, nil,
			outcome{0, "{\n\t\"monitor-peers\": true,\n\t\"sample-rate\": 2,\n\t\"url\": \"http://x/?a=1&b=<2>\"\n}\n", ""}},
		{"whole view, list", "-l v", `{"stats": {"eth0": {}}, "a": null, "b": 1}`, nil,
			outcome{0, "Key    Value\na      null\nb      1\nstats  {...}\n", ""}},
		{"several keys", "v a b", `{"b": 2, "a": "1"}`, nil, outcome{0, "{\n\t\"a\": \"1\",\n\t\"b\": 2\n}\n", ""}},
		{"several keys, list", "-l v b a.c", `{"b": {"z": 1, "y": 2}, "a.c": 3}`, nil,
			outcome{0, "Key  Value\na.c  3\nb.y  2\nb.z  1\n", ""}},
		{"no data", "v x", "", noData, outcome{1, "", "error: cannot get \"x\" through acc/network/v: no data\n"}},
		{"default, string", "--default none v x", "", noData, outcome{0, "none\n", ""}},
		{"default, JSON", "v x --default=[7]", "", noData, outcome{0, "[\n\t7\n]\n", ""}},
		{"default, document", "-d --default 7 v x", "", noData, outcome{0, "{\n\t\"x\": 7\n}\n", ""}},
		{"default, empty", "--default= v x", "", noData, outcome{0, "\n", ""}},
		{"default, not needed", "--default 7 v x", `{"x": 8}`, nil, outcome{0, "8\n", ""}},
		{"default, whole view", "--default 7 v", "", noData, outcome{0, "7\n", ""}},
		{"default is for no data only", "--default 7 v x", "",
			&backend.Error{Op: "get", Kind: backend.ErrNoCustodian, Message: "cannot read confdb view a/n/v: no custodian snap " +
				"connected", Remedy: "snap connect c:v"},
			outcome{1, "", "error: cannot read confdb view a/n/v: no custodian snap connected (try: snap connect c:v)\n"}},
		{"default, typed and no JSON", "-t --default seven v x", "", noData,
			usage("get", "invalid value for --default: failed to parse JSON: invalid character 's' looking for beginning of value")},
		{"default of several", "--default 7 v x y", "", noData,
			usage("get", "cannot use --default with more than one confdb request")},
		{"two shapes", "-d -t v", "", nil, usage("get", "cannot use -d and -t together")},
		{"two shapes at once", "-dl v", "", nil, usage("get", "cannot use -d and -l together")},
		{"two other shapes", "-t v -l", "", nil, usage("get", "cannot use -l and -t together")},
		{"no view", "", "", nil, usage("get", "no view given")},
		{"a bad constraint", "v --with name", "", nil, usage("get", "invalid value \"name\" for --with: want PARAMETER=VALUE")},
		{"a view that is none", "a/b/c/d", "", nil,
			outcome{1, "", "error: cannot parse view \"a/b/c/d\": want VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW\n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &shelf{answer: values(t, test.answer), err: test.err}
			got := run(t, s, append([]string{"get"}, strings.Fields(test.args)...)...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Code != roles.ExitUsage && s.closed != 1 {
				t.Errorf("closed %d times", s.closed)
			}
		})
	}
}

func usage(command, message string) outcome {
	return outcome{2, "", "error: " + message + "\nSee 'aspects-poc registry " + command + " --help'.\n"}
}

func TestRequests(t *testing.T) {
	const account = "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"
	tests := []struct {
		args        string
		view        backend.ViewID
		requests    []string
		constraints map[string]any
	}{
		{"get v", backend.ViewID{Account: account, Schema: "network", View: "v"}, nil, nil},
		{"get other/v a b.c", backend.ViewID{Account: account, Schema: "other", View: "v"}, []string{"a", "b.c"}, nil},
		{"get acc/other/v", backend.ViewID{Account: "acc", Schema: "other", View: "v"}, nil, nil},
		{"get v --account-id acc --schema sch", backend.ViewID{Account: "acc", Schema: "sch", View: "v"}, nil, nil},
		{"get v x --with name=eth0 --with n=4 --with b=a=c",
			backend.ViewID{Account: account, Schema: "network", View: "v"}, []string{"x"},
			map[string]any{"name": "eth0", "n": json.Number("4"), "b": "a=c"}},
	}
	for _, test := range tests {
		s := &shelf{answer: map[string]any{}}
		if got := run(t, s, strings.Fields(test.args)...); got.Code != 0 {
			t.Errorf("%s: %+v", test.args, got)
		}
		if diff := cmp.Diff([]any{test.view, len(test.requests), test.constraints},
			[]any{s.view, len(s.requests), s.constraints}); diff != "" || !cmp.Equal(test.requests, nilIfEmpty(s.requests)) {
			t.Errorf("%s (-want +got):\n%s\nrequests %v", test.args, diff, s.requests)
		}
	}
}

func nilIfEmpty(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

func TestSet(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want map[string]any // values written; nil for wrong usage
		err  string
	}{
		{"number", []string{"v", "a=4"}, map[string]any{"a": json.Number("4")}, ""},
		{"large number", []string{"v", "a=12345678901234567890"}, map[string]any{"a": json.Number("12345678901234567890")}, ""},
		{"string that is no JSON", []string{"v", "a=http://x:8000/?b=c"}, map[string]any{"a": "http://x:8000/?b=c"}, ""},
		{"address", []string{"v", "a=10.0.0.7"}, map[string]any{"a": "10.0.0.7"}, ""},
		{"negative number", []string{"v", "a=-3"}, map[string]any{"a": json.Number("-3")}, ""},
		{"JSON with more behind it is a string", []string{"v", "a=4 5"}, map[string]any{"a": "4 5"}, ""},
		{"empty", []string{"v", "a="}, map[string]any{"a": ""}, ""},
		{"null", []string{"v", "a=null"}, map[string]any{"a": nil}, ""},
		{"list and map", []string{"v", `a=["x", 1]`, `b.c={"d": true}`},
			map[string]any{"a": []any{"x", json.Number("1")}, "b.c": map[string]any{"d": true}}, ""},
		{"unset", []string{"v", "a!", "b=1"}, map[string]any{"a": nil, "b": json.Number("1")}, ""},
		{"exclamation mark in a value", []string{"v", "a=b!"}, map[string]any{"a": "b!"}, ""},
		{"string flag", []string{"-s", "v", "a=4", "b=true"}, map[string]any{"a": "4", "b": "true"}, ""},
		{"string flag at the end", []string{"v", "a=null", "-s"}, map[string]any{"a": "null"}, ""},
		{"typed", []string{"-t", "v", `a="4"`, "b!"}, map[string]any{"a": "4", "b": nil}, ""},
		{"the last one counts", []string{"v", "a=1", "a=2"}, map[string]any{"a": json.Number("2")}, ""},
		{"typed, no JSON", []string{"-t", "v", "a=x"}, nil,
			"invalid parameter: \"a=x\": failed to parse JSON: invalid character 'x' looking for beginning of value"},
		{"typed, empty", []string{"-t", "v", "a="}, nil, "invalid parameter: \"a=\": failed to parse JSON: unexpected EOF"},
		{"typed, two values", []string{"-t", "v", "a=1 2"}, nil,
			"invalid parameter: \"a=1 2\": failed to parse JSON: more text behind the value"},
		{"no value", []string{"v", "a"}, nil, "invalid configuration: \"a\" (want key=value)"},
		{"no key", []string{"v", "=1"}, nil, "invalid configuration: \"=1\" (want key=value)"},
		{"nothing but a mark", []string{"v", "!"}, nil, "invalid configuration: \"!\" (want key=value)"},
		{"both flags", []string{"-t", "-s", "v", "a=1"}, nil, "cannot use -t and -s together"},
		{"nothing", []string{"v"}, nil, "nothing to set: want KEY=VALUE, or KEY! to unset"},
		{"no view", nil, nil, "no view given"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &shelf{}
			got := run(t, s, append([]string{"set"}, test.args...)...)
			want := outcome{}
			if test.err != "" {
				want = usage("set", test.err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, s.values); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnset(t *testing.T) {
	s := &shelf{}
	if got := run(t, s, "unset", "v", "a", "b.c"); got != (outcome{}) {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(map[string]any{"a": nil, "b.c": nil}, s.values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if got, want := run(t, s, "unset", "v"), usage("unset", "nothing to unset: want one KEY or more"); got != want {
		t.Errorf("%+v", got)
	}
}

// Each kind of refusal is printed as it is, and fails.
func TestRefusals(t *testing.T) {
	for _, kind := range backend.Kinds() {
		s := &shelf{err: &backend.Error{Op: "set", Requests: []string{"a"}, Kind: kind,
			View: backend.ViewID{Account: "acc", Schema: "network", View: "v"}}}
		want := outcome{1, "", fmt.Sprintf("error: cannot set \"a\" through acc/network/v: %v\n", kind)}
		if got := run(t, s, "set", "v", "a=1"); got != want {
			t.Errorf("%v: %+v", kind, got)
		}
	}
}

// A snapd that answers has its own confdb-schemas: a file with another one is refused before anything is asked for.
func TestSchemaFileWithSnapd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lamp.yaml")
	err := os.WriteFile(file, []byte("account-id: acme\nname: lamp\nviews: {control: {rules: [{storage: on}]}}\nstorage: {schema: {on: bool}}\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"snapd", "snapctl"} {
		for _, words := range []string{"get control", "set control on=true", "unset control on", "watch control", "status"} {
			s := &shelf{status: backend.Status{Backend: name}}
			got := run(t, s, append(strings.Fields(words), "--schema-file", file)...)
			want := "error: cannot use --schema-file with " + name + ": snapd knows confdb-schemas from signed assertions only " +
				"(try: snap ack FILE and no --schema-file, or --registry file:PATH)\n"
			if got.Code != 2 || got.Stdout != "" || !strings.HasPrefix(got.Stderr, want) {
				t.Errorf("%s over %s: %+v", words, name, got)
			}
			if s.view != (backend.ViewID{}) || s.values != nil || s.closed != 1 {
				t.Errorf("%s over %s: it was asked for %v, set to %v, closed %d times", words, name, s.view, s.values, s.closed)
			}
		}
	}
}

func TestWatch(t *testing.T) {
	event := backend.Event{Revision: 1}
	t.Run("a line each, until counted", func(t *testing.T) {
		s := &shelf{answer: values(t, `{"sample-rate": 4, "a": "<"}`), events: []backend.Event{event, event, event}}
		got := run(t, s, "watch", "v", "sample-rate", "--count", "2")
		want := outcome{0, strings.Repeat(`{"a":"<","sample-rate":4}`+"\n", 2),
			"watching f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN/network/v\n"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if !cmp.Equal(s.requests, []string{"sample-rate"}) {
			t.Errorf("requests %v", s.requests)
		}
	})
	t.Run("indented", func(t *testing.T) {
		s := &shelf{answer: values(t, `{"a": 1}`), events: []backend.Event{event}}
		if got := run(t, s, "watch", "-d", "--count=1", "v"); got.Stdout != "{\n\t\"a\": 1\n}\n" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no data", func(t *testing.T) {
		s := &shelf{err: noData, events: []backend.Event{event}}
		if got := run(t, s, "watch", "--count=1", "v"); got.Code != 0 || got.Stdout != "null\n" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("interrupted watch goes on", func(t *testing.T) {
		s := &shelf{answer: map[string]any{}, events: []backend.Event{{Err: errors.New("snapd restarts")}, event}}
		got := run(t, s, "watch", "--count=1", "v")
		if got.Code != 0 || got.Stdout != "{}\n" || !strings.Contains(got.Stderr, "snapd restarts") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a watch that ends by itself is a failure", func(t *testing.T) {
		s := &shelf{answer: map[string]any{}, events: []backend.Event{event}}
		if got := run(t, s, "watch", "v"); got.Code != 1 || !strings.HasSuffix(got.Stderr, "error: the watch ended by itself\n") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("being interrupted is how it ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := runIn(ctx, t, &shelf{}, "watch", "v"); got.Code != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("bad count", func(t *testing.T) {
		want := usage("watch", "invalid value \"-1\" for --count: must not be negative")
		if got := run(t, &shelf{}, "watch", "--count=-1", "v"); got != want {
			t.Errorf("%+v", got)
		}
	})
}

func TestStatus(t *testing.T) {
	full := backend.Status{
		Backend: "snapd", Address: "/run/snapd.socket", Version: "2.76", Generation: "confdb 2.76",
		Capabilities: backend.Capabilities{WatchEvery: 5 * time.Second, SetConfirmed: true},
		Warnings:     []string{"update snapd"},
	}
	t.Run("text", func(t *testing.T) {
		got := run(t, &shelf{status: full, answer: map[string]any{}}, "status", "--account-id", "acc")
		want := outcome{0, "" +
			"backend:        snapd\n" +
			"address:        /run/snapd.socket\n" +
			"version:        2.76\n" +
			"generation:     confdb 2.76\n" +
			"schema:         acc/network: usable\n" +
			"update:         not atomic: a concurrent write may be lost\n" +
			"several views:  one transaction each\n" +
			"set:            returns when committed\n" +
			"watch:          the view is read every 5s\n" +
			"warning:        update snapd\n", ""}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("JSON", func(t *testing.T) {
		got := run(t, &shelf{status: full, err: &backend.Error{Op: "get", Kind: backend.ErrNoSchema, Message: "no schema"}},
			"status", "--json", "--account-id", "acc")
		want := map[string]any{
			"backend": "snapd", "address": "/run/snapd.socket", "version": "2.76", "generation": "confdb 2.76",
			"capabilities": map[string]any{"atomic-update": false, "multi-view": false, "watch-pushed": false,
				"watch-every": "5s", "set-confirmed": true},
			"schemas":  []any{map[string]any{"name": "acc/network", "usable": false, "problem": "no schema"}},
			"warnings": []any{"update snapd"},
		}
		if diff := cmp.Diff(want, values(t, got.Stdout)); diff != "" || got.Code != 0 {
			t.Errorf("exit code %d (-want +got):\n%s", got.Code, diff)
		}
	})
	t.Run("no data is fine", func(t *testing.T) {
		got := run(t, &shelf{err: noData}, "status")
		if got.Code != 0 || !strings.Contains(got.Stdout, "/network: usable\n") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("unreachable", func(t *testing.T) {
		err := &backend.Error{Op: "open", Kind: backend.ErrUnreachable, Message: "cannot reach snapd: no such socket"}
		if got, want := run(t, &shelf{err: err}, "status"),
			(outcome{1, "", "error: cannot reach snapd: no such socket\n"}); got != want {
			t.Errorf("%+v", got)
		}
	})
	t.Run("arguments", func(t *testing.T) {
		want := usage("status", "unexpected argument \"now\": status takes flags only")
		if got := run(t, &shelf{}, "status", "now"); got != want {
			t.Errorf("%+v", got)
		}
	})
}

// A writer that is full, as a closed pipe is.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestOutputThatCannotBeWritten(t *testing.T) {
	for _, args := range []string{"get v", "get -l v", "get -d v", "get v x", "status", "status --json", "watch v"} {
		s := &shelf{answer: map[string]any{"x": "y"}, events: []backend.Event{{}}}
		var stderr bytes.Buffer
		env := &roles.Env{Stdout: full{}, Stderr: &stderr, Getenv: func(string) string { return "" },
			Open: func(context.Context, string, ...registry.Options) (*registry.Registry, error) {
				return registry.New(s, backend.ViewID{Account: "a", Schema: "s"}), nil
			}}
		words := append([]string{"aspects-poc", "registry"}, strings.Fields(args)...)
		if code := roles.Run(t.Context(), env, words, registrycmd.New()); code != 1 || s.closed != 1 {
			t.Errorf("%s: exit code %d, closed %d times: %s", args, code, s.closed, stderr.String())
		}
	}
}

func TestGetOnATerminal(t *testing.T) {
	tests := []struct {
		name   string
		answer string
		keys   []string
		want   string
	}{
		{"map", `{"packets-sent": {"eth0": 130, "wlan0": 131}}`, []string{"packets-sent"},
			"Key                 Value\npackets-sent.eth0   130\npackets-sent.wlan0  131\n"},
		{"whole view", `{"a": {"b": 1}, "c": "d"}`, nil, "Key  Value\na    {...}\nc    d\n"},
		{"several keys", `{"a": 1, "c": "d"}`, []string{"a", "c"}, "Key  Value\na    1\nc    d\n"},
		{"list", `{"a": [1]}`, []string{"a"}, "[\n\t1\n]\n"},
		{"string", `{"a": "b"}`, []string{"a"}, "b\n"},
	}
	for _, test := range tests {
		var got bytes.Buffer
		if err := registrycmd.PrintOnTerminal(&got, values(t, test.answer), test.keys...); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(test.want, got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
