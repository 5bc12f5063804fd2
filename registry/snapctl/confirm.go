package snapctl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// refusedSilently is the reason of an ErrRejected that reading back has found. snapctl does not report the
// custodian's reason.
const refusedSilently = "snapd took the write but the values were not stored: a custodian refused it or the commit failed"

// confirm reads the requests back and returns the error of a write. before and beforeErr are the result of the read
// before the write. unknown is not nil if snapd's answer to the write was lost.
func (b *Backend) confirm(
	ctx context.Context, request snapdhttp.Request, values, before map[string]any, beforeErr, unknown error,
) error {
	after, err := b.readBack(ctx, request.View, slices.Sorted(maps.Keys(values)))
	if err != nil {
		if unknown != nil {
			return unknown
		}
		return &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrUnknown,
			Reason: "snapd took the write, but whether it was stored could not be read: " + err.Error(),
			Remedy: "read back before writing again", Err: onlyEnded(err),
		}
	}
	refused := &backend.Error{
		Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrRejected,
		Reason: refusedSilently, Remedy: "snap changes, and snap change ID for the reason",
	}
	verdict := compare(values, before, after, beforeErr == nil)
	switch {
	case verdict == stored:
		return nil
	case unknown != nil:
		return unknown // snapd may still carry it out
	case verdict == asBefore:
		return refused
	case verdict == altered:
		return nil
	default:
		refused.Kind, refused.Remedy = backend.ErrUnknown, "read back before writing again"
		refused.Reason = "snapd took the write, but the values read back differ from those written"
		return refused
	}
}

type verdict int

const (
	stored   verdict = iota // the written values are there, or they are not visible
	asBefore                // nothing has changed
	altered                 // values differ from the written ones and from those before
	differs                 // values differ from the written ones; those before are not known
)

// compare judges a write by the values before and after it. Requests that cannot be read (see readBack) do not count.
func compare(values, before, after map[string]any, beforeKnown bool) verdict {
	changed, fulfilled, moved, missing := false, false, false, false
	for path, value := range values {
		if _, hidden := after[path].(unreadable); hidden {
			continue
		}
		now := after[path]
		if !beforeKnown {
			missing = missing || !shows(now, value)
			continue
		}
		was := before[path]
		if shows(was, value) {
			continue // the write changes nothing visible
		}
		changed = true
		fulfilled = fulfilled || shows(now, value)
		moved = moved || !jsonvalue.Equal(was, now)
	}
	switch {
	case !beforeKnown && missing:
		return differs
	case !changed || fulfilled:
		return stored
	case moved:
		return altered
	default:
		return asBefore
	}
}

// unreadable is the value of a request that the view allows only to write.
type unreadable struct{}

// readBack reads requests. A request without a rule for reading has the value unreadable{}. Requests without data are
// left out.
func (b *Backend) readBack(ctx context.Context, view backend.ViewID, requests []string) (map[string]any, error) {
	values := map[string]any{}
	var ask []string
	for _, path := range requests {
		if b.unreadable.has(view, path) {
			values[path] = unreadable{}
			continue
		}
		ask = append(ask, path)
	}
	for len(ask) > 0 {
		found, err := b.get(ctx, view, ask, nil, "")
		switch {
		case err == nil:
			maps.Copy(values, found)
			return values, nil
		case errors.Is(err, backend.ErrNoData):
			return values, nil
		case !errors.Is(err, backend.ErrNoMatch):
			return nil, err
		}
		hidden := named(err, ask)
		b.unreadable.remember(view, hidden...)
		for _, path := range hidden {
			values[path] = unreadable{}
		}
		ask = slices.DeleteFunc(ask, func(path string) bool { return slices.Contains(hidden, path) })
	}
	return values, nil
}

var quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// named returns the requests that a refusal names, or all if it names none.
func named(err error, requests []string) []string {
	var refusal *backend.Error
	if !errors.As(err, &refusal) {
		return requests
	}
	var found []string
	for _, text := range quotedText.FindAllString(refusal.Message, -1) {
		path, err := strconv.Unquote(text)
		if err == nil && slices.Contains(requests, path) {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return requests
	}
	return found
}

// shows reports whether a read value fulfils a written one. Scalars and lists must be equal. A map must have the
// written members; it may have others, which a write through a placeholder does not touch. A null member must be
// absent.
func shows(read, written any) bool {
	switch written := written.(type) {
	case map[string]any:
		object, ok := read.(map[string]any)
		if !ok {
			return read == nil && jsonvalue.Equal(content(written), map[string]any{})
		}
		for key, value := range written {
			if !shows(object[key], value) {
				return false
			}
		}
		return true
	default:
		return jsonvalue.Equal(read, content(written))
	}
}

// content returns a value without the nulls in its maps; confdb does not store them.
func content(value any) any {
	switch value := value.(type) {
	case map[string]any:
		object := map[string]any{}
		for key, element := range value {
			if element != nil {
				object[key] = content(element)
			}
		}
		return object
	case []any:
		list := make([]any, len(value))
		for i, element := range value {
			list[i] = content(element)
		}
		return list
	default:
		return value
	}
}

// relabel turns the error of a read into that of the write it belongs to.
func relabel(err error, request snapdhttp.Request) error {
	var refusal *backend.Error
	if !errors.As(err, &refusal) {
		return err
	}
	copied := *refusal
	copied.Op, copied.Requests = request.Op, request.Requests
	return &copied
}

// onlyEnded returns an error that wraps only the end of a context, or nil if err has no such cause. The kind of a failed read must
// not become a kind of the write.
func onlyEnded(err error) error {
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			return fmt.Errorf("cannot read back: %w", ended)
		}
	}
	return nil
}
