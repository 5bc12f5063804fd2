package schema

import (
	"encoding/json"
	"slices"

	"aspects-poc/registry/confdb/path"
)

// Along returns the types at the end of a storage path, for each alternative on the way. secret reports whether the path leads
// through a secret, or through a map with secret keys. If the path leaves the schema, secret reports whether the types at that
// place have secrets inside.
func (s *Schema) Along(storage path.Path) (types []Type, secret bool) {
	types = []Type{s.root}
	for _, accessor := range storage {
		var next []Type
		around := false
		for _, t := range types {
			if t.marks().secret {
				return nil, true
			}
			for _, t := range possible(t) {
				if t.marks().secret || secretKeys(t) {
					return nil, true
				}
				if inner, err := t.step(accessor); err == nil {
					next = append(next, inner...)
				}
				around = around || secretBelow(t)
			}
		}
		if len(next) == 0 {
			return nil, around
		}
		types = next
	}
	return types, false
}

// Here returns those of the types that a value in JSON shapes may have. It replaces alternatives and aliases by what they stand
// for. secret reports whether the value as a whole is a secret: its type is secret, it is a list or map of secrets, or the type is
// a container with secrets and the value does not fit it.
func Here(types []Type, value any) (here []Type, secret bool) {
	for _, t := range types {
		if t.marks().secret {
			return nil, true
		}
		here = append(here, fitting(possible(t), value)...)
	}
	for _, t := range here {
		if t.marks().secret || secretKeys(t) || secretValues(t) || !fits(t, value) && secretBelow(t) {
			return nil, true
		}
	}
	return here, false
}

// Inside returns the types that an accessor leads to. secret reports whether the accessor leads nowhere in a type with secrets:
// the value there may be a secret with a misspelt key.
func Inside(types []Type, accessor path.Accessor) (inside []Type, secret bool) {
	for _, t := range types {
		next, err := t.step(accessor)
		if err != nil && secretBelow(t) {
			return nil, true
		}
		inside = append(inside, next...)
	}
	return inside, false
}

// possible returns the alternatives of a type, or the type itself.
func possible(t Type) []Type {
	list, ok := resolve(t).(*alternatives)
	if !ok {
		return []Type{resolve(t)}
	}
	var types []Type
	for _, alternative := range list.types {
		if alternative.marks().secret {
			return []Type{alternative}
		}
		types = append(types, possible(alternative)...)
	}
	return types
}

// fitting returns the types that accept the JSON type of a value, or all types if none does.
func fitting(types []Type, value any) []Type {
	var list []Type
	for _, t := range types {
		if fits(t, value) {
			list = append(list, t)
		}
	}
	if list == nil {
		return types
	}
	return list
}

// fits reports whether a type accepts the JSON type of a value.
func fits(t Type, value any) bool {
	switch t := resolve(t).(type) {
	case *anyType:
		return true
	case *mapType:
		_, ok := value.(map[string]any)
		return ok
	case *arrayType:
		_, ok := value.([]any)
		return ok
	case *alternatives:
		return slices.ContainsFunc(t.types, func(t Type) bool { return fits(t, value) })
	case *stringType:
		_, ok := value.(string)
		return ok
	case *boolType:
		_, ok := value.(bool)
		return ok
	}
	switch value.(type) {
	case json.Number, float64:
		return true
	}
	return false
}

// secretKeys reports whether the keys of a map are secret.
func secretKeys(t Type) bool {
	m, ok := t.(*mapType)
	return ok && m.keysMark != nil && m.keysMark.secret
}

// secretValues reports whether all values of a list or map are secret.
func secretValues(t Type) bool {
	switch t := t.(type) {
	case *mapType:
		return t.values != nil && t.values.marks().secret
	case *arrayType:
		return t.values.marks().secret
	}
	return false
}
