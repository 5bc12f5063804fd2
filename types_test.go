package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A type may have this much, with what it gets from embedded structs of its package, before its doc comment has to say why it
// has more: "It has many fields because …", "It has many methods because …", "It has many fields and methods because …".
const (
	mostFields  = 15
	mostMethods = 30
)

// A size is what a type has.
type size struct {
	fields, methods int
	doc             string
	embeds          []string // types of its package
}

// whole returns the size of a type with what it gets from embedded structs.
func whole(sizes map[string]size, name string) size {
	all := sizes[name]
	for _, embedded := range all.embeds {
		of := whole(sizes, embedded)
		all.fields += max(of.fields-1, 0) // in its place
		all.methods += of.methods
	}
	return all
}

// measure adds the types and the methods of a file to sizes, by name.
func measure(sizes map[string]size, file *ast.File) {
	for _, declaration := range file.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			if declaration.Recv == nil {
				continue
			}
			name := receiver(declaration.Recv.List[0].Type)
			of := sizes[name]
			of.methods++
			sizes[name] = of
		case *ast.GenDecl:
			for _, spec := range declaration.Specs {
				spec, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				of := sizes[spec.Name.Name]
				of.doc = declaration.Doc.Text() + spec.Doc.Text()
				if structure, ok := spec.Type.(*ast.StructType); ok {
					for _, field := range structure.Fields.List {
						of.fields += max(len(field.Names), 1)
						if name := receiver(field.Type); len(field.Names) == 0 && name != "" {
							of.embeds = append(of.embeds, name)
						}
					}
				}
				sizes[spec.Name.Name] = of
			}
		}
	}
}

func receiver(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.StarExpr:
		return receiver(expression.X)
	case *ast.IndexExpr:
		return receiver(expression.X)
	case *ast.IndexListExpr:
		return receiver(expression.X)
	case *ast.Ident:
		return expression.Name
	}
	return ""
}

// unexplained says what of a type is too much without a reason, or returns "".
func (s size) unexplained() string {
	doc := strings.Join(strings.Fields(s.doc), " ")
	explains := func(what string) bool {
		return strings.Contains(doc, "many "+what+" because ") || strings.Contains(doc, "many fields and methods because ")
	}
	switch {
	case s.fields > mostFields && !explains("fields"):
		return fmt.Sprintf("%d fields, and its comment does not say \"many fields because …\"", s.fields)
	case s.methods > mostMethods && !explains("methods"):
		return fmt.Sprintf("%d methods, and its comment does not say \"many methods because …\"", s.methods)
	}
	return ""
}

func TestLargeTypesHaveAReason(t *testing.T) {
	packages := load(t)
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		sizes := packages[name].sizes
		for _, of := range slices.Sorted(maps.Keys(sizes)) {
			if what := whole(sizes, of).unexplained(); what != "" {
				t.Errorf("%s.%s has %s: split it by owner of the state, or give the reason", name, of, what)
			}
		}
	}
}

func TestEmbeddedStructsAreCounted(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "", `package p
type outer struct { *inner; other.Type; a, b int }
type inner struct { c, d int }
func (*inner) m() {}
func (outer) n() {}`, 0)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]size{}
	measure(sizes, file)
	if got := whole(sizes, "outer"); got.fields != 5 || got.methods != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestLargeTypesAreFound(t *testing.T) {
	tests := []struct {
		size size
		want bool
	}{
		{size{fields: mostFields, methods: mostMethods}, false},
		{size{fields: mostFields + 1}, true},
		{size{methods: mostMethods + 1}, true},
		{size{fields: mostFields + 1, doc: "It has many methods because it can."}, true},
		{size{fields: mostFields + 1, doc: "It has many\nfields because a row has many columns."}, false},
		{size{fields: mostFields + 1, methods: mostMethods + 1, doc: "It has many fields and methods because it is one."}, false},
	}
	for _, test := range tests {
		if got := test.size.unexplained(); got != "" != test.want {
			t.Errorf("%+v: got %q", test.size, got)
		}
	}
}
