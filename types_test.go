package main

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A type may have this much before its doc comment has to say why it has more: "It has many fields because …", "It has many
// methods because …", "It has many fields and methods because …".
const (
	mostFields  = 15
	mostMethods = 30
)

// A size is what a type has.
type size struct {
	fields, methods int
	doc             string
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
			if what := sizes[of].unexplained(); what != "" {
				t.Errorf("%s.%s has %s: split it by owner of the state, or give the reason", name, of, what)
			}
		}
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
