package keep_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/kit/keep"
	"aspects-poc/internal/kit/keep/keeptest"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// read returns the values of a file as another parser reads them.
func read(format keep.Format, text string) (map[string]any, error) {
	var tree map[string]any
	var err error
	switch format {
	case keep.YAML:
		err = yaml.Unmarshal([]byte(text), &tree)
	case keep.JSON:
		err = json.Unmarshal([]byte(text), &tree)
	case keep.TOML:
		_, err = toml.Decode(text, &tree)
	}
	flat := map[string]any{}
	flatten(nil, tree, flat)
	return flat, err
}

func flatten(path []string, value any, into map[string]any) {
	if tree, is := value.(map[string]any); is {
		for key, below := range tree {
			flatten(append(append([]string{}, path...), key), below, into)
		}
		return
	}
	into[strings.Join(path, "\x00")] = plain(value)
}

// plain returns a value in a form that is the same for all parsers: numbers are the shortest text of a float.
func plain(value any) any {
	number := func(f float64) any { return "number " + strconv.FormatFloat(f, 'g', -1, 64) }
	switch v := value.(type) {
	case int:
		return number(float64(v))
	case int64:
		return number(float64(v))
	case float64:
		return number(v)
	case json.Number:
		f, _ := v.Float64()
		return number(f)
	case []any:
		list := []any{}
		for _, element := range v {
			list = append(list, plain(element))
		}
		return list
	case string:
		switch v { // YAML 1.1 reads them as booleans, and 1.2 as texts
		case "yes", "Yes", "on", "True":
			return true
		case "no", "No", "off", "False":
			return false
		}
	case time.Time:
		return "date " + v.Format("2006-01-02")
	}
	return value
}

func values(doc *keep.Document) map[string]any {
	flat := map[string]any{}
	for _, e := range doc.Entries {
		flat[strings.Join(e.Path, "\x00")] = plain(e.Value)
	}
	return flat
}

// same compares the values of this package with those of another parser, except for entries of the kind Other.
func same(t *testing.T, doc *keep.Document, want map[string]any) string {
	t.Helper()
	got := values(doc)
	for _, e := range doc.Entries {
		if e.Kind == keep.Other || e.Kind == keep.Date {
			prefix := strings.Join(e.Path, "\x00")
			delete(got, prefix)
			for name := range want {
				if name == prefix || strings.HasPrefix(name, prefix+"\x00") {
					delete(want, name)
				}
			}
		}
	}
	return cmp.Diff(want, got)
}

var commentWords = regexp.MustCompile(`(comment|behind) [0-9]+`)

// rounds is how many random files of each format a test makes.
func rounds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("KEEP_ROUNDS"), 10, 32); err == nil {
		return n
	}
	return 1500
}

// For random files and changes: the package reads what another parser reads, and after the changes the other parser reads the
// changed values, and every comment is there.
func TestRandomFiles(t *testing.T) {
	for _, format := range []keep.Format{keep.YAML, keep.JSON, keep.TOML} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			changed, refused := 0, map[string]int{}
			for seed := range rounds() {
				text := keeptest.Text(format, seed)
				want, err := read(format, text)
				if err != nil {
					t.Fatalf("seed %d: the test makes what is no %s: %v\n%s", seed, format, err, text)
				}
				doc, err := keep.Parse(format, text)
				if err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, text)
				}
				if diff := same(t, doc, want); diff != "" {
					t.Fatalf("seed %d: (-want +got)\n%s\n%s", seed, diff, text)
				}
				changes := keeptest.Changes(format, text, doc, seed)
				out, err := keep.Edit(format, text, changes)
				if err != nil {
					refused[regexp.MustCompile(`[0-9]+|".*"|set [^:]*`).ReplaceAllString(err.Error(), "…")]++
					continue
				}
				changed++
				want, _ = read(format, text)
				for _, c := range changes {
					name := strings.Join(c.Path, "\x00")
					if delete(want, name); c.Value != nil {
						want[name] = plain(c.Value)
					}
				}
				got, err := read(format, out)
				if err != nil {
					t.Fatalf("seed %d: %v\n%s\nbecame\n%s\nby %v", seed, err, text, out, changes)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("seed %d: (-want +got)\n%s\n%s\nbecame\n%s\nby %v", seed, diff, text, out, changes)
				}
				for _, comment := range commentWords.FindAllString(text, -1) {
					if !regexp.MustCompile(comment + `\b`).MatchString(out) {
						t.Fatalf("seed %d: %s is lost\n%s\nbecame\n%s", seed, comment, text, out)
					}
				}
			}
			t.Logf("%d of %d files changed; refused: %v", changed, rounds(), refused)
			if changed < int(rounds())*3/4 {
				t.Errorf("only %d of %d files could be changed", changed, rounds())
			}
		})
	}
}

func ExampleEdit() {
	text := "# The agent.\nserver:\n    port: 8080 # of the API\n    host: 'localhost'\n"
	text, err := keep.Edit(keep.YAML, text, []keep.Change{
		{Path: []string{"server", "port"}, Value: json.Number("9090")},
		{Path: []string{"server", "host"}, Value: "it's"},
	})
	fmt.Println(text, err)
	// Output:
	// # The agent.
	// server:
	//     port: 9090 # of the API
	//     host: 'it''s'
	//  <nil>
}

func TestFaultsBetweenMembers(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": 1 "b": 2}`:    "line 1: a comma or a brace is missing",
		`{"a": 1,}`:          "line 1: a comma stands before the closing brace",
		`{"a": 1`:            "line 1: a comma or a brace is missing",
		`{"a": 1,`:           "line 1: the brace has no end",
		"{\"a\":\n [1 2]}":   "line 2: a comma or a bracket is missing",
		"{\"a\":\n [1, 2,]}": "line 2: a comma stands before the closing bracket",
		`{"a": [1`:           "line 1: a comma or a bracket is missing",
		`{"a": [1,`:          "line 1: the bracket has no end",
	} {
		_, err := keep.Parse(keep.JSON, text)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for format, text := range map[keep.Format]string{keep.YAML: "a: [1, 2,]\n", keep.TOML: "a = [1, 2,]\n"} {
		if _, err := keep.Parse(format, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
