package confdb_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// TestScripts runs testdata/script/*.txt. A script has lines of these forms, in order; a line that begins with a tab
// goes on with the one before:
//
//	storage JSON          a new storage schema; forgets views and data
//	rule VIEW JSON        adds a rule to a view
//	parameters VIEW JSON  gives a view parameters
//	data JSON             the stored data from here on
//	set VIEW JSON         writes values in one transaction, as through the REST API; `exact` for set keeps the digits
//	get VIEW KEYS...      reads; then perhaps `with JSON` and `unprivileged`
//	= JSON                the stored data after the set, or the result of the get
//	! KIND MESSAGE        how the set or get before fails; \n and \t stand for themselves; a set stores nothing then
//	commit! MESSAGE       the set passes, its commit fails
//	daemon! MESSAGE       how the daemon ends the get before
//	altered PATHS         the storage paths that the set before wrote or removed
//	affected VIEWS        the views that these paths may affect
//	ephemeral yes|no      whether the operation before may touch ephemeral data
//	views! MESSAGE        why the views are refused
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{T: t}
			number := 0
			for _, line := range strings.Split(strings.ReplaceAll(string(text), "\n\t", "\x00"), "\n") {
				number++
				s.at = fmt.Sprintf("%s:%d", filepath.Base(file), number)
				if line != "" && line[0] != '#' {
					s.line(strings.ReplaceAll(line, "\x00", " "))
				}
				number += strings.Count(line, "\x00")
			}
			s.requireChecked()
		})
	}
}

type script struct {
	*testing.T
	at      string
	storage json.RawMessage
	views   map[string]any
	schema  *confdb.Schema
	bag     databag.Bag

	// The last operation.
	last      string
	result    string
	err       error
	commitErr error
	daemon    func() error
	tx        *confdb.Tx
	ephemeral func() (bool, error)
	checked   bool
}

func (s *script) line(line string) {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "storage":
		s.requireChecked()
		s.storage, s.views, s.schema, s.bag = json.RawMessage(rest), map[string]any{}, nil, databag.Bag{}
	case "rule", "parameters":
		s.requireChecked()
		view, text, _ := strings.Cut(rest, " ")
		fields, _ := s.views[view].(map[string]any)
		if fields == nil {
			fields = map[string]any{}
		}
		if word == "rule" {
			rules, _ := fields["rules"].([]any)
			fields["rules"] = append(rules, s.json(text))
		} else {
			fields["parameters"] = s.json(text)
		}
		s.views[view], s.schema = fields, nil
	case "views!":
		_, err := confdb.New("acme", "net", s.storage, s.views)
		s.same(said(err), "views "+strings.ReplaceAll(rest, `\n`, "\n"))
		s.views = map[string]any{}
	case "data":
		s.requireChecked()
		var err error
		if s.bag, err = databag.Parse([]byte(rest)); err != nil {
			s.Fatalf("%s: %v", s.at, err)
		}
	case "set", "exact":
		s.set(word == "exact", rest)
	case "get":
		s.get(rest)
	case "=":
		s.checked = true
		if s.err != nil || s.commitErr != nil {
			s.Errorf("%s: %s: %v %v", s.at, s.last, s.err, s.commitErr)
			return
		}
		want, _ := json.Marshal(s.json(rest))
		s.same(s.result, string(want))
	case "!":
		s.checked = true
		s.same(said(s.err), strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(rest))
	case "commit!":
		s.checked = true
		s.same(said(s.commitErr), rest)
	case "daemon!":
		s.same(said(s.daemon()), rest)
	case "altered":
		s.same(strings.Join(s.tx.Altered(), " "), rest)
	case "affected":
		s.same(strings.Join(s.schema.Affected(s.tx.Altered()), " "), rest)
	case "ephemeral":
		got, err := s.ephemeral()
		if text := map[bool]string{true: "yes", false: "no"}[got]; err == nil {
			s.same(text, rest)
		} else {
			s.same(said(err), rest)
		}
	default:
		s.Fatalf("%s: what is %q?", s.at, word)
	}
}

// requireChecked fails the test if the script did not check the operation before.
func (s *script) requireChecked() {
	if s.last != "" && !s.checked {
		s.Errorf("%s: the script does not say what comes of: %s (%s %v)", s.at, s.last, s.result, s.err)
	}
	s.last = ""
}

func (s *script) begin(operation string) {
	s.requireChecked()
	if s.schema == nil {
		var err error
		if s.schema, err = confdb.New("acme", "net", s.storage, s.views); err != nil {
			s.Fatalf("%s: %v", s.at, err)
		}
	}
	s.last, s.checked, s.err, s.commitErr = operation, false, nil, nil
}

func (s *script) set(exact bool, rest string) {
	s.begin("set " + rest)
	view, text, _ := strings.Cut(rest, " ")
	s.tx = s.schema.Begin(s.bag)
	s.tx.Exact, s.ephemeral = exact, s.tx.Ephemeral
	if s.err = s.tx.Write(view, s.json(text).(map[string]any)); s.err != nil {
		return
	}
	if s.bag, s.commitErr = s.tx.Commit(s.bag); s.commitErr == nil {
		s.result = string(s.bag.AppendJSON(nil))
	}
}

func (s *script) get(rest string) {
	s.begin("get " + rest)
	var options confdb.ReadOptions
	rest, options.Unprivileged = strings.CutSuffix(rest, " unprivileged")
	rest, with, constrained := strings.Cut(rest, " with ")
	if constrained {
		options.Constraints = s.json(with).(map[string]any)
	}
	fields := strings.Fields(rest)
	keys := fields[1:]
	for i, key := range keys {
		keys[i] = strings.Trim(key, `"`)
	}
	var value any
	value, s.err = s.schema.Read(s.bag, fields[0], keys, options)
	text, _ := json.Marshal(value)
	s.result = string(text)
	err := s.err
	s.daemon = func() error { return s.schema.DaemonError(fields[0], keys, options, err) }
	s.ephemeral = func() (bool, error) { return s.schema.ReadsEphemeral(fields[0], keys, options) }
}

func (s *script) json(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		s.Fatalf("%s: %s: %v", s.at, text, err)
	}
	return value
}

func (s *script) same(got, want string) {
	s.Helper()
	if got != want {
		s.Errorf("%s: %s\n got %s\nwant %s", s.at, s.last, got, want)
	}
}

func said(err error) string {
	switch err := err.(type) {
	case nil:
		return "no error"
	case *confdb.Error:
		return string(err.Kind) + " " + err.Message
	case *confdb.SchemaError:
		return err.Stage + " " + err.Message
	}
	return "another error: " + err.Error()
}
