package registry_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
)

// The types of package backend that go by a name of this package have their fields in its documentation.
func TestDocumentationHasTheFields(t *testing.T) {
	text, err := os.ReadFile("types.go")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	declared := backendStructs(t)
	aliases := 0
	for _, decl := range file.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok || general.Tok != token.TYPE {
			continue
		}
		for _, spec := range general.Specs {
			name := spec.(*ast.TypeSpec).Name.Name
			aliases++
			doc := strings.ReplaceAll("\n"+general.Doc.Text(), "\n\t", "\n")
			if want := declared[name]; want == "" || !strings.Contains(doc, want) {
				t.Errorf("%s is documented otherwise than it is declared in package backend:\n%s\nwant\n%s", name, doc, want)
			}
		}
	}
	if aliases != 6 {
		t.Errorf("%d types", aliases)
	}
}

// backendStructs returns the declarations of package backend, as go doc prints them.
func backendStructs(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("backend/*.go")
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?ms)^type (\w+) struct \{\n.*?^\}`)
	found := map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err = format.Source(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range declaration.FindAllSubmatch(text, -1) {
			found[string(match[1])] = string(match[0])
		}
	}
	return found
}

// Every kind of refusal goes by a name of this package.
func TestEveryKindHasAName(t *testing.T) {
	text, err := os.ReadFile("types.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^\tErr\w+ += backend\.Err\w+ +// (.*): `).FindAllSubmatch(text, -1)
	if len(named) != len(backend.Kinds()) {
		t.Errorf("%d names for %d kinds", len(named), len(backend.Kinds()))
	}
	for _, kind := range backend.Kinds() {
		if !bytes.Contains(text, []byte("// "+kind.Error()+": ")) {
			t.Errorf("%q has no name", kind)
		}
	}
	if registry.ErrInterrupted != backend.ErrInterrupted {
		t.Error("a name for another kind")
	}
}
