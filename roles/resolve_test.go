package roles_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Flag, environment, file (the role's section, then the top level), default: each source yields to those before it.
func TestOrderOfSources(t *testing.T) {
	type result struct {
		Interval time.Duration
		Rate     float64
		Ranges   []string
		Account  string
		Once     bool
	}
	standard := result{Interval: time.Minute, Rate: 0.1, Ranges: []string{"10.0.0.0/8"},
		Account: "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"}
	with := func(change func(*result)) result {
		changed := standard
		change(&changed)
		return changed
	}
	tests := []struct {
		name string
		args []string
		vars map[string]string
		file string
		want result
	}{
		{name: "default", want: standard},
		{name: "top level of the file", file: "interval: 2m\ndrop-rate: 0.2\nranges: [a, b]\naccount-id: file\nonce: true\n",
			want: result{2 * time.Minute, 0.2, []string{"a", "b"}, "file", true}},
		{name: "JSON", file: `{"interval": "2m", "probe": {"drop-rate": 0.3}}`,
			want: with(func(r *result) { r.Interval, r.Rate = 2*time.Minute, 0.3 })},
		{name: "section before top level", file: "interval: 2m\nprobe:\n  interval: 3m\n",
			want: with(func(r *result) { r.Interval = 3 * time.Minute })},
		{name: "another role's section and keys", file: "listen: x\nother:\n  listen: y\n", want: standard},
		{name: "empty file", file: "\n", want: standard},
		{name: "environment before file", file: "probe:\n  interval: 3m\n  ranges: [a]\n",
			vars: map[string]string{"ASPECTS_INTERVAL": "4m", "ASPECTS_RANGES": "c,d", "ASPECTS_DROP_RATE": "0.4"},
			want: with(func(r *result) { r.Interval, r.Rate, r.Ranges = 4*time.Minute, 0.4, []string{"c", "d"} })},
		{name: "account ID by its usual name", file: "account-id: file\n", vars: map[string]string{"ACCOUNT_ID": "usual"},
			want: with(func(r *result) { r.Account = "usual" })},
		{name: "account ID by our name first",
			vars: map[string]string{"ACCOUNT_ID": "usual", "ASPECTS_ACCOUNT_ID": "ours"},
			want: with(func(r *result) { r.Account = "ours" })},
		{name: "flag before environment", args: []string{"--interval", "5m", "--once=false", "--ranges", "e"},
			vars: map[string]string{"ASPECTS_INTERVAL": "4m", "ASPECTS_ONCE": "true", "ASPECTS_RANGES": "c"},
			want: with(func(r *result) { r.Interval, r.Ranges = 5*time.Minute, []string{"e"} })},
		{name: "flag before file, though it is the default", args: []string{"--interval", "1m"}, file: "interval: 2m\n",
			want: standard},
		{name: "an empty variable is none", vars: map[string]string{"ASPECTS_INTERVAL": ""}, want: standard},
		{name: "no file wanted", args: []string{"--config", "-"}, file: "interval: 2m\n", want: standard},
	}
	places := map[string]func(w *world, path string) (args []string){
		"named": func(_ *world, path string) []string { return []string{"--config", path} },
		"named by environment": func(w *world, path string) []string {
			w.vars["ASPECTS_CONFIG"] = path
			return nil
		},
		"XDG_CONFIG_HOME": func(w *world, path string) []string {
			w.vars["XDG_CONFIG_HOME"] = filepath.Dir(filepath.Dir(path))
			return nil
		},
		"snap": func(w *world, path string) []string {
			w.vars["SNAP_NAME"], w.vars["SNAP_DATA"] = "aspects-poc-probe", filepath.Dir(path)
			w.vars["XDG_CONFIG_HOME"] = "/nowhere"
			return nil
		},
	}
	for place, prepare := range places {
		for _, test := range tests {
			t.Run(place+"/"+test.name, func(t *testing.T) {
				w := newWorld(t)
				args := []string{"aspects-poc-probe", "run"}
				if test.file != "" {
					path := filepath.Join(t.TempDir(), "aspects-poc", "config.yaml")
					write(t, path, test.file)
					args = append(args, prepare(w, path)...)
				}
				for name, value := range test.vars {
					w.vars[name] = value
				}
				if code := w.run(append(args, test.args...)...); code != 0 {
					t.Fatalf("exit code %d: %s", code, w.stderr.String())
				}
				got := result{w.settings.Interval, w.rate, w.ranges, w.settings.Account, w.settings.Once}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestBadSources(t *testing.T) {
	tests := []struct {
		name string
		vars map[string]string
		file string
		code int
		want string // of stderr; FILE stands for the file
	}{
		{"unknown key", nil, "intervall: 2m\n", 1, "unknown key \"intervall\" in FILE; did you mean \"interval\"?"},
		{"misspelt section", nil, "prob: {interval: 2m}\n", 1, "unknown key \"prob\" in FILE; did you mean \"probe\"?"},
		{"several that it may be", nil, "log: x\n", 1, "unknown key \"log\" in FILE; did you mean \"log-format\" or \"log-level\"?"},
		{"unknown key in a section", nil, "probe:\n  listen: x\n", 1, "unknown key \"listen\" in section \"probe\" of FILE; " +
			"known are account-id, drop-rate, interval, log-format, log-level, once, ranges, registry, schema\n"},
		{"unknown key in another's section", nil, "other:\n  drop-rate: 1\n", 1,
			"unknown key \"drop-rate\" in section \"other\" of FILE"},
		{"the file cannot name a file", nil, "config: x\n", 1, "unknown key \"config\" in FILE"},
		{"bad value", nil, "interval: soon\n", 1, "invalid value \"soon\" for \"interval\" in FILE: want a duration such as 30s or 1m"},
		{"map for a value", nil, "interval: {a: b}\n", 1,
			"invalid value of \"interval\" in FILE: want a plain value or a list of them"},
		{"list for a value", nil, "interval: [1m, 2m]\n", 1,
			"invalid value of \"interval\" in FILE: want one value, not a list of 2"},
		{"maps in a list", nil, "ranges: [{a: b}]\n", 1, "invalid value of \"ranges\" in FILE: want a list of plain values"},
		{"no YAML", nil, "interval: [\n", 1, "cannot read FILE: yaml: "},
		{"no map", nil, "- a\n", 1, "cannot read FILE: want a map of flag names to values"},
		{"bad variable", map[string]string{"ASPECTS_INTERVAL": "soon"}, "", 2,
			"invalid value \"soon\" in $ASPECTS_INTERVAL: want a duration such as 30s or 1m"},
		{"bad value of a variable", map[string]string{"ASPECTS_LOG_FORMAT": "xml"}, "", 2,
			"invalid value \"xml\" in $ASPECTS_LOG_FORMAT: want text or json\n"},
		{"too short, in a variable", map[string]string{"ASPECTS_INTERVAL": "1ns"}, "interval: 2m\n", 2,
			"invalid value \"1ns\" in $ASPECTS_INTERVAL: want 10ms or more"},
		{"too short, in the file", nil, "probe: {interval: 1ns}\n", 2,
			"invalid value \"1ns\" for \"interval\" in FILE: want 10ms or more"},
		{"bad value in the file", nil, "log-level: loud\nlog-format: json\n", 2,
			"invalid value \"loud\" for \"log-level\" in FILE: want debug, info, warn or error\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			path := filepath.Join(t.TempDir(), "config.yaml")
			write(t, path, test.file)
			for name, value := range test.vars {
				w.vars[name] = value
			}
			if code := w.run("aspects-poc-probe", "run", "--config", path); code != test.code || w.ran != 0 {
				t.Errorf("exit code %d, want %d; ran %d times", code, test.code, w.ran)
			}
			want := "error: " + strings.ReplaceAll(test.want, "FILE", path)
			if !strings.HasPrefix(w.stderr.String(), want) {
				t.Errorf("got  %q\nwant %q", w.stderr.String(), want)
			}
		})
	}
	w := newWorld(t)
	missing := filepath.Join(t.TempDir(), "nosuch.yaml")
	if code := w.run("aspects-poc-probe", "run", "--config", missing); code != 1 ||
		!strings.Contains(w.stderr.String(), "cannot read the configuration: open "+missing) {
		t.Errorf("a file that was named and is missing: exit code %d: %s", code, w.stderr.String())
	}
}

func TestStateDir(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		vars map[string]string
		want string
	}{
		{map[string]string{"SNAP_NAME": "x", "SNAP_COMMON": "/var/snap/x/common", "XDG_STATE_HOME": "/s"}, "/var/snap/x/common"},
		{map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/home/u"}, "/s/aspects-poc"},
		{map[string]string{"HOME": "/home/u"}, "/home/u/.local/state/aspects-poc"},
	} {
		w.vars = test.vars
		if code := w.run("aspects-poc-probe", "run"); code != 0 || w.settings.StateDir != test.want {
			t.Errorf("%v: exit code %d, %q, want %q", test.vars, code, w.settings.StateDir, test.want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
