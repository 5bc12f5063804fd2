package editor_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/editor"
	"aspects-poc/internal/kit/scaffold"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// open writes the project of testdata/lamp.txtar to disk and returns its workspace and its folder.
func open(t testing.TB) (*editor.Workspace, string) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "lamp.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range archive.Files {
		name := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, file.Data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w := editor.New(dir)
	w.Scan()
	return w, dir
}

// mark stands for the cursor in a text.
const mark = "‸"

// put replaces was by is in the text of a file, sets the result as the editor's text, and returns the position of the mark in it.
func put(t testing.TB, w *editor.Workspace, file, was, is string) document.Position {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), was, is, 1)
	before, after, found := strings.Cut(changed, mark)
	if !found || !strings.Contains(string(text), was) {
		t.Fatalf("%s: no %q, or no mark in %q", file, was, is)
	}
	w.Set(file, []byte(before+after))
	return edit.NewText([]byte(before)).Position(len(before))
}

func TestComplete(t *testing.T) {
	for name, test := range map[string]struct {
		file, was, is string
		want          []string // among the items
		not           []string
	}{
		"headers":               {"lamp.yaml", "name: lamp\n", "name: lamp\n" + mark + "\n", []string{"summary", "timestamp", "storage"}, []string{"rules"}},
		"keys of a view":        {"lamp.yaml", "    summary: All of it\n", "    " + mark + "\n", []string{"summary", "parameters", "rules"}, []string{"request"}},
		"keys of a rule":        {"lamp.yaml", "- {request: level, storage: v1.level}", "- {request: level, " + mark + "}", []string{"storage", "access", "content"}, nil},
		"keys of a block rule":  {"lamp.yaml", "      - {request: level, storage: v1.level}", "      - request: level\n        " + mark, []string{"storage", "access"}, nil},
		"storage paths":         {"lamp.yaml", "storage: v1.level}", "storage: " + mark, []string{"v1.level", "v1.wifi.psk", `"v1.rooms.{name}.color"`}, []string{"level"}},
		"quoted storage paths":  {"lamp.yaml", `storage: "v1.rooms.{room}"`, `storage: "` + mark, []string{"v1.rooms.{name}.color"}, nil},
		"access":                {"lamp.yaml", "access: read}", "access: " + mark + "}", []string{"read", "write", "read-write"}, nil},
		"types":                 {"lamp.yaml", "level: {type: int, min: 0}", "level: {type: " + mark, []string{"int", "string", "${color}"}, nil},
		"short types":           {"lamp.yaml", "level: {type: int, min: 0}", "level: " + mark, []string{"int", "array", "${color}"}, nil},
		"part of an alias":      {"lamp.yaml", "level: {type: int, min: 0}", "level: ${co" + mark, []string{"${color}"}, nil},
		"constraints":           {"lamp.yaml", "level: {type: int, min: 0}", "level: {type: int, " + mark + "}", []string{"min", "max", "ephemeral"}, nil},
		"no constraints inside": {"lamp.yaml", "        level: {type: int, min: 0}", "        " + mark, nil, []string{"min", "type"}},
		"visibility":            {"lamp.yaml", "visibility: secret}", "visibility: " + mark + "}", []string{"secret"}, nil},
		"plugs' keys":           {"custodian/snap/snapcraft.yaml", "    role: custodian\n", "    " + mark + "\n", []string{"role", "view", "account"}, nil},
		"views":                 {"custodian/snap/snapcraft.yaml", "view: lamp/lamp-admin", "view: " + mark, []string{"lamp/lamp-admin", "lamp/lamp-state"}, nil},
		"role":                  {"custodian/snap/snapcraft.yaml", "role: custodian", "role: cu" + mark, []string{"custodian"}, nil},
		"plugs of an app":       {"custodian/snap/snapcraft.yaml", "plugs: [lamp-admin]", "plugs: [" + mark, []string{"lamp-admin"}, nil},
		"plugs in a hook":       {"custodian/snap/hooks/change-view-lamp-admin", "snapctl get --view :lamp-admin level", "snapctl get --view :" + mark, []string{":lamp-admin"}, nil},
		"requests in a hook":    {"custodian/snap/hooks/change-view-lamp-admin", "snapctl get --view :lamp-admin level", "snapctl get --view :lamp-admin l" + mark, []string{"level", "rooms.{room}"}, []string{"wifi.psk"}},
		"requests in Python":    {"custodian/snap/hooks/save-view-lamp-admin", `"level"], check`, `"` + mark + `"], check`, []string{"level"}, nil},
		"verbs":                 {"custodian/snap/hooks/change-view-lamp-admin", "snapctl get --view :lamp-admin level", "snapctl " + mark, []string{"get", "set", "fail"}, nil},
		"commands of a test":    {"tests/lamp.txtar", "set lamp-admin level=4", mark, []string{"set", "expect", "ran"}, nil},
		"views in a test":       {"tests/lamp.txtar", "set lamp-admin level=4", "set " + mark, []string{"lamp-admin", "lamp-state"}, nil},
		"requests in a test":    {"tests/lamp.txtar", "set lamp-admin level=4", "set lamp-admin " + mark, []string{"level", "rooms.{room}"}, nil},
		"what can be read":      {"tests/lamp.txtar", "expect lamp-state level=4", "get lamp-state " + mark, []string{"level"}, []string{"wifi.psk"}},
		"hooks in a test":       {"tests/lamp.txtar", "ran lamp-custodian change-view-lamp-admin", "ran lamp-custodian " + mark, []string{"change-view-lamp-admin"}, nil},
		"snaps in a test":       {"tests/lamp.txtar", "connect lamp-custodian", "connect " + mark, []string{"lamp-custodian", "lamp-custodian:lamp-admin"}, nil},
		"folders in a test":     {"tests/lamp.txtar", "install custodian", "install " + mark, []string{"custodian"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w, dir := open(t)
			w.Load() // as it was before it was broken
			file := filepath.Join(dir, filepath.FromSlash(test.file))
			at := put(t, w, file, test.was, test.is)
			var got []string
			for _, item := range w.Load().Complete(file, at) {
				got = append(got, item.Label)
			}
			for _, want := range test.want {
				if !slices.Contains(got, want) {
					t.Errorf("%q is missing: %q", want, got)
				}
			}
			for _, not := range test.not {
				if slices.Contains(got, not) {
					t.Errorf("%q is of no use here: %q", not, got)
				}
			}
		})
	}
}

func TestHover(t *testing.T) {
	for name, test := range map[string]struct {
		file, was, is string
		want          []string
	}{
		"entry":   {"lamp.yaml", "level: {type: int", "le" + mark + "vel: {type: int", []string{"`v1.level`: int", "view `lamp-admin`, request `level`: read and write", "view `lamp-state`, request `level`: read"}},
		"step":    {"lamp.yaml", "storage: v1.level}", "storage: v1.lev" + mark + "el}", []string{"`v1.level`: int"}},
		"inside":  {"lamp.yaml", "color: ${color}", "co" + mark + "lor: ${color}", []string{"`v1.rooms.{name}.color`", "as a part of it"}},
		"alias":   {"lamp.yaml", "color: ${color}", "color: ${col" + mark + "or}", []string{"`color`: string", "choices: [red, blue]"}},
		"view":    {"lamp.yaml", "  lamp-admin:", "  lamp-" + mark + "admin:", []string{"All of it", "| `level` | `v1.level` | read and write | int |", "custodian `lamp-custodian`"}},
		"request": {"custodian/snap/hooks/change-view-lamp-admin", ":lamp-admin level", ":lamp-admin lev" + mark + "el", []string{"request `level`", "`v1.level`"}},
		"plug":    {"custodian/snap/hooks/change-view-lamp-admin", ":lamp-admin level", ":lamp-" + mark + "admin level", []string{"a custodian", "hook `change-view-lamp-admin`", "view `lamp/lamp-admin`"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, dir := open(t)
			file := filepath.Join(dir, filepath.FromSlash(test.file))
			got, _ := w.Load().Hover(file, put(t, w, file, test.was, test.is))
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
	w, dir := open(t)
	if got, _ := w.Load().Hover(filepath.Join(dir, "lamp.yaml"), document.Position{Line: 1, Column: 1}); got != "" {
		t.Errorf("nothing is there, and it says %q", got)
	}
}

// named returns the files and lines of occurrences.
func named(dir string, list []editor.Occurrence) []string {
	var out []string
	for _, o := range list {
		below, _ := filepath.Rel(dir, o.File)
		out = append(out, filepath.ToSlash(below)+":"+string(o.Role)+":"+o.Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestReferences(t *testing.T) {
	w, dir := open(t)
	file := filepath.Join(dir, "lamp.yaml")
	at := put(t, w, file, "  lamp-admin:", "  lamp-"+mark+"admin:")
	want := []string{"custodian/snap/snapcraft.yaml:view:lamp-admin", "lamp.yaml:view:lamp-admin", "tests/lamp.txtar:view:lamp-admin"}
	if diff := cmp.Diff(want, named(dir, w.Load().References(file, at, true))); diff != "" {
		t.Errorf("view (-want +got):\n%s", diff)
	}
	hook := filepath.Join(dir, "custodian", "snap", "hooks", "change-view-lamp-admin")
	at = put(t, w, hook, ":lamp-admin level", ":lamp-"+mark+"admin level")
	if diff := cmp.Diff([]string{"custodian/snap/snapcraft.yaml:plug:lamp-admin"}, named(dir, w.Load().Definitions(hook, at))); diff != "" {
		t.Errorf("plug (-want +got):\n%s", diff)
	}
	at = put(t, w, hook, ":lamp-admin level", ":lamp-admin lev"+mark+"el")
	if diff := cmp.Diff([]string{"lamp.yaml:request:level"}, named(dir, w.Load().Definitions(hook, at))); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	test := filepath.Join(dir, "tests", "lamp.txtar")
	at = put(t, w, test, "ran lamp-custodian change-view-lamp-admin", "ran lamp-custodian change-"+mark+"view-lamp-admin")
	if diff := cmp.Diff([]string{"custodian/snap/hooks/change-view-lamp-admin:hook:change-view-lamp-admin"}, named(dir, w.Load().Definitions(test, at))); diff != "" {
		t.Errorf("hook (-want +got):\n%s", diff)
	}
}

// apply returns the texts that a fix makes, by file.
func apply(t *testing.T, w *editor.Workspace, dir string, fix *edit.Fix) map[string]string {
	t.Helper()
	edits, texts := map[string][]edit.Edit{}, map[string]string{}
	for _, e := range fix.Edits {
		edits[e.File] = append(edits[e.File], e)
	}
	for file, list := range edits {
		text, err := edit.Apply(w.Text(file).Bytes(), list)
		if err != nil {
			t.Fatal(err)
		}
		below, _ := filepath.Rel(dir, file)
		texts[filepath.ToSlash(below)] = string(text)
	}
	return texts
}

func TestRename(t *testing.T) {
	w, dir := open(t)
	file := filepath.Join(dir, "lamp.yaml")
	at := put(t, w, file, "level: {type: int", "le"+mark+"vel: {type: int")
	fix, err := w.Load().Rename(file, at, "brightness")
	if err != nil {
		t.Fatal(err)
	}
	texts := apply(t, w, dir, fix)
	for name, want := range map[string][]string{
		"lamp.yaml": {"- {request: brightness, storage: v1.brightness}", "        brightness: {type: int", "required: [brightness]", "storage: v1.brightness, access: read}"},
		"custodian/snap/hooks/change-view-lamp-admin": {"snapctl get --view :lamp-admin brightness", "the level of the lamp"},
		"custodian/snap/hooks/save-view-lamp-admin":   {`":lamp-admin", "brightness"], check`},
		"tests/lamp.txtar":                            {"set lamp-admin brightness=4", "expect lamp-state brightness=4", `expect lamp-admin '{"brightness":4}'`},
	} {
		for _, part := range want {
			if !strings.Contains(texts[name], part) {
				t.Errorf("%s has no %q:\n%s", name, part, texts[name])
			}
		}
	}
	for name, want := range map[string]string{"psk": "", "wifi": "beside", "Bad Name": "cannot be a name"} {
		_, err := w.Load().Rename(file, at, name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}

	at = put(t, w, file, "color: ${color}", "color: ${col"+mark+"or}")
	if fix, err = w.Load().Rename(file, at, "shade"); err != nil {
		t.Fatal(err)
	}
	if got := apply(t, w, dir, fix)["lamp.yaml"]; !strings.Contains(got, "    shade: {type: string") || !strings.Contains(got, "color: ${shade}") {
		t.Errorf("alias: %s", got)
	}

	snap := filepath.Join(dir, "custodian", "snap", "snapcraft.yaml")
	at = put(t, w, snap, "  lamp-admin:", "  lamp-"+mark+"admin:")
	if fix, err = w.Load().Rename(snap, at, "settings"); err != nil {
		t.Fatal(err)
	}
	texts = apply(t, w, dir, fix)
	if !strings.Contains(texts["tests/lamp.txtar"], "ran lamp-custodian change-view-settings") || !strings.Contains(texts["custodian/snap/snapcraft.yaml"], "plugs: [settings]") ||
		len(fix.Rename) != 2 || filepath.Base(fix.Rename[0].To) != "change-view-settings" {
		t.Errorf("plug: %v\n%+v", texts, fix.Rename)
	}
}

// The output of registry build is beside the confdb-schema. A test script means the confdb-schema.
func TestBuiltBeside(t *testing.T) {
	w, dir := open(t)
	built := `{"type":"confdb-schema","account-id":"Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4","name":"lamp","revision":"1",` +
		`"views":{"lamp-admin":{"rules":[{"request":"level","storage":"v1.level"}]}},"body":"{\"storage\":{\"schema\":{\"v1\":{\"schema\":{\"level\":\"int\"}}}}}"}`
	if err := os.WriteFile(filepath.Join(dir, "lamp.json"), []byte(built), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Scan()
	test := filepath.Join(dir, "tests", "lamp.txtar")
	at := put(t, w, test, "set lamp-admin level=4", "set lamp-admin lev"+mark+"el=4")
	project := w.Load()
	if diff := cmp.Diff([]string{"lamp.yaml:request:level"}, named(dir, project.Definitions(test, at))); diff != "" || len(project.Schemas) < 2 {
		t.Errorf("%d confdb-schemas (-want +got):\n%s", len(project.Schemas), diff)
	}
}

// A rename changes the table of the hooks that registry new has written. lint reports a table that was not changed.
func TestRenameInTable(t *testing.T) {
	code := []string{`"agent.host", `, `"agent", "hostname"`, `"server.passphrase", `, `"server", "password"`, `":settings"`, `":hidden"`}
	shell := []string{"agent.host\tplain\t", "\tagent\thostname\t", "server.passphrase\tsecret\t", "\tserver\tpassword\t", "ADMIN=:settings\n", "SECRETS=:hidden\n"}
	for hooks, parts := range map[string][]string{"python": code, "go": code, "shell": shell} {
		t.Run(hooks, func(t *testing.T) {
			project, err := scaffold.Wrap(scaffold.Project{Name: "agent", Account: "Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4"},
				scaffold.File{Name: "agent.ini", Text: "[agent]\nhostname = a\n[server]\npassword = x\n", Mode: 0o600}, hooks)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if _, err := scaffold.Write(dir, project); err != nil {
				t.Fatal(err)
			}
			w := editor.New(dir)
			w.Scan()
			file := filepath.Join(dir, "agent.yaml")
			table := filepath.Join(dir, "custodian", filepath.FromSlash(project.Table()))
			rename := func(in, was, name string) {
				t.Helper()
				text, err := os.ReadFile(in)
				if err != nil {
					t.Fatal(err)
				}
				before, _, found := strings.Cut(string(text), was)
				if !found {
					t.Fatalf("%s has no %q:\n%s", in, was, text)
				}
				fix, err := w.Load().Rename(in, edit.NewText(text).Position(len(before)), name)
				if err != nil {
					t.Fatal(err)
				}
				stale, err := os.ReadFile(table)
				if err != nil {
					t.Fatal(err)
				}
				for name, text := range apply(t, w, dir, fix) {
					w.Drop(filepath.Join(dir, name))
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				for _, r := range fix.Rename {
					if err := os.Rename(r.From, r.To); err != nil {
						t.Fatal(err)
					}
				}
				w.Scan()
				schema, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				w.Set(file, schema)
				for name, list := range w.Load().Findings() {
					for _, f := range list {
						if f.Code != "no-custodian" && f.Code != "plug-name" {
							t.Errorf("%s: %+v", name, f)
						}
					}
				}
				w.Set(table, stale)
				if found := w.Load().Findings()[table]; len(found) == 0 {
					t.Errorf("nobody says that the table lacks %s", name)
				}
				w.Drop(table)
			}
			rename(file, "hostname:", "host")
			rename(file, "password:", "passphrase")
			rename(filepath.Join(dir, "custodian", "snap", "snapcraft.yaml"), "agent-agent-admin:", "settings")
			rename(filepath.Join(dir, "custodian", "snap", "snapcraft.yaml"), "agent-agent-secrets-state:", "hidden")
			text, err := os.ReadFile(table)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range parts {
				if !strings.Contains(string(text), part) {
					t.Errorf("the table has no %s:\n%s", part, text)
				}
			}
		})
	}
}

func TestFindings(t *testing.T) {
	w, dir := open(t)
	file := filepath.Join(dir, "lamp.yaml")
	hook := filepath.Join(dir, "custodian", "snap", "hooks", "change-view-lamp-admin")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.Set(file, text)
	for name, list := range w.Load().Findings() {
		if len(list) > 0 {
			t.Errorf("%s: %v", name, list)
		}
	}
	put(t, w, file, "type: int, min: 0", "type: integer, min: 0"+mark)
	found := w.Load().Findings()
	if len(found[file]) != 1 || found[file][0].Fix == nil {
		t.Fatalf("%+v", found)
	}
	if fixes := w.Load().Actions(file, found[file][0].Line, found[file][0].Line); len(fixes) != 1 || fixes[0].Fix.Edits[0].Text != "int" {
		t.Errorf("%+v", fixes)
	}
	put(t, w, file, "views:", "views: {"+mark)
	if found = w.Load().Findings(); len(found[file]) != 1 || found[file][0].Code != "unreadable" {
		t.Errorf("%+v", found[file])
	}
	w.Set(file, text)
	put(t, w, hook, "snapctl get --view :lamp-admin level", "snapctl fail too bright"+mark)
	if found = w.Load().Findings(); len(found[hook]) != 1 || found[hook][0].Code != "hook-fail-words" {
		t.Errorf("%+v", found[hook])
	}
	w.Drop(hook)
	w.Drop(file)
	if found = w.Load().Findings(); len(found) != 0 {
		t.Errorf("nothing is open: %v", found)
	}
}

// FuzzEverything: no text of a document makes the server panic.
func FuzzEverything(f *testing.F) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", "lamp.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	_, dir := open(f)
	for i, file := range archive.Files {
		f.Add(i, len(file.Data)/2, "{", 3)
	}
	f.Fuzz(func(t *testing.T, index, offset int, typed string, cut int) {
		w := editor.New(dir)
		w.Scan()
		for i, file := range archive.Files {
			text := file.Data
			if index >= 0 && i == index%len(archive.Files) {
				at := min(max(offset, 0), len(text))
				end := min(at+max(cut, 0), len(text))
				text = slices.Concat(text[:at], []byte(typed), text[end:])
			}
			w.Set(filepath.Join(dir, file.Name), text)
		}
		p := w.Load()
		p.Findings()
		for _, file := range archive.Files {
			name := filepath.Join(dir, file.Name)
			for line := 1; line < w.Text(name).Lines()+2; line++ {
				at := document.Position{Line: line, Column: 1 + (line*7+max(offset, 0))%40}
				p.Complete(name, at)
				p.Hover(name, at)
				p.Definitions(name, at)
				_, _ = p.Rename(name, at, "other")
			}
			p.Outline(name)
			p.Folds(name)
			_, _ = p.Format(name)
		}
	})
}
