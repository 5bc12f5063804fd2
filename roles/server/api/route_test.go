package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"

	"github.com/google/go-cmp/cmp"
)

// TestEveryRouteIsDescribed compares the route table with the description: neither has an operation, a parameter of a
// query, a body, a condition or a kind of caller that the other has not.
func TestEveryRouteIsDescribed(t *testing.T) {
	var served []string
	for _, row := range api.Routes() {
		line := strings.ToLower(row.Method) + " " + regexp.MustCompile(`:(\w+)`).ReplaceAllString(row.Path, "{$1}")
		words := strings.Fields(row.Takes.Query)
		slices.Sort(words)
		if line += " ?" + strings.Join(words, "&"); row.Takes.Body {
			line += " body"
		}
		if row.Takes.Tags {
			line += " tags"
		}
		switch allowed, _ := row.Right.Roles(); {
		case row.Right == access.Register, row.Right == access.Poll:
			line += " signature"
		case allowed != nil:
			line += " token"
		}
		served = append(served, line)
	}
	slices.Sort(served)
	var described []string
	for path, item := range description(t, newServer(t, io.Discard).URL) {
		for method, operation := range item {
			var words []string
			tags := false
			for _, parameter := range operation.Parameters {
				if tags = tags || parameter.Name == "If-Match" || parameter.Name == "If-None-Match"; parameter.In == "query" {
					words = append(words, parameter.Name)
				}
			}
			slices.Sort(words)
			line := method + " " + path + " ?" + strings.Join(words, "&")
			if operation.RequestBody != nil {
				line += " body"
			}
			if tags {
				line += " tags"
			}
			for _, scheme := range operation.Security {
				for _, name := range []string{"signature", "token"} {
					if _, there := scheme[name]; there {
						line += " " + name
					}
				}
			}
			described = append(described, line)
		}
	}
	slices.Sort(described)
	if diff := cmp.Diff(served, described); diff != "" {
		t.Error("(-served +described)\n" + diff)
	}
}

// TestEveryRouteHasItsRoles compares the table of docs/access.md with the route table: who may send what.
func TestEveryRouteHasItsRoles(t *testing.T) {
	lines := []string{"request | viewer | operator | approver | admin", "---|---|---|---|---", "each other `GET` | yes | yes | yes | yes"}
	for _, row := range api.Routes() {
		if allowed, _ := row.Right.Roles(); allowed == nil || row.Method == "GET" && row.Right == access.Read {
			continue
		}
		if row.Method != "GET" && row.Right == access.Read {
			t.Errorf("%s %s: whoever reads may send it", row.Method, row.Path)
		}
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(row.Path, "{$1}")
		lines = append(lines, rolesLine(row.Method, path, row.Right))
		if row.Takes.Ask != 0 {
			lines = append(lines, rolesLine(row.Method, path+"?dry-run", row.Takes.Ask))
		}
	}
	want := strings.Join(lines, "\n")
	text, err := os.ReadFile("../../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n\n"+want+"\n\n") {
		t.Errorf("docs/access.md does not have this table:\n%s", want)
	}
}

// rolesLine is a line of the table of docs/access.md.
func rolesLine(method, path string, right access.Right) string {
	allowed, scoped := right.Roles()
	line := fmt.Sprintf("`%s %s`", method, path)
	for _, role := range access.Roles() {
		switch may := slices.Contains(allowed, role); {
		case may && role.Scoped() && scoped:
			line += " | in its scope"
		case may && role.Scoped():
			line += " | without a scope"
		case may:
			line += " | yes"
		default:
			line += " | –"
		}
	}
	return line
}

// An operation is what the description says of one.
type operation struct {
	ID         string         `json:"operationId"`
	Tags       []string       `json:"tags"`
	Responses  map[string]any `json:"responses"`
	Parameters []struct {
		Name, In string
		Example  any
	}
	RequestBody any
	Security    []map[string]any
}

// description returns the operations that the server describes: path -> method -> operation.
func description(t *testing.T, base string) map[string]map[string]operation {
	t.Helper()
	var whole struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal([]byte(call(t, base, "GET", "/openapi.json", "").body), &whole); err != nil {
		t.Fatal(err)
	}
	return whole.Paths
}

// A described is an operation with where it is.
type described struct {
	operation
	method, path string
}

// describedByID returns the operations that the server describes.
func describedByID(t *testing.T, base string) map[string]described {
	t.Helper()
	operations := map[string]described{}
	for path, item := range description(t, base) {
		for method, operation := range item {
			operations[operation.ID] = described{operation, method, path}
		}
	}
	return operations
}
