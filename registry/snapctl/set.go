package snapctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// Set writes request paths through a view in one transaction. nil, an empty list and an empty map unset the path. The
// package documentation says what success means. Outside of hooks a Set takes three accesses: it reads before and
// after the write. In a hook it takes one.
func (b *Backend) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	requests := slices.Sorted(maps.Keys(values))
	request, plug, err := b.options.request(backend.WriteOp(values), view, requests)
	if err != nil {
		return err
	}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return err
	}
	defer call.End()
	values, pairs, err := assignments(request, values)
	if err != nil {
		return err
	}
	return call.Explain(b.set(ctx, request, plug, values, pairs))
}

func (b *Backend) set(ctx context.Context, request snapdhttp.Request, plug string, values map[string]any, pairs []string) error {
	view, requests := request.View, request.Requests
	release, err := b.await(ctx)
	if err != nil {
		return err
	}
	defer release()

	if b.options.Hook != "" {
		return b.write(ctx, request, plug, pairs)
	}
	before, readErr := b.readBack(ctx, view, requests)
	if errors.Is(readErr, backend.ErrUnreachable) || errors.Is(readErr, backend.ErrBusy) {
		return relabel(readErr, request) // the write would fail too, and nothing was sent
	}
	err = b.write(ctx, request, plug, pairs)
	b.Nudge() // a failed write may have been carried out
	if err != nil && !errors.Is(err, backend.ErrUnknown) {
		return err
	}
	return b.confirm(ctx, request, values, before, readErr, err)
}

// write runs one `set` command with all pairs. snapd makes one transaction of each command, and in a change-view hook
// it keeps only the last.
func (b *Backend) write(ctx context.Context, request snapdhttp.Request, plug string, pairs []string) error {
	_, err := b.access(ctx, request, true, func(_ *features, wait string) ([]string, error) {
		line := []string{"set", "-t", "--view"}
		if wait != "" {
			line = append(line, wait)
		}
		return arguments(line, append([]string{plug}, pairs...)...), nil
	})
	return err
}

// await waits until no other write of this process runs, and returns a function to call after the write. Before 2.70,
// simultaneous writes damage each other in snapd.
func (b *Backend) await(ctx context.Context) (func(), error) {
	select {
	case b.turn <- struct{}{}:
		return func() { <-b.turn }, nil
	case <-ctx.Done():
		return nil, &backend.Error{Kind: backend.ErrBusy, Reason: "busy: another part of this program is writing", Until: b.now(),
			Err: ctx.Err()}
	}
}

// assignments returns the values as snapd will understand them, and the command's KEY=VALUE pairs, sorted by request.
// Values are always JSON text, so that a string that looks like a number stays a string.
func assignments(request snapdhttp.Request, values map[string]any) (map[string]any, []string, error) {
	refuse := func(format string, args ...any) error {
		return &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests,
			Kind: backend.ErrBadRequest, Reason: fmt.Sprintf(format, args...),
		}
	}
	storable, err := backend.Storable(values)
	if err != nil {
		return nil, nil, backend.About(err, request.Op, request.View, request.Requests)
	}
	meant := make(map[string]any, len(values))
	var pairs []string
	for _, path := range request.Requests {
		if strings.ContainsAny(path, "=!") || path == "" {
			// A pair would mean another request: "a=b" would set "a".
			return nil, nil, refuse("invalid subkey %q", path)
		}
		value := numbers(storable[path])
		meant[path] = value
		if value == nil {
			pairs = append(pairs, path+"!")
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, nil, refuse("%s: %v", path, err)
		}
		pairs = append(pairs, path+"="+string(text))
	}
	return meant, pairs, nil
}

// numbers returns a value with its numbers in the form that they have over REST: 1.0 becomes 1 and 1e3 becomes 1000.
// snapctl refuses the other forms for an integer.
func numbers(value any) any {
	return jsonvalue.MapNumbers(value, func(n json.Number) any { return json.Number(number(string(n))) })
}

func number(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	float, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(float, 0) {
		return text // snapd refuses it
	}
	encoded, err := json.Marshal(float)
	if err != nil {
		return text
	}
	return string(encoded)
}
