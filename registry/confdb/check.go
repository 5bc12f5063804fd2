package confdb

import (
	"errors"
	"strings"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/view"
)

// Check returns the error of a write that cannot succeed, whatever is stored: no rule, a malformed value, a value that its
// type refuses. It checks one request path. A value that passes can still be refused, since maps above it may need other keys,
// or be of other types. Errors are *Error, as those of Tx.Write.
func (s *Schema) Check(viewName, request string, value any) error {
	v, err := s.view(viewName)
	if err != nil {
		return err
	}
	if value == nil {
		_, err := v.Unset(request)
		return err
	}
	tx := s.Begin(databag.Bag{})
	normal, err := view.Normal(value, false)
	if err != nil {
		return tx.Write(viewName, map[string]any{request: value}) // for its words
	}
	writes, err := v.Set(request, normal)
	if err != nil {
		return err
	}
	for _, write := range writes {
		edit := databag.Bag{}.Edit()
		if write.Value == nil || apply(edit, []view.Write{write}) != nil {
			continue // it depends on a list that is stored
		}
		err := s.validate(edit.Bag(), "cannot write data: ")
		var refused *Error
		if errors.As(err, &refused) && !(above(refused.Path, write.Storage.Bare()) && besides(refused.Reason)) {
			return err
		}
	}
	return nil
}

// above reports whether a storage path leads to a container of what another one leads to.
func above(outer, inner string) bool {
	rest, inside := strings.CutPrefix(inner, outer)
	return outer == "" || inside && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

// besides reports whether a container is refused because of what is not beside the written value.
func besides(reason string) bool {
	return strings.HasPrefix(reason, "cannot find required combinations of keys") || strings.HasPrefix(reason, "no matching schema:")
}
