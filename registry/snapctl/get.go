package snapctl

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// Get reads request paths through a view in one access. Constraints need snapd 2.74; before, the error is
// ErrUnsupported.
func (b *Backend) Get(
	ctx context.Context, view backend.ViewID, requests []string, options backend.GetOptions,
) (map[string]any, error) {
	return b.called(ctx, view, requests, func(ctx context.Context) (map[string]any, error) {
		return b.get(ctx, view, requests, options.Constraints, "")
	})
}

// called checks the view's name and runs read within a Call.
func (b *Backend) called(ctx context.Context, view backend.ViewID, requests []string,
	read func(ctx context.Context) (map[string]any, error)) (map[string]any, error) {
	request, _, err := b.options.request("get", view, requests)
	if err != nil {
		return nil, err
	}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return nil, err
	}
	defer call.End()
	values, err := read(ctx)
	return values, call.Explain(err)
}

// get reads. If state is "--previous", it reads what was committed before the hook's transaction. Up to snapd 2.70 an
// answer to several requests leaves out those without a rule (seen on 2.68.3); get then asks for each missing one, so
// that the error is ErrNoMatch.
func (b *Backend) get(
	ctx context.Context, view backend.ViewID, requests []string, constraints map[string]any, state string,
) (map[string]any, error) {
	values, err := b.getOnce(ctx, view, requests, constraints, state)
	if len(requests) < 2 || err != nil && !errors.Is(err, backend.ErrNoData) {
		return values, err
	}
	f, detectErr := b.detect(ctx)
	if detectErr != nil || f.flags["--default"] { // introduced by 2.72
		return values, err
	}
	if missing := b.checkMissing(ctx, view, requests, values, state); missing != nil {
		return nil, missing
	}
	return values, err
}

// checkMissing asks for each missing request alone: snapd then answers whether there is a rule. It remembers requests
// that have one.
func (b *Backend) checkMissing(ctx context.Context, view backend.ViewID, requests []string, values map[string]any, state string) error {
	for _, path := range requests {
		if _, found := values[path]; found || b.readable.has(view, path) {
			continue
		}
		// Data that appears only now is left out as well: all values are of one moment.
		if _, err := b.getOnce(ctx, view, []string{path}, nil, state); err != nil && !errors.Is(err, backend.ErrNoData) {
			return err
		}
		b.readable.remember(view, path)
	}
	return nil
}

func (b *Backend) getOnce(
	ctx context.Context, view backend.ViewID, requests []string, constraints map[string]any, state string,
) (map[string]any, error) {
	requests = slices.Clone(requests)
	request, plug, err := b.options.request("get", view, requests)
	if err != nil {
		return nil, err
	}
	if err := backend.CheckConstraints(constraints); err != nil {
		return nil, backend.About(err, request.Op, request.View, request.Requests)
	}
	with, err := withFlags(request, constraints)
	if err != nil {
		return nil, err
	}
	got, err := b.access(ctx, request, false, func(f *features, wait string) ([]string, error) {
		line := []string{"get", "-d", "--view"}
		if wait != "" {
			line = append(line, wait)
		}
		if len(with) > 0 && !f.flags["--with"] {
			return nil, unsupported(request, "this snapd knows no constraints: refresh snapd to 2.74 or later")
		}
		line = append(line, with...)
		if state != "" {
			flag := previousFlag(f)
			if flag == "" {
				return nil, unsupported(request, "this snapd does not return the data from before: refresh it to 2.68 or later")
			}
			line = append(line, flag)
		}
		return arguments(line, append([]string{plug}, requests...)...), nil
	})
	if err != nil {
		return nil, err
	}
	values, err := snapdhttp.Object([]byte(got.stdout))
	if err != nil {
		return nil, &backend.Error{
			Op: "get", View: view, Requests: requests, Kind: backend.ErrOther,
			Reason: "snapd's answer is no document: " + err.Error(), Err: err,
		}
	}
	if len(requests) > 0 {
		maps.DeleteFunc(values, func(key string, _ any) bool { return !slices.Contains(requests, key) })
	}
	if len(values) == 0 {
		return nil, &backend.Error{
			Op: "get", View: view, Requests: requests, Kind: backend.ErrNoData, Reason: backend.ErrNoData.Error(),
		}
	}
	return values, nil
}

// withFlags turns constraints into --with flags. A string goes unquoted unless snapd could read it as JSON, since
// 2.74 knows no other form.
func withFlags(request snapdhttp.Request, constraints map[string]any) ([]string, error) {
	var flags []string
	for _, parameter := range slices.Sorted(maps.Keys(constraints)) {
		refuse := func(reason string) error {
			return &backend.Error{
				Op: request.Op, View: request.View, Requests: request.Requests, Kind: backend.ErrBadRequest, Reason: reason,
			}
		}
		if !name.MatchString(parameter) {
			return nil, refuse(quote(parameter) + " cannot be the name of a constraint")
		}
		value := constraints[parameter]
		text, err := json.Marshal(value)
		if err != nil {
			return nil, refuse("constraint " + quote(parameter) + ": " + err.Error())
		}
		if plain, ok := value.(string); ok && plain != "" && !json.Valid([]byte(plain)) {
			text = []byte(plain)
		}
		flags = append(flags, "--with="+parameter+"="+string(text))
	}
	return flags, nil
}

func previousFlag(f *features) string {
	for _, flag := range []string{"--previous", "--pristine"} {
		if f.flags[flag] {
			return flag
		}
	}
	return ""
}

func unsupported(request snapdhttp.Request, reason string) *backend.Error {
	reason, remedy, _ := strings.Cut(reason, ": ")
	return &backend.Error{
		Op: request.Op, View: request.View, Requests: request.Requests,
		Kind: backend.ErrUnsupported, Reason: reason, Remedy: remedy,
	}
}
