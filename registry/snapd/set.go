package snapd

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// Set writes request paths through a view in one transaction. nil, an empty list and an empty map unset the path. Set
// returns when snapd's change is done. ErrUnknown means that snapd may have carried out the write, or may still do
// so.
func (b *Backend) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	request := snapdhttp.Request{Op: backend.WriteOp(values), View: view, Requests: slices.Sorted(maps.Keys(values))}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return err
	}
	defer call.End()
	if err := view.Check(); err != nil {
		return call.Explain(err)
	}
	body, err := backend.Storable(values)
	if err != nil {
		return call.Explain(err)
	}
	if err := b.write(ctx, request, body); err != nil {
		return call.Explain(err)
	}
	b.wrote(view)
	return nil
}

func (b *Backend) write(ctx context.Context, request snapdhttp.Request, values map[string]any) error {
	giveUp := b.giveUp(ctx)
	var used generation
	err := b.persist(ctx, request, true, giveUp, func(d generation) error {
		used = d
		if d.accessTimeout {
			return b.writeOnce(ctx, d, request, values, giveUp)
		}
		// This snapd does not queue writers, so at least those of this process must not conflict.
		if err := b.writing.acquire(ctx); err != nil {
			return err
		}
		defer b.writing.release()
		return b.writeOnce(ctx, d, request, values, giveUp)
	})
	if errors.Is(err, backend.ErrUnknown) && used.mayStillApply && b.applied(ctx, request, values, giveUp) {
		return nil
	}
	return err
}

func (b *Backend) writeOnce(ctx context.Context, d generation, request snapdhttp.Request, values map[string]any,
	giveUp time.Time,
) error {
	body := values
	if d.wrapped {
		body = map[string]any{"values": values}
	}
	if d.accessTimeout {
		body["options"] = map[string]any{"access-timeout": b.accessTimeout(giveUp)}
	}
	response, err := b.client.Do(ctx, http.MethodPut, confdbPath+request.View.String(), nil, body)
	if err != nil {
		return b.lost(err, request, true)
	}
	if refusal := response.Refusal(); refusal != nil {
		if wrongBody(d, refusal, values) {
			return errGeneration
		}
		return b.refused(refusal, request)
	}
	if response.Type != snapdhttp.TypeAsync {
		b.forget()
		return &backend.Error{Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrUnknown,
			Reason: "snapd answered the write without a change, so its outcome is unknown", Remedy: "read back before writing again"}
	}
	change, err := b.wait(ctx, response.Change, request, true)
	if err != nil {
		return err
	}
	if refusal := change.Failure(); refusal != nil {
		return snapdhttp.Explain(*refusal, request)
	}
	return nil
}

// wrongBody reports whether snapd expects the other form of body. Each form is refused where the other is expected,
// so nothing was written.
func wrongBody(d generation, refusal *snapdhttp.Refusal, values map[string]any) bool {
	if !d.wrapped {
		return strings.Contains(refusal.Message, "request body contains no values")
	}
	for _, member := range []string{"values", "options"} {
		if _, isRequest := values[member]; !isRequest && strings.Contains(refusal.Message, `cannot set "`+member+`" `) {
			return true
		}
	}
	return false
}

// applied reads back until the view shows what was written, or until giveUp. It reports whether the view shows it. snapd 2.68
// and 2.69 refuse a write because of a conflict and carry it out a moment later.
func (b *Backend) applied(ctx context.Context, request snapdhttp.Request, values map[string]any, giveUp time.Time) bool {
	pause := &pauses{next: 50 * time.Millisecond, limit: time.Second}
	read := snapdhttp.Request{Op: "get", View: request.View, Requests: request.Requests}
	want := normal(values)
	ctx, cancel := context.WithDeadline(ctx, giveUp)
	defer cancel()
	for {
		got, err := b.read(ctx, read, nil)
		switch {
		case errors.Is(err, backend.ErrNoData):
			got = map[string]any{}
		case err != nil:
			return false
		}
		if reflect.DeepEqual(normal(got), want) {
			return true
		}
		left := giveUp.Sub(b.now())
		if left <= 0 || sleep(ctx, min(pause.grown(), left)) != nil {
			return false
		}
	}
}

// normal returns values as JSON carries them: numbers as float64, and without nulls.
func normal(values map[string]any) any {
	text, err := json.Marshal(values)
	if err != nil {
		return err // an error equals nothing
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		return err
	}
	return withoutNulls(decoded)
}

func withoutNulls(value any) any {
	object, isObject := value.(map[string]any)
	if !isObject {
		return value
	}
	for key, entry := range object {
		if entry == nil {
			delete(object, key)
			continue
		}
		object[key] = withoutNulls(entry)
	}
	return object
}
