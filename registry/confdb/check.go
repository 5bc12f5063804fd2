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
		return tx.Write(viewName, map[string]any{request: value}) // it fails too, in snapd's words
	}
	writes, err := v.Set(request, normal)
	if err != nil {
		return err
	}
	for _, write := range writes {
		edit := databag.Bag{}.Edit()
		if write.Value == nil || apply(edit, []view.Write{write}) != nil {
			continue // the write depends on a stored list
		}
		err := s.validate(edit.Bag(), "cannot write data: ")
		var refused *Error
		if errors.As(err, &refused) && !(leadsInto(refused.Path, write.Storage.Bare()) && dependsOnOthers(refused.Reason)) {
			return err
		}
	}
	return nil
}

// leadsInto reports whether outer is the storage path of a container of the value at the storage path inner.
func leadsInto(outer, inner string) bool {
	rest, inside := strings.CutPrefix(inner, outer)
	return outer == "" || inside && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

// dependsOnOthers reports whether values that are stored beside the written one may remove a reason to refuse their container.
func dependsOnOthers(reason string) bool {
	return strings.HasPrefix(reason, "cannot find required combinations of keys") || strings.HasPrefix(reason, "no matching schema:")
}
