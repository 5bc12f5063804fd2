package snapd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// Get reads request paths through a view in one access. Constraints need snapd 2.74, and 2.75 if they are not
// strings; before, the error is ErrUnsupported.
func (b *Backend) Get(ctx context.Context, view backend.ViewID, requests []string, options backend.GetOptions,
) (map[string]any, error) {
	request := snapdhttp.Request{Op: "get", View: view, Requests: slices.Clone(requests)}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return nil, err
	}
	defer call.End()
	if err := view.Check(); err != nil {
		return nil, call.Explain(err)
	}
	if err := checkRequests(request); err != nil {
		return nil, err
	}
	if err := backend.CheckConstraints(options.Constraints); err != nil {
		return nil, call.Explain(err)
	}
	values, err := b.read(ctx, request, options.Constraints)
	return values, call.Explain(err)
}

// read is Get without the checks of its arguments.
func (b *Backend) read(ctx context.Context, request snapdhttp.Request, constraints map[string]any,
) (map[string]any, error) {
	giveUp := b.giveUp(ctx)
	var values map[string]any
	var used generation
	err := b.persist(ctx, request, false, giveUp, func(d generation) error {
		used = d
		var err error
		values, err = b.readOnce(ctx, d, request, constraints, giveUp)
		return err
	})
	if used.skipsUnmatched && len(request.Requests) > 1 && (err == nil || errors.Is(err, backend.ErrNoData)) {
		if unmatched := b.checkMissing(ctx, used, request, values, giveUp); unmatched != nil {
			err = unmatched
		}
	}
	if err != nil {
		return nil, err
	}
	return values, nil
}

func (b *Backend) readOnce(ctx context.Context, d generation, request snapdhttp.Request, constraints map[string]any,
	giveUp time.Time,
) (map[string]any, error) {
	query := url.Values{}
	if len(request.Requests) > 0 {
		keys := slices.Clone(request.Requests)
		slices.Sort(keys)
		query.Set(d.keys, strings.Join(slices.Compact(keys), ","))
	}
	if len(constraints) > 0 {
		text, err := encodeConstraints(d, request, constraints)
		if err != nil {
			return nil, err
		}
		query.Set("constraints", text)
	}
	if d.accessTimeout {
		query.Set("access-timeout", b.accessTimeout(giveUp))
	}
	response, err := b.client.Do(ctx, http.MethodGet, confdbPath+request.View.String(), query, nil)
	if err != nil {
		return nil, b.lost(err, request, false)
	}
	if refusal := response.Refusal(); refusal != nil {
		return nil, b.refused(refusal, request)
	}
	// The answer decides which of the two it is, not the generation: snapd may just have been refreshed.
	var values map[string]any
	var shape error
	if response.Type == snapdhttp.TypeSync {
		values, shape = snapdhttp.Object(response.Result)
	} else {
		change, err := b.wait(ctx, response.Change, request, false)
		if err != nil {
			return nil, err
		}
		var refusal *snapdhttp.Refusal
		values, refusal, shape = change.Values()
		if refusal != nil {
			return nil, snapdhttp.Explain(*refusal, request)
		}
	}
	if shape != nil {
		return nil, &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrOther,
			Reason: "snapd's answer cannot be understood: " + shape.Error(), Err: shape,
		}
	}
	return requested(request, values)
}

// requested returns the values of the requests from an answer. The error is errGeneration if the answer has other keys only: then
// snapd ignored the query parameter and returned the whole view.
func requested(request snapdhttp.Request, values map[string]any) (map[string]any, error) {
	if len(request.Requests) > 0 {
		kept := map[string]any{}
		for _, key := range request.Requests {
			if value, found := values[key]; found {
				kept[key] = value
			}
		}
		if len(kept) == 0 && len(values) > 0 {
			return nil, errGeneration
		}
		values = kept
	}
	if len(values) == 0 {
		return nil, &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrNoData,
		}
	}
	return values, nil
}

// checkMissing asks for each missing request alone. Generations with skipsUnmatched then answer whether there is a rule.
// It remembers requests that have one.
func (b *Backend) checkMissing(ctx context.Context, d generation, request snapdhttp.Request, values map[string]any,
	giveUp time.Time,
) error {
	for _, key := range request.Requests {
		id := request.View.String() + " " + key
		b.mu.Lock()
		known := b.ruled[id]
		b.mu.Unlock()
		if _, found := values[key]; found || known {
			continue
		}
		single := request
		single.Requests = []string{key}
		// Data that appears only now is left out as well: all values are of one moment.
		if _, err := b.readOnce(ctx, d, single, nil, giveUp); err != nil && !errors.Is(err, backend.ErrNoData) {
			return err
		}
		b.mu.Lock()
		b.ruled[id] = true
		b.mu.Unlock()
	}
	return nil
}

// checkRequests refuses requests that the query cannot carry: it is a list with commas, and snapd drops empty
// entries.
func checkRequests(request snapdhttp.Request) error {
	for _, key := range request.Requests {
		if key != "" && !strings.Contains(key, ",") {
			continue
		}
		return &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrBadRequest,
			Message: fmt.Sprintf("cannot get %q through confdb view %s: invalid subkey %q", key, request.View, key),
			Reason:  fmt.Sprintf("invalid subkey %q", key),
		}
	}
	return nil
}

func encodeConstraints(d generation, request snapdhttp.Request, values map[string]any) (string, error) {
	unsupported := func(reason string) error {
		return &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrUnsupported,
			Reason: reason, Remedy: "install snapd 2.75 or later",
		}
	}
	if d.constraints == noConstraints {
		return "", unsupported("snapd knows constraints from 2.74 on, and this one speaks " + d.name)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, isString := values[name].(string); !isString && d.constraints == stringConstraints {
			return "", unsupported(fmt.Sprintf("snapd 2.74 takes strings as constraints only, not %v for %q", values[name], name))
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		return "", &backend.Error{
			Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrBadRequest,
			Reason: err.Error(), Err: err,
		}
	}
	return string(text), nil
}
