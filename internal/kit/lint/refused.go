package lint

import (
	"cmp"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/faults"
	"aspects-poc/registry/confdb/schema"
)

// readSchema has the engine parse the document. It reports what the engine refuses, and stores the sound parts in c.schema.
func (c *checker) readSchema() {
	c.storage = c.doc.Storage()
	views := c.doc.Headers.Get("views")
	c.schema, _ = confdb.Parser{Report: c.refuse}.New(c.account(), c.doc.Header("name"), c.storage.JSON(), views.Value())
	c.broken = !c.schema.Storage().Root().Fixed()
	for _, name := range views.Keys() {
		c.views = append(c.views, newViewModel(name, *views.Entry(name), c.schema))
	}
}

// account returns the account that messages name and plugs must have, or "" if it is not known.
func (c *checker) account() string {
	if account := c.doc.Header("account-id"); account != "" && !c.doc.Unfilled("account-id") {
		return account
	}
	return c.options.Account
}

// refuse reports an error of the engine. It leaves a missing storage schema and a missing map of views to checkForm and
// checkHeaders.
func (c *checker) refuse(e *confdb.SchemaError) {
	views := c.doc.Headers.Get("views")
	switch {
	case e.Stage == "storage" && c.storage != nil:
		c.refuseStorage(e.Fault)
	case e.Stage == "views" && e.Fault != nil:
		c.refuseView(*views.Entry(e.View), e.Fault)
	case e.Stage == "views" && views.Is(document.Map):
		c.add("view", c.doc.Position("views"), "%s", e)
	}
}

func (c *checker) refuseStorage(fault *faults.Fault) {
	node, at := c.storage.Follow(fault.At...)
	if fault.Key {
		last := len(fault.At) - 1
		parent, _ := c.storage.Follow(fault.At[:last]...)
		at = parent.Entry(fault.At[last]).KeyPos
	}
	hint := meant(fault, node)
	c.advise(cmp.Or(unquoted(fault.Cause, node), hint.question()), "storage", at, "%s", fault).Fix = c.correct(fault, node, hint)
}

func (c *checker) refuseView(view document.Entry, fault *faults.Fault) {
	code := "view"
	if schema.Internal(fault.Cause) {
		code = "alias-alternatives"
	}
	node, _ := view.Value.Follow(fault.At...)
	hint := meant(fault, node)
	c.advise(hint.question(), code, viewPosition(view, fault), "%s", fault).Fix = c.correct(fault, node, hint)
}

// inBody is fixable for the storage schema. It returns nil also if the storage schema is a text inside the document.
func (c *checker) inBody() *edit.Text {
	if c.doc.Embedded {
		return nil
	}
	return c.fixable()
}

// correct returns the fix for a misspelt type or key. hint is the result of meant, and node is the part with the fault.
func (c *checker) correct(fault *faults.Fault, node *document.Node, hint guess) *edit.Fix {
	var unknown *schema.UnknownTypeError
	text := c.inBody()
	switch {
	case text == nil:
	case errors.As(fault.Cause, &unknown):
		for _, at := range []*document.Node{node, node.Get("type")} {
			if at.String() == unknown.Name && hint.name != "" {
				return rewritten(text, c.doc.File, at.Pos, at.Text, hint.name)
			}
		}
	case hint.given != "":
		return rewritten(text, c.doc.File, node.Entry(hint.given).KeyPos, hint.given, hint.name)
	}
	return nil
}

// viewPosition returns the position of a fault: for a rule as a whole that of its first path.
func viewPosition(view document.Entry, fault *faults.Fault) document.Position {
	node, at := view.Value.Follow(fault.At...)
	last := len(fault.At) - 1
	switch {
	case fault.Missing != nil:
	case fault.Key || last < 0:
		return view.KeyPos
	case node == nil && fault.At[last] == "request": // the storage path is also the request path
		_, at = view.Value.Follow(append(slices.Clone(fault.At[:last]), "storage")...)
	case node.Get("storage") != nil:
		at = cmp.Or(node.Entry("request"), node.Entry("storage")).At()
	}
	return cmp.Or(at, view.KeyPos)
}

// elsewhere has the types of a storage schema, by names of such types in other languages.
var elsewhere = map[string]string{"integer": "int", "float": "number", "double": "number", "decimal": "number", "str": "string",
	"text": "string", "boolean": "bool", "object": "map", "dict": "map", "dictionary": "map", "mapping": "map", "list": "array",
	"sequence": "array", "tuple": "array", "set": "array"}

// meant suggests a correction. node is the part with the fault.
func meant(fault *faults.Fault, node *document.Node) guess {
	var unknown *schema.UnknownTypeError
	switch {
	case fault.Missing != nil:
		return instead(node, fault.Missing...)
	case !errors.As(fault.Cause, &unknown):
		return guess{}
	}
	if ours := elsewhere[strings.ToLower(unknown.Name)]; ours != "" {
		return probably(ours)
	}
	return didYouMean(unknown.Name, []string{"int", "number", "string", "bool", "map", "array", "any"})
}

// unquoted returns help about a text in the place of a number or bool, or "" if cause is another error.
func unquoted(cause error, node *document.Node) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(cause, &wrong) || wrong.Value != "string" {
		return ""
	}
	given := append([]*document.Node{node}, node.List()...)
	i := slices.IndexFunc(given, func(n *document.Node) bool { return n.Is(document.String) })
	if i < 0 {
		return ""
	}
	var help string
	var err error
	switch text := given[i].Text; wrong.Type.Kind() {
	case reflect.Int64:
		help = "it has to be a whole number, without quotes"
		_, err = strconv.ParseInt(text, 10, 64)
	case reflect.Float64:
		help = "it has to be a number, without quotes"
		_, err = strconv.ParseFloat(text, 64)
	case reflect.Bool:
		help = "it has to be true or false, without quotes"
		if text != "true" && text != "false" {
			err = strconv.ErrSyntax
		}
	default:
		return ""
	}
	if err != nil {
		return help
	}
	return help + ": " + given[i].Text
}
