package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/place"
	"aspects-poc/registry/confdb/schema"
)

// elsewhere has the types of a storage schema by what other languages call them.
var elsewhere = map[string]string{"integer": "int", "float": "number", "double": "number", "decimal": "number", "str": "string",
	"text": "string", "boolean": "bool", "object": "map", "dict": "map", "dictionary": "map", "mapping": "map", "list": "array",
	"sequence": "array", "tuple": "array", "set": "array"}

// readStorage asks the engine what it refuses of the storage schema. After each refusal what was refused is taken out of
// a copy, as little as possible, and the engine is asked again; so the grammar is in one place, and yet every fault is
// found. What is left is sound, and the views are read with it.
func (c *checker) readStorage() {
	if c.doc.Storage() == nil {
		c.broken = true
		return
	}
	m := &mender{tree: c.doc.Storage().Clone()}
	for range maxFindings {
		parsed, err := schema.Parse(m.tree.JSON())
		if err == nil {
			c.storage, c.types = m.tree, newTypes(m.tree, parsed)
			return
		}
		steps, name := place.Of(err)
		if !m.consequence(err) {
			_, at := m.tree.Follow(steps...)
			if name {
				at = keyPosition(m.tree, steps, at)
			}
			refused, _ := m.tree.Follow(steps...)
			c.advise(cmp.Or(unquoted(err, refused), meant(err, refused)), "storage", at, "%s", err)
		}
		if !m.mend(steps, name) {
			c.broken = true
			return
		}
	}
	c.broken, c.full = true, true
}

// meant tells what may have been meant by what is refused, "" if nobody knows.
func meant(err error, refused *document.Node) string {
	switch text := err.Error(); {
	case strings.Contains(text, "cannot parse unknown type"):
		kind := refused.String()
		if refused.Is(document.Map) {
			kind = refused.Get("type").String()
		}
		if ours := elsewhere[strings.ToLower(kind)]; ours != "" {
			return question("; did you mean " + strconv.Quote(ours) + "?")
		}
		return question(didYouMean(kind, []string{"int", "number", "string", "bool", "map", "array", "any"}))
	case strings.Contains(text, `"array": must have "values"`):
		return question(instead(refused, "values"))
	case strings.Contains(text, `must have "schema" or "keys"/"values"`):
		return question(instead(refused, "schema", "values", "keys", "type"))
	}
	return ""
}

// unquoted tells what to do about a text in the place of a number, or of true or false.
func unquoted(err error, refused *document.Node) string {
	_, kind, ok := strings.Cut(err.Error(), "json: cannot unmarshal string into Go value of type ")
	if !ok {
		return ""
	}
	given := append([]*document.Node{refused}, refused.List()...)
	i := slices.IndexFunc(given, func(n *document.Node) bool { return n.Is(document.String) })
	if i < 0 {
		return ""
	}
	var what string
	var fits bool
	switch text := given[i].Text; kind {
	case "int64":
		_, wrong := strconv.ParseInt(text, 10, 64)
		what, fits = "a whole number, without quotes", wrong == nil
	case "float64":
		_, wrong := strconv.ParseFloat(text, 64)
		what, fits = "a number, without quotes", wrong == nil
	case "bool":
		what, fits = "true or false, without quotes", text == "true" || text == "false"
	default:
		return ""
	}
	if help := "it has to be " + what; !fits {
		return help
	} else {
		return help + ": " + given[i].Text
	}
}

func keyPosition(tree *document.Node, steps []string, otherwise document.Position) document.Position {
	if len(steps) == 0 {
		return otherwise
	}
	parent, _ := tree.Follow(steps[:len(steps)-1]...)
	if entry := parent.Entry(steps[len(steps)-1]); entry != nil {
		return entry.KeyPos
	}
	return otherwise
}

// A mender takes what was refused out of a storage schema.
type mender struct {
	tree *document.Node
	gone []string // aliases that are not what their author meant any more
	none bool     // there are no aliases at all any more
	last string
}

// consequence tells whether a refusal is only due to what was taken out before.
func (m *mender) consequence(err error) bool {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	text := err.Error()
	if m.none && strings.HasPrefix(text, "cannot find alias ") {
		return true
	}
	return slices.ContainsFunc(m.gone, func(alias string) bool {
		return text == fmt.Sprintf("cannot find alias %q", alias) || text == fmt.Sprintf("key type %q must be based on string", alias)
	})
}

// mend takes out what is at a place, and tells whether it could.
func (m *mender) mend(steps []string, name bool) bool {
	mark := strings.Join(steps, "\x00")
	again := m.last == mark && !name
	m.last = mark
	if name {
		parent, _ := m.tree.Follow(steps[:len(steps)-1]...)
		parent.Delete(steps[len(steps)-1])
		m.forget(steps)
		return true
	}
	definition, owner, constraint := m.definition(steps)
	switch {
	case definition == nil:
		return false
	case owner != nil && constraint != "" && constraint != "type" && !again: // of the keys of a map
		definition.Delete(constraint)
		return true
	case owner != nil && owner.Get("schema") != nil:
		owner.Delete("keys")
		return true
	case owner != nil:
		*definition = document.Node{Kind: document.String, Text: "string", Pos: definition.Pos}
		return true
	case constraint == "aliases":
		m.tree.Delete("aliases")
		m.none = true
		return true
	case constraint == "values" && definition.Get("schema") != nil, constraint == "type" && definition == m.tree,
		constraint != "" && !structural[constraint] && !again:
		definition.Delete(constraint)
		return true
	case constraint == "" && len(steps) == 2 && steps[0] == "aliases" && strip(definition):
		return true // ephemeral and visibility cannot be in an alias
	case definition == m.tree:
		return false
	}
	*definition = document.Node{Kind: document.String, Text: "any", Pos: definition.Pos}
	m.forget(steps)
	return true
}

// structural are the constraints without which a definition is none.
var structural = map[string]bool{"schema": true, "keys": true, "values": true, "type": true}

func (m *mender) forget(steps []string) {
	if len(steps) >= 2 && steps[0] == "aliases" {
		m.gone = append(m.gone, steps[1])
	}
}

// definition returns the innermost type definition on the way to a place, and the constraint of it that the place is, ""
// for the definition as a whole. If it is the type of a map's keys, the map is its owner.
func (m *mender) definition(steps []string) (definition, owner *document.Node, constraint string) {
	definition = m.tree
	for i := 0; i < len(steps); i++ {
		step := steps[i]
		var next *document.Node
		switch {
		case definition.Is(document.List):
			next, _ = definition.Follow(step)
		case (step == "schema" || step == "aliases") && i+1 < len(steps):
			i++
			next = definition.Get(step).Get(steps[i])
		case step == "values" && (definition.Get("schema") == nil || i+1 < len(steps)), step == "keys":
			next = definition.Get(step)
		}
		if next == nil {
			return definition, owner, step
		}
		if owner = nil; step == "keys" {
			owner = definition
		}
		definition = next
	}
	return definition, owner, ""
}

// strip takes out ephemeral and visibility everywhere, and tells whether there were any.
func strip(n *document.Node) bool {
	found := false
	if n.Is(document.Map) {
		for _, key := range []string{"ephemeral", "visibility"} {
			if n.Get(key) != nil {
				n.Delete(key)
				found = true
			}
		}
	}
	for _, item := range n.Items {
		found = strip(item) || found
	}
	for _, entry := range n.Entries {
		found = strip(entry.Value) || found
	}
	return found
}
