package snapctl

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
)

// Get reads request paths through a view.
func (b *Backend) Get(
	ctx context.Context, view backend.ViewID, requests []string, options backend.GetOptions,
) (map[string]any, error) {
	return b.called(ctx, view, requests, func(ctx context.Context) (map[string]any, error) {
		return b.get(ctx, view, requests, options.Constraints, "")
	})
}

// called reads as a call of its own.
func (b *Backend) called(ctx context.Context, view backend.ViewID, requests []string,
	read func(ctx context.Context) (map[string]any, error)) (map[string]any, error) {
	request, _, err := b.request("get", view, requests)
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

// get reads, with "--previous" as state what was committed before the transaction that a hook runs in. Of several
// requests, snapd up to 2.70 leaves out those without a rule, as it does those without data (seen on 2.68.3).
func (b *Backend) get(
	ctx context.Context, view backend.ViewID, requests []string, constraints map[string]any, state string,
) (map[string]any, error) {
	values, err := b.getOnce(ctx, view, requests, constraints, state)
	if len(requests) < 2 || err != nil && !errors.Is(err, backend.ErrNoData) {
		return values, err
	}
	f, detectErr := b.detect(ctx)
	if detectErr != nil || f.flags["--default"] { // of 2.72
		return values, err
	}
	if missing := b.checkMissing(ctx, view, requests, values, state); missing != nil {
		return nil, missing
	}
	return values, err
}

// checkMissing asks for each request that is missing in an answer to several, alone, once: snapd tells then whether
// there is a rule.
func (b *Backend) checkMissing(ctx context.Context, view backend.ViewID, requests []string, values map[string]any, state string) error {
	for _, path := range requests {
		b.mu.Lock()
		known := b.ruled[view][path]
		b.mu.Unlock()
		if _, found := values[path]; found || known {
			continue
		}
		// What has been stored since the first answer is left out as well: an answer is of one moment.
		if _, err := b.getOnce(ctx, view, []string{path}, nil, state); err != nil && !errors.Is(err, backend.ErrNoData) {
			return err
		}
		b.mu.Lock()
		remember(b.ruled, view, path)
		b.mu.Unlock()
	}
	return nil
}

func (b *Backend) getOnce(
	ctx context.Context, view backend.ViewID, requests []string, constraints map[string]any, state string,
) (map[string]any, error) {
	requests = slices.Clone(requests)
	request, plug, err := b.request("get", view, requests)
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
				return nil, unsupported(request, "this snapd does not tell what was before: refresh it to 2.68 or later")
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

// withFlags turns constraints into flags. A text goes as it is where snapd will take it for one, as 2.74 knows no
// other form, and quoted where it could be read as a number or the like.
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
