package view

import (
	"maps"
	"slices"
	"strconv"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// Conceal returns a copy of a document of the view, in which each secret is replaced by what hide returns. hide gets the
// secret's request path and value. The copy shares with the document the parts without secrets.
//
// A value is secret if a rule leads to a secret there; the rule's access does not matter. The document may lack parts of what
// the view shows, so every alternative of a type counts. A value that does not fit the schema is secret if the schema has
// secrets in its place or beside it. Null and empty containers are not secret.
func (v *View) Conceal(document any, hide func(request path.Path, value any) any) any {
	c := concealer{view: v, hide: hide}
	var ways []way
	for _, rule := range v.rules {
		ways = append(ways, way{rule: rule, secret: v.secret(rule.storage)})
	}
	if !slices.ContainsFunc(ways, way.leadsToSecret) {
		return document
	}
	concealed, _ := c.value(document, nil, ways, nil)
	return concealed
}

// secret reports whether there are secrets along a storage path or below its end.
func (v *View) secret(storage path.Path) bool {
	_, along := v.storage.Along(storage)
	return along || v.storage.Secret(storage)
}

type concealer struct {
	view *View
	hide func(path.Path, any) any
}

// A way is a rule that leads to a value or into it.
type way struct {
	rule   *rule
	depth  int // number of accessors of the request so far
	bound  bindings
	secret bool // the rule leads to secrets
}

func (w way) ends() bool              { return w.depth == len(w.rule.request) }
func (w way) leadsToSecret() bool     { return w.secret }
func (w way) storage() path.Path      { return w.bound.fill(w.rule.storage) }
func (w way) accessor() path.Accessor { return w.rule.request[w.depth] }

// value returns a value with its secrets replaced, and whether it has secrets. types are the value's possible types by the rules
// that end above it.
func (c concealer) value(value any, at path.Path, ways []way, types []schema.Type) (any, bool) {
	if value == nil || emptyContainer(value) {
		return value, false
	}
	for _, w := range ways {
		if !w.ends() {
			continue
		}
		more, secret := c.view.storage.Along(w.storage())
		if secret {
			return c.hide(at, value), true
		}
		types = slices.Concat(types, more)
	}
	ways = slices.DeleteFunc(slices.Clone(ways), way.ends)
	types, secret := schema.Here(types, value)
	if secret || slices.ContainsFunc(ways, func(w way) bool { return c.hidesWhole(w, value) }) {
		return c.hide(at, value), true
	}
	switch value := value.(type) {
	case map[string]any:
		var concealed map[string]any
		for _, key := range sortedKeys(value) {
			inner, some := c.inside(value[key], at, path.Accessor{Kind: path.Key, Name: key}, ways, types)
			if !some {
				continue
			}
			if concealed == nil {
				concealed = maps.Clone(value)
			}
			concealed[key] = inner
		}
		if concealed != nil {
			return concealed, true
		}
	case []any:
		var concealed []any
		for i, element := range value {
			inner, some := c.inside(element, at, path.Accessor{Kind: path.Index, Name: strconv.Itoa(i)}, ways, types)
			if !some {
				continue
			}
			if concealed == nil {
				concealed = slices.Clone(value)
			}
			concealed[i] = inner
		}
		if concealed != nil {
			return concealed, true
		}
	}
	return value, false
}

// inside is value for a member or element of a container, which accessor leads to.
func (c concealer) inside(value any, at path.Path, accessor path.Accessor, ways []way, types []schema.Type) (any, bool) {
	at = append(slices.Clip(at), accessor)
	var next []way
	for _, w := range ways {
		switch want := w.accessor(); {
		case want.Open() && want.List() == accessor.List():
			w.bound = append(slices.Clip(w.bound), binding{want, accessor})
		case want.Kind != accessor.Kind || want.Name != accessor.Name:
			continue
		}
		w.depth++
		next = append(next, w)
	}
	inside, secret := schema.Inside(types, accessor)
	unknown := len(next) == 0 && len(types) == 0
	if value != nil && (secret || unknown && slices.ContainsFunc(ways, way.leadsToSecret)) {
		return c.hide(at, value), true
	}
	return c.value(value, at, next, inside)
}

// hidesWhole reports whether a value is secret as a whole, because a rule leads to secrets inside it: the value is not the
// container that the rule needs, or its keys are secret.
func (c concealer) hidesWhole(w way, value any) bool {
	if !w.secret {
		return false
	}
	want := w.accessor()
	if want.List() {
		_, list := value.([]any)
		return !list
	}
	if _, object := value.(map[string]any); !object {
		return true
	}
	if want.Kind != path.KeyPlaceholder {
		return false
	}
	storage := w.storage()
	i := slices.IndexFunc(storage, func(a path.Accessor) bool { return a.Kind == want.Kind && a.Name == want.Name })
	if i < 0 {
		return false
	}
	_, secret := c.view.storage.Along(storage[:i+1])
	return secret
}

func emptyContainer(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}
