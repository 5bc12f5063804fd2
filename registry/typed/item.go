package typed

import (
	"context"

	"aspects-poc/registry"
)

// A ReadItem is one request path of a view that can be read.
type ReadItem[T any] struct {
	view    *registry.View
	request string
}

// Request returns the request path.
func (i ReadItem[T]) Request() string { return i.request }

// Get returns the value. The error is ErrNoData if there is none.
func (i ReadItem[T]) Get(ctx context.Context) (T, error) {
	var found struct {
		Value T `json:"value"`
	}
	document, err := i.view.Get(ctx, i.request)
	if err == nil {
		err = decode(map[string]any{"value": document[i.request]}, &found)
	}
	return found.Value, err
}

// A WriteItem is one request path of a view that can be written.
type WriteItem[T any] struct {
	view    *registry.View
	spec    *Spec
	request string
}

// Request returns the request path.
func (i WriteItem[T]) Request() string { return i.request }

// Set replaces the value at the request path, in one transaction. The engine checks the value first. The errors are those of
// registry.View.Set.
func (i WriteItem[T]) Set(ctx context.Context, value T) error {
	values, err := registry.Values(map[string]T{i.request: value})
	if err != nil {
		return &registry.Error{Op: "set", View: i.view.ID(), Requests: []string{i.request}, Kind: registry.ErrBadRequest,
			Reason: err.Error(), Err: err}
	}
	return i.spec.write(ctx, i.view, values)
}

// Unset removes the value, in one transaction. It is no error if there is none.
func (i WriteItem[T]) Unset(ctx context.Context) error { return i.view.Unset(ctx, i.request) }

// An Item is one request path of a view that can be read and written.
type Item[T any] struct {
	ReadItem[T]
	WriteItem[T]
}

// Request returns the request path.
func (i Item[T]) Request() string { return i.WriteItem.request }

// NewReadItem returns the ReadItem of a request path. Generated code calls it.
func NewReadItem[T any](view *registry.View, request string) ReadItem[T] {
	return ReadItem[T]{view, request}
}

// NewWriteItem returns the WriteItem of a request path. Generated code calls it.
func NewWriteItem[T any](view *registry.View, spec *Spec, request string) WriteItem[T] {
	return WriteItem[T]{view, spec, request}
}

// NewItem returns the Item of a request path. Generated code calls it.
func NewItem[T any](view *registry.View, spec *Spec, request string) Item[T] {
	return Item[T]{NewReadItem[T](view, request), NewWriteItem[T](view, spec, request)}
}
