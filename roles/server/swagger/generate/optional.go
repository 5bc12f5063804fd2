package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// optionalMembers reads the Go sources in folders, and returns the members with omitempty by the name of their type,
// because swag does not report them. Members of an embedded struct count as members of the struct around it.
func optionalMembers(folders ...string) (map[string][]string, error) {
	structs := map[string]*ast.StructType{}
	for _, folder := range folders {
		names, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if spec, ok := node.(*ast.TypeSpec); ok {
					if structure, ok := spec.Type.(*ast.StructType); ok {
						structs[spec.Name.Name] = structure
					}
				}
				return true
			})
		}
	}
	optional := map[string][]string{}
	for name, structure := range structs {
		optional[name] = optionalOf(structure, structs)
	}
	return optional, nil
}

func optionalOf(structure *ast.StructType, structs map[string]*ast.StructType) (names []string) {
	for _, field := range structure.Fields.List {
		if field.Names == nil {
			if embedded, ok := field.Type.(*ast.Ident); ok && structs[embedded.Name] != nil {
				names = append(names, optionalOf(structs[embedded.Name], structs)...)
			}
			continue
		}
		if field.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			continue // the compiler reports the error
		}
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if strings.Contains(options, "omitempty") {
			names = append(names, name)
		}
	}
	return names
}
