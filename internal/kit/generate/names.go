package generate

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// reserved are the names that generated code uses otherwise, folded.
var reserved = strings.Fields("any bool callable cast connection dict document float generic int item iterator list literal map none object " +
	"optional readitem writeitem schemas sequence snapctl snapd str string tuple type union view " +
	"confdberror nodata nomatch noview noschema unauthorized invalid badrequest mismatch nocustodian notconnected refused busy disabled " +
	"unreachable outcomeunknown unsupported")

// A namer gives names to types: words joined by dashes. A name is folded without its dashes, and folded names are unique. The map has a
// description of the type for each folded name.
type namer map[string]string

// unique returns a name for a type with the description what. It is the first candidate that is free or belongs to a type of that
// description; if there is none, the last candidate with a number.
func (n namer) unique(what string, candidates ...string) string {
	reserve := func(name string) bool {
		fold := strings.ReplaceAll(name, "-", "")
		if slices.Contains(reserved, fold) || n[fold] != "" && n[fold] != what {
			return false
		}
		n[fold] = what
		return true
	}
	for _, name := range candidates {
		if reserve(name) {
			return name
		}
	}
	for i := 2; ; i++ {
		if name := candidates[len(candidates)-1] + "-" + strconv.Itoa(i); reserve(name) {
			return name
		}
	}
}

// name sets the names of a type and the types inside it. A name consists of the view's name and the names of the members that lead to
// the type. top is added to the name of the outermost type.
func (n namer) name(t *Type, at []string, top string) {
	if t == nil {
		return
	}
	if t.Kind == Struct || t.Kind == Text && t.Choices != nil {
		own := strings.Join(at, "-")
		if top != "" {
			own += "-" + top
		}
		// The names of the types inside depend on the place, so an equal type at another place needs another name.
		t.Name = n.unique(own+" "+t.text(), own)
	}
	for _, field := range t.Fields {
		n.name(field.Type, append(slices.Clip(at), field.Name), "")
	}
	inside := at
	if t.Kind == Struct || len(at) == 1 {
		inside = append(slices.Clip(at), "entry")
	}
	n.name(t.Element, inside, "")
	for i, alternative := range t.Alternatives {
		n.name(alternative, append(slices.Clip(at), strconv.Itoa(i+1)), "")
	}
}

// words splits a name into words of letters and digits.
func words(name string) []string {
	return strings.FieldsFunc(name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z')
	})
}

// camel returns a name as that of a type: MaxSpeed for max-speed.
func camel(name string) string {
	var text strings.Builder
	for _, word := range words(name) {
		text.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return text.String()
}

// members returns a name for each item of a view. The names differ from each other and from taken ones.
func (v View) members(taken ...string) []string {
	var names []string
	for _, item := range v.Items {
		var literal, all []string
		for _, accessor := range item.Request {
			all = append(all, accessor.Name)
			if !accessor.Open() {
				literal = append(literal, accessor.Name)
			}
		}
		short, long := strings.Join(literal, "-"), strings.Join(all, "-")
		name := cmp.Or(short, long)
		free := func(name string) bool {
			fold := strings.ReplaceAll(name, "-", "")
			return !slices.ContainsFunc(taken, func(other string) bool { return strings.ReplaceAll(other, "-", "") == fold })
		}
		if !free(name) {
			name = long
		}
		for i := 2; !free(name); i++ {
			name = long + "-" + strconv.Itoa(i)
		}
		names, taken = append(names, name), append(taken, name)
	}
	return names
}

// structs returns all named types of the views, inner ones first, each once.
func structs(views []View) []*Type {
	var list []*Type
	seen := map[string]bool{}
	var add func(t *Type)
	add = func(t *Type) {
		if t == nil {
			return
		}
		add(t.Element)
		for _, field := range t.Fields {
			add(field.Type)
		}
		for _, alternative := range t.Alternatives {
			add(alternative)
		}
		if t.Name != "" && !seen[t.Name] {
			seen[t.Name] = true
			list = append(list, t)
		}
	}
	for _, view := range views {
		add(view.Data)
	}
	return list
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
