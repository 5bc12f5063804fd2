package scaffold_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/keep"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/scaffold"
	"aspects-poc/internal/need"

	"github.com/google/go-cmp/cmp"
)

// wrap plans a project around a file of testdata.
func wrap(t *testing.T, file, hooks string) (*scaffold.Wrapped, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(file, ".")
	return scaffold.Wrap(scaffold.Project{Name: name, Account: account}, scaffold.File{Name: file, Text: string(text), Mode: 0o644}, hooks)
}

// formatted reports a confdb-schema that registry fmt would change.
func formatted(t *testing.T, name string, text []byte) {
	t.Helper()
	want, err := document.Format(name, text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("%s is not as registry fmt writes it (-want +got):\n%s", name, diff)
	}
}

// lintClean fails the test with lint's findings in a project.
func lintClean(t *testing.T, dir, name string, snaps ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := document.Parse(name+".yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var options lint.Options
	for _, snap := range snaps {
		read, err := lint.ReadSnap(filepath.Join(dir, snap))
		if err != nil {
			t.Fatal(err)
		}
		options.Snaps = append(options.Snaps, read)
	}
	for _, found := range lint.Check(doc, options) {
		t.Errorf("lint: %+v\n%s", found, text)
	}
}

// lint has no finding in projects around typical files. Scripts of the main package run their tests.
func TestWrappedIsClean(t *testing.T) {
	for file, want := range map[string][]string{
		"agent.conf": {
			`{request: agent.log-level, storage: v1.agent.log-level}`, `choices: ["debug", "info", "warning", "error"]`, `log-level: # "Log_Level" in the file`,
			"port:\n              type: int\n              min: 1\n              max: 65535", "enabled:\n              type: bool", "max: 100", "type: int # decide: min and max",
		},
		"device.yaml": {
			`topics (line 21): a list of lists or maps`, `notes (line 29): a text over several lines`, `pattern: ^[0-9]{4}-[0-9]{2}-[0-9]{2}$`,
			`listen-port: # "listen_port" in the file`, `site-name: # "siteName" in the file`, `listen-address: # "listen.address" in the file`,
			`type: string # decide: the type: the file has no value`, `choices: ["debug", "info", "warn"]`, "values: string",
		},
		"service.toml": {`backend (line 18): a list of tables`, `max-body-size: # "max-body.size" in the file`, "values: int"},
		"uplink.json": {
			"- {request: uplink.password, storage: v1.uplink.password, access: write}", "uplink-secrets-state:", "visibility: secret",
			`peers (line 15): a list of lists or maps`, `ssid: # "SSID" in the file`,
		},
	} {
		t.Run(file, func(t *testing.T) { wrappedIsClean(t, file, "python", want) })
		if strings.HasSuffix(file, ".conf") {
			t.Run(file+" shell", func(t *testing.T) { wrappedIsClean(t, file, "shell", want) })
		}
	}
}

// wrappedIsClean writes the project around a file of testdata, and compares parts of its confdb-schema.
func wrappedIsClean(t *testing.T, file, hooks string, want []string) {
	t.Helper()
	w, err := wrap(t, file, hooks)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	names, err := scaffold.Write(dir, w)
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(file, ".")
	schema, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// The command in its first lines is one that finds nothing.
	command := regexp.MustCompile(`registry lint --against git:HEAD (.*)`).FindStringSubmatch(string(schema))
	lintClean(t, dir, name, strings.Fields(command[1])[1:]...)
	formatted(t, name+".yaml", schema)
	var scripts []string
	for _, name := range names {
		text := written(t, dir, name)
		if strings.Contains(text, "[[.") || strings.Contains(name, "NAME") {
			t.Errorf("%s was not filled in", name)
		}
		if strings.Contains(text, "correct horse") || strings.Contains(text, "t-123") {
			t.Errorf("%s has a secret", name)
		}
		if strings.HasSuffix(name, ".py") || strings.Contains(text, "python3") {
			scripts = append(scripts, filepath.Join(dir, name))
		}
	}
	for _, words := range want {
		if !strings.Contains(string(schema), words) {
			t.Errorf("the confdb-schema has no %q:\n%s", words, schema)
		}
	}
	// Python 3.8 is that of the base core20.
	check := "import ast, sys\nfor name in sys.argv[1:]: ast.parse(open(name).read(), name, feature_version=(3, 8))"
	if len(scripts) == 0 {
		return
	}
	if out, err := exec.Command(need.Program(t, "python3"), append([]string{"-c", check}, scripts...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWrapRefusals(t *testing.T) {
	for want, file := range map[string]scaffold.File{
		"cannot tell the format of notes.txt": {Name: "notes.txt"},
		"give the file a name of letters":     {Name: "my file.yaml"},
		`cannot read a.yaml as YAML: line 2: the value has a colon or a dash as YAML uses them: put the text`:                 {Name: "a.yaml", Text: "x: 1\na: b: c\n"},
		"cannot read a.yaml as YAML: line 2: a tab stands in the indentation":                                                 {Name: "a.yaml", Text: "x:\n\ty: 1\n"},
		"cannot read a.yaml as YAML: line 1: the file is a list":                                                              {Name: "a.yaml", Text: "- x\n"},
		"cannot read a.json as JSON: line 2: JSON has no comments":                                                            {Name: "a.json", Text: "{\n// x\n}"},
		"cannot read a.toml as TOML: line 3: the table t stands twice":                                                        {Name: "a.toml", Text: "[t]\na = 1\n[t]\n"},
		"cannot read a.ini as INI: line 1: a bracket":                                                                         {Name: "a.ini", Text: "[x\n"},
		"a.yaml has no value that a confdb-schema can have":                                                                   {Name: "a.yaml", Text: "a: &x 1\n"},
		"a.toml may have a secret, in a form that cannot be taken out (a list of tables): begin with a copy of the file with": {Name: "a.toml", Text: "b = 1\n[[a]]\npassword = 'x'\n"},
	} {
		_, err := scaffold.Wrap(scaffold.Project{Name: "a", Account: account}, file, "python")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := wrap(t, "device.yaml", "cobol"); err == nil {
		t.Error("hooks in COBOL")
	}
}

// A file with the ending .conf that is not INI is read in its own format.
func TestFormatOfConf(t *testing.T) {
	for text, want := range map[string]keep.Format{
		"[a]\nb = 1\n":                    keep.INI,
		"[a]\nb = \"x\"\n[[c]]\nd = 1\n":  keep.TOML,
		"{\"a\": 1}\n":                    keep.JSON,
		"a:\n  b: 1\n  c: x\n":            keep.YAML,
		"Port 22\nPermitRootLogin no\n":   "cannot read a.conf as INI: this is not INI: line 1: a key without a value",
		"user www;\nevents {\n a 1;\n}\n": "cannot read a.conf as INI: this is not INI: line 1: a key without a value",
	} {
		w, err := scaffold.Wrap(scaffold.Project{Name: "a", Account: account}, scaffold.File{Name: "a.conf", Text: text}, "python")
		if err != nil && err.Error() == string(want) {
			continue
		}
		if err != nil || w.Format != want {
			t.Errorf("%q: %v, %v, want %s", text, w, err, want)
		}
	}
}

// Left has the maps without keys.
func TestEmptyMapsAreNamed(t *testing.T) {
	for name, text := range map[string]string{
		"a.yaml": "x: 1\ne: {}\nm:\n  n: {}\nfull: {y: 1}\n", "a.json": `{"x": 1, "e": {}, "m": {"n": {}}, "full": {"y": 1}}`,
		"a.toml": "x = 1\ne = {}\n[m.n]\n[full]\ny = 1\n", "a.ini": "x = 1\n[e]\n[full]\ny = 1\n",
	} {
		want := []string{"e: a map without keys", "m.n: a map without keys"}
		if name == "a.ini" {
			want = want[:1]
		}
		w, err := scaffold.Wrap(scaffold.Project{Name: "a", Account: account}, scaffold.File{Name: name, Text: text}, "python")
		if err != nil || !slices.Equal(w.Left, want) {
			t.Errorf("%s: %v, %v, want %v", name, w.Left, err, want)
		}
	}
}

// Keys that cannot be in a path get valid names, each its own.
func TestNames(t *testing.T) {
	text := "aB: 1\na_b: 2\na-b: 3\nA.B: 4\n80: 5\n'': 6\n\"*\": 7\nÜber: 8\na-b-2: 9\n"
	w, err := scaffold.Wrap(scaffold.Project{Name: "a", Account: account}, scaffold.File{Name: "a.yaml", Text: text}, "python")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range w.Fields {
		got = append(got, f.Request)
	}
	want := []string{"a-b-3", "a-b-4", "a-b", "a-b-5", "n-80", "key", "key-2", "ber", "a-b-2"}
	if !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
}

// TestSecrets has secrets by their names, by the name of the map around them, and by a password in the value.
func TestSecrets(t *testing.T) {
	text := `
url: https://user:pw@host/
plain-url: https://host:8443/a@b
mail: mailto:bob@example.com
ssh: ssh://git@host/x
dsn: postgres://u:secret@h:5432/db
mysql: u:pw@tcp(h:3306)/db
libpq: host=h user=u password=pw
hook: https://host/?token=abc
brokers: ["mqtt://a:b@h", "mqtt://h"]
secrets: {db: x, port: 5, on: true}
sites: {one: {credentials: {user: u}}, two: {name: n}}
api_tokens: [a, b]
max_tokens: 4096
gpio_pins: [17, 27]
apikey: k-1
db_pwd: k-2
bearer: k-3
auth: k-4
http_auth: k-5
author: bob
authority: ca
auth_method: basic
auth-type: basic
auth_url: https://host/
cwd: /
forbearer: bob
smtp: {auth: {user: u, method: plain}}
`
	w, err := scaffold.Wrap(scaffold.Project{Name: "a", Account: account}, scaffold.File{Name: "a.yaml", Text: text}, "python")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range w.Fields {
		if f.Secret {
			got = append(got, f.Request)
		}
	}
	want := []string{"url", "dsn", "mysql", "libpq", "hook", "brokers", "secrets.db", "secrets.port", "sites.one.credentials.user", "api-tokens",
		"apikey", "db-pwd", "bearer", "auth", "http-auth"}
	if !slices.Equal(got, want) {
		t.Errorf("secrets %v, want %v", got, want)
	}
	files, err := w.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.Contains(string(text), ":pw@") || strings.Contains(string(text), "u:secret@") || strings.Contains(string(text), "k-") && strings.HasPrefix(name, "custodian/default/") {
			t.Errorf("%s has a secret", name)
		}
	}
}

// The value that the tests write resembles the one in the file, so that a pattern for that one accepts it.
func TestSampleHasTheShape(t *testing.T) {
	for old, want := range map[string]string{"10.0.0.0/8": "10.0.0.0/7", "eth0": "eth1", "/var/lib/": "/var/lia/", "A": "B", "-": "changed"} {
		w, err := scaffold.Wrap(scaffold.Project{Name: "a", Account: account}, scaffold.File{Name: "a.json", Text: `{"x": "` + old + `"}`}, "python")
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Sample().New; got != `"`+want+`"` {
			t.Errorf("%s: %s, want %s", old, got, want)
		}
	}
}
