package generate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/kit/generate"
	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/need"
	"aspects-poc/internal/program"
	"aspects-poc/internal/randomschema"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// roundTripSchemas is how many random confdb-schemas TestRoundTrip uses; ASPECTS_ROUNDTRIP sets another number.
const roundTripSchemas = 8

// A roundTrip is a view of a random confdb-schema with a document for it. Each has a confdb-schema of its own.
type roundTrip struct {
	Name     string          `json:"name"` // of the schema, the Python module and the Go package
	Document json.RawMessage `json:"document"`

	source *generate.Source
	stored any    // what the engine then shows
	reason string // why the engine refuses it; "" if it does not
}

// An outcome is the result of a roundTrip in one language.
type outcome struct {
	Error string          `json:"error"`
	Read  json.RawMessage `json:"read"`
}

// TestRoundTrip generates code from random confdb-schemas. What one language writes, the other reads, and both as the engine
// has it.
func TestRoundTrip(t *testing.T) {
	need.Program(t, "python3")
	count := roundTripSchemas
	if text := os.Getenv("ASPECTS_ROUNDTRIP"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatalf("ASPECTS_ROUNDTRIP: %v", err)
		}
	}
	cases := roundTrips(t, count)
	dir := t.TempDir()
	binary := goDriver(t, filepath.Join(dir, "go"), cases)
	pythonDriver(t, filepath.Join(dir, "python"), cases)
	run := func(language, act, socket string) []outcome {
		command := exec.Command(binary, act, socket)
		if language == "python" {
			command = exec.Command(need.Program(t, "python3"), "-B", "driver.py", act, socket)
		}
		command.Dir = filepath.Join(dir, language)
		input, err := json.Marshal(cases)
		if err != nil {
			t.Fatal(err)
		}
		command.Stdin = bytes.NewReader(input)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", language, act, err, stderr.String())
		}
		var outcomes []outcome
		if err := json.Unmarshal(out, &outcomes); err != nil || len(outcomes) != len(cases) {
			t.Fatalf("%s %s: %v\n%s", language, act, err, out)
		}
		return outcomes
	}
	byPython, byGo := imitated(t, cases), imitated(t, cases)
	wrotePython, wroteGo := run("python", "write", byPython), run("go", "write", byGo)
	readGo, readPython := run("go", "read", byPython), run("python", "read", byGo)
	stored, refused := 0, 0
	for i, one := range cases {
		told := func(format string, args ...any) {
			t.Errorf("%s: %s\nstorage schema and view: %s\ndocument: %s", one.Name, fmt.Sprintf(format, args...), one.source.Document, one.Document)
		}
		if (wrotePython[i].Error != "") != (one.reason != "") || (wroteGo[i].Error != "") != (one.reason != "") {
			told("the engine says %q, Python %q, Go %q", one.reason, wrotePython[i].Error, wroteGo[i].Error)
			continue
		}
		if one.reason != "" {
			refused++
			continue
		}
		stored++
		for language, got := range map[string]outcome{"Go": readGo[i], "Python": readPython[i]} {
			value, err := decoded(got.Read)
			if got.Error != "" || err != nil || !jsonvalue.Equal(withoutNull(value), withoutNull(one.stored)) {
				told("%s reads %s (%s), and the engine has %v", language, got.Read, got.Error, one.stored)
			}
		}
	}
	t.Logf("%d documents were written and read, %d refused", stored, refused)
	if stored < 2*count || refused == 0 {
		t.Errorf("only %d documents were stored, and %d refused", stored, refused)
	}
}

// roundTrips generates the cases. It leaves out documents that the library refuses before the engine checks them.
func roundTrips(t *testing.T, count int) []roundTrip {
	t.Helper()
	var cases []roundTrip
	for seed := range uint64(count) {
		dice := randomschema.New(randomschema.Throws(seed, 23, 4000))
		definition := dice.Storage()
		durable(definition)
		storage, err := json.Marshal(definition)
		if err != nil {
			t.Fatal(err)
		}
		for i, made := 0, 0; i < 60 && made < 5; i++ {
			request, at := dice.Rule()
			rules := []any{map[string]any{"request": request, "storage": at}}
			if other, at := dice.Rule(); i%2 == 1 && other != request && !strings.Contains(other+request, "[") {
				rules = append(rules, map[string]any{"request": other, "storage": at})
			}
			views := map[string]any{"view-a": map[string]any{"rules": rules, "parameters": map[string]any{"p": map[string]any{}}}}
			name := fmt.Sprintf("net-%d-%d", seed, i)
			if _, err := confdb.New("acme", name, storage, views); err != nil {
				continue
			}
			document := map[string]any{}
			for _, rule := range rules {
				request := rule.(map[string]any)["request"].(string)
				value := dice.Fitting(dice.At(definition, request), definition["aliases"].(map[string]any))
				place(document, strings.Split(strings.ReplaceAll(request, "[", ".["), "."), value, dice)
			}
			if _, err := backend.Storable(exact(t, document)); err != nil || hasNull(document) {
				continue
			}
			one := newRoundTrip(t, name, storage, views, document)
			if strings.Contains(one.reason, "unexpected key") || strings.Contains(one.reason, "unused data") {
				continue // the types have no such members
			}
			made++
			cases = append(cases, one)
		}
	}
	return cases
}

// durable removes the marks of ephemeral data, which only hooks can store.
func durable(value any) {
	switch value := value.(type) {
	case map[string]any:
		delete(value, "ephemeral")
		for _, part := range value {
			durable(part)
		}
	case []any:
		for _, part := range value {
			durable(part)
		}
	}
}

// place puts a value into a document, at the steps of a request path with names in the places of its placeholders.
func place(document map[string]any, steps []string, value any, dice *randomschema.Dice) {
	for i := len(steps) - 1; i > 0; i-- {
		switch {
		case steps[i][0] == '[':
			value = []any{value}
		case steps[i][0] == '{':
			value = map[string]any{dice.OneOf("addr", "mtu", "name"): value}
		default:
			value = map[string]any{steps[i]: value}
		}
	}
	if old, there := document[steps[0]].(map[string]any); there {
		if object, ok := value.(map[string]any); ok {
			maps.Copy(old, object)
			return
		}
	}
	document[steps[0]] = value
}

func newRoundTrip(t *testing.T, name string, storage json.RawMessage, views, document map[string]any) roundTrip {
	t.Helper()
	body, err := json.Marshal(map[string]any{"storage": storage})
	if err != nil {
		t.Fatal(err)
	}
	signable, err := json.Marshal(map[string]any{"type": "confdb-schema", "authority-id": "acme", "account-id": "acme", "name": name, "revision": "1",
		"timestamp": "2026-11-01T00:00:00Z", "views": views, "body": string(body)})
	if err != nil {
		t.Fatal(err)
	}
	one := roundTrip{Name: name, source: source(t, name+".json", signable)}
	if one.Document, err = json.Marshal(document); err != nil {
		t.Fatal(err)
	}
	tx := one.source.Parsed.Begin(databag.Bag{})
	if err := tx.Write("view-a", document); err != nil {
		one.reason = err.Error()
		return one
	}
	if one.stored, err = one.source.Parsed.Read(tx.Bag(), "view-a", nil, confdb.ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	return one
}

func exact(t *testing.T, document map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	value, err := decoded(text)
	if err != nil {
		t.Fatal(err)
	}
	return value.(map[string]any)
}

func decoded(text []byte) (value any, err error) {
	err = jsonvalue.Decode(text, &value)
	return value, err
}

// hasNull reports whether a value has a null or an empty container, which cannot be stored.
func hasNull(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case []any:
		for _, part := range value {
			if hasNull(part) {
				return true
			}
		}
		return len(value) == 0
	case map[string]any:
		for _, part := range value {
			if hasNull(part) {
				return true
			}
		}
		return len(value) == 0
	}
	return false
}

// withoutNull leaves out members that are null.
func withoutNull(value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = withoutNull(value[i])
		}
	case map[string]any:
		for name, part := range value {
			if part == nil {
				delete(value, name)
			} else {
				value[name] = withoutNull(part)
			}
		}
	}
	return value
}

// imitated serves the confdb-schemas as registry serve does, and returns the socket.
func imitated(t *testing.T, cases []roundTrip) string {
	t.Helper()
	w, err := world.Open("", changes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range cases {
		schema, err := facts.ParseSchema(one.source.Document)
		if err == nil {
			err = w.Facts.SetSchema(schema)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Facts.SetSystem(map[string]any{"experimental.confdb": true}); err != nil {
		t.Fatal(err)
	}
	server, err := rest.New(rest.Options{World: w, Custodian: "custodian"})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "snapd") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "snapd.socket")
	main, err := rest.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	snaps, err := rest.Listen(filepath.Join(dir, "snapd-snap.socket"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, main, snaps) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return socket
}

const goMain = `package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"

	"aspects-poc/registry"
%s)

type roundTrip struct {
	Name     string         ` + "`json:\"name\"`" + `
	Document map[string]any ` + "`json:\"document\"`" + `
}

type outcome struct {
	Error string ` + "`json:\"error\"`" + `
	Read  any    ` + "`json:\"read\"`" + `
}

type view struct {
	write func(document map[string]any) error
	read  func() (any, error)
}

func of[T any](get func(context.Context) (T, error), set func(context.Context, T) error) view {
	return view{
		write: func(document map[string]any) error {
			var data T
			if err := registry.Decode(document, &data); err != nil {
				return errors.Join(errors.New("NO TYPE"), err)
			}
			return set(context.Background(), data)
		},
		read: func() (any, error) {
			data, err := get(context.Background())
			if errors.Is(err, registry.ErrNoData) {
				return nil, nil
			}
			return data, err
		},
	}
}

func main() {
	reg, err := registry.Open(context.Background(), "snapd:"+os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	views := map[string]func() view{
%s	}
	var cases []roundTrip
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	if err := decoder.Decode(&cases); err != nil {
		log.Fatal(err)
	}
	var outcomes []outcome
	for _, one := range cases {
		var o outcome
		v := views[one.Name]()
		if os.Args[1] == "write" {
			err = v.write(one.Document)
		} else {
			o.Read, err = v.read()
		}
		if err != nil {
			o.Error = err.Error()
		}
		outcomes = append(outcomes, o)
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		log.Fatal(err)
	}
}
`

var moduleLine = regexp.MustCompile(`(?m)^module .*$`)

// goModule makes a module that imports the library, with its dependencies as this project has them.
func goModule(t testing.TB, dir string) {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	text := moduleLine.ReplaceAllString(string(module), "module generated") + "\nrequire aspects-poc v0.0.0\n\nreplace aspects-poc => " + root + "\n"
	write(t, filepath.Join(dir, "go.mod"), []byte(text))
	write(t, filepath.Join(dir, "go.sum"), sums)
}

// goDriver builds one program with the packages of all cases.
func goDriver(t *testing.T, dir string, cases []roundTrip) string {
	t.Helper()
	goModule(t, dir)
	var imports, views strings.Builder
	for _, one := range cases {
		folder := strings.ReplaceAll(one.Name, "-", "_")
		text, err := one.source.Go(folder)
		if err != nil {
			t.Fatalf("%v\n%s", err, one.source.Document)
		}
		write(t, filepath.Join(dir, folder, "generated.go"), text)
		fmt.Fprintf(&imports, "\t\"generated/%s\"\n", folder)
		fmt.Fprintf(&views, "\t\t%q: func() view { v := %s.NewViewA(reg); return of(v.Get, v.Set) },\n", one.Name, folder)
	}
	write(t, filepath.Join(dir, "main.go"), fmt.Appendf(nil, goMain, imports.String(), views.String()))
	build(t, dir, "build", "-mod=mod", "-o", "driver", ".")
	return filepath.Join(dir, "driver")
}

// build runs the go command.
func build(t testing.TB, dir string, args ...string) {
	t.Helper()
	command := exec.Command("go", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

const pythonMain = `import importlib
import json
import sys
import typing

cases = json.load(sys.stdin)
outcomes = []
for one in cases:
    module = importlib.import_module(one["name"].replace("-", "_"))
    view = module.ViewA(module.Snapd(sys.argv[2]))
    outcome = {"error": "", "read": None}
    try:
        if sys.argv[1] == "write":
            kind = typing.get_type_hints(module.ViewA.set)["data"]
            try:
                data = module._decode(kind, one["document"], "")
            except module.Mismatch as err:
                raise module.Mismatch("NO TYPE: " + err.message)
            view.set(data)
        else:
            try:
                outcome["read"] = module._encode(view.get())
            except module.NoData:
                pass
    except module.ConfdbError as err:
        outcome["error"] = "%s: %s" % (type(err).__name__, err)
    outcomes.append(outcome)
json.dump(outcomes, sys.stdout)
`

func pythonDriver(t *testing.T, dir string, cases []roundTrip) {
	t.Helper()
	for _, one := range cases {
		write(t, filepath.Join(dir, strings.ReplaceAll(one.Name, "-", "_")+".py"), []byte(one.source.Python()))
	}
	write(t, filepath.Join(dir, "driver.py"), []byte(pythonMain))
}
