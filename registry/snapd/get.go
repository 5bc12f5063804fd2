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

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
)

// Get reads request paths through a view in one access. Constraints need snapd 2.74, and 2.75 for other than strings:
// before that they are ErrUnsupported.
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
	var spoken dialect
	err := b.persist(ctx, request, false, giveUp, func(d dialect) error {
		spoken = d
		var err error
		values, err = b.readOnce(ctx, d, request, constraints, giveUp)
		return err
	})
	if spoken.skipsUnmatched && len(request.Requests) > 1 && (err == nil || errors.Is(err, backend.ErrNoData)) {
		if unmatched := b.checkMissing(ctx, spoken, request, values, giveUp); unmatched != nil {
			err = unmatched
		}
	}
	if err != nil {
		return nil, err
	}
	return values, nil
}

func (b *Backend) readOnce(ctx context.Context, d dialect, request snapdhttp.Request, constraints map[string]any,
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
	// Which of the two it is follows from the answer: a snapd that has just changed does not mislead us.
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
	return asked(request, values)
}

// asked drops what was not asked for. A snapd that does not know the name of the query parameter ignores it and sends
// the whole view, whose keys are others than the requests: what is missing there may be stored nevertheless.
func asked(request snapdhttp.Request, values map[string]any) (map[string]any, error) {
	if len(request.Requests) > 0 {
		kept := map[string]any{}
		for _, key := range request.Requests {
			if value, found := values[key]; found {
				kept[key] = value
			}
		}
		if len(kept) == 0 && len(values) > 0 {
			return nil, errDialect
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

// checkMissing asks for each request that is missing in an answer to several, alone, once: a dialect that leaves out
// those without a rule tells then whether there is one.
func (b *Backend) checkMissing(ctx context.Context, d dialect, request snapdhttp.Request, values map[string]any,
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
		// What has been stored since the first answer is left out as well: an answer is of one moment.
		if _, err := b.readOnce(ctx, d, single, nil, giveUp); err != nil && !errors.Is(err, backend.ErrNoData) {
			return err
		}
		b.mu.Lock()
		b.ruled[id] = true
		b.mu.Unlock()
	}
	return nil
}

// checkRequests refuses what the query cannot carry: it is a list with commas, of which snapd drops empty entries.
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

func encodeConstraints(d dialect, request snapdhttp.Request, values map[string]any) (string, error) {
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
