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
	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
)

// refusedSilently is what an ErrRejected says that was found out by reading back: snapctl does not tell the reason.
const refusedSilently = "snapd took the write but the values were not stored: a custodian refused it or the commit failed"

// confirm finds out what became of a write that snapd called a success, or of which it did not say (unknown).
func (b *Backend) confirm(
	ctx context.Context, request snapdhttp.Request, values, before map[string]any, beforeErr, unknown error,
) error {
	after, err := b.readable(ctx, request.View, slices.Sorted(maps.Keys(values)))
	if err != nil {
		if unknown != nil {
			return unknown
		}
		return &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrUnknown,
			Reason: "snapd took the write, but whether it was stored could not be read: " + err.Error(),
			Remedy: "read back before writing again", Err: hide(err),
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
		return unknown // it may come yet
	case verdict == asBefore:
		return refused
	case verdict == altered:
		return nil
	default:
		refused.Kind, refused.Remedy = backend.ErrUnknown, "read back before writing again"
		refused.Reason = "snapd took the write, but the values that can be read now are others"
		return refused
	}
}

type verdict int

const (
	stored   verdict = iota // what was written is there, or nothing can be seen of it
	asBefore                // nothing has changed, though it should have
	altered                 // other values than written, and other than before
	differs                 // other values than written; what was there before is not known
)

// compare judges a write by what its requests showed before and show after; requests that cannot be read are in
// neither of the two maps nor in values (see readable), so nothing is expected of them.
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
			continue // no difference to be seen
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

// unreadable stands for the value of a request that the view lets only write.
type unreadable struct{}

// readable reads requests, of which some may have no rule to read by; those have the value unreadable{}. What has no
// data is left out.
func (b *Backend) readable(ctx context.Context, view backend.ViewID, requests []string) (map[string]any, error) {
	values := map[string]any{}
	var ask []string
	b.mu.Lock()
	for _, path := range requests {
		if b.unreadable[view][path] {
			values[path] = unreadable{}
			continue
		}
		ask = append(ask, path)
	}
	b.mu.Unlock()
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
		b.hide(view, hidden)
		for _, path := range hidden {
			values[path] = unreadable{}
		}
		ask = slices.DeleteFunc(ask, func(path string) bool { return slices.Contains(hidden, path) })
	}
	return values, nil
}

var quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// named returns those of the requests that a refusal names; all of them if it names none.
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

func (b *Backend) hide(view backend.ViewID, requests []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	remember(b.unreadable, view, requests...)
}

// maxRemembered bounds what is remembered of one view, in requests.
const maxRemembered = 1000

func remember(known map[backend.ViewID]map[string]bool, view backend.ViewID, requests ...string) {
	if known[view] == nil || len(known[view]) > maxRemembered {
		known[view] = map[string]bool{}
	}
	for _, path := range requests {
		known[view][path] = true
	}
}

// shows tells whether what is read fulfils what was written: scalars and lists are equal, a map has the members that
// were written (a write through a placeholder leaves the others alone), and what was written as null is not there.
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

// content returns a value without the nulls in its maps, which are not stored.
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

// relabel turns the error of a read into that of the write it was made for.
func (b *Backend) relabel(err error, request snapdhttp.Request) error {
	var refusal *backend.Error
	if !errors.As(err, &refusal) {
		return err
	}
	copied := *refusal
	copied.Op, copied.Requests = request.Op, request.Requests
	return &copied
}

// hide keeps a cause readable but not matchable: the kind of a failed confirmation is not the kind of the write.
func hide(err error) error {
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			return fmt.Errorf("cannot read back: %w", ended)
		}
	}
	return nil
}
