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

// Fail refuses the transaction of a change-view hook. The writer gets the reason. After Fail the hook should exit
// with success; snapd refuses its later reads and writes. In other hooks and outside of hooks the error is
// ErrUnsupported.
func (b *Backend) Fail(ctx context.Context, reason string) error {
	reason = strings.TrimSpace(reason)
	if reason == "" {
		reason = "refused" // snapd ignores an empty reason
	}
	_, err := b.command(ctx, "refuse", arguments([]string{"fail"}, reason)...)
	var refusal *backend.Error
	if errors.As(err, &refusal) && strings.Contains(refusal.Message, "outside of a") {
		refusal.Kind = backend.ErrUnsupported
	}
	return err
}

// Previous is Get for the data from before the transaction of a change-view, save-view or observe-view hook. In such
// a hook Get reads the data that the transaction is about to store or has stored.
func (b *Backend) Previous(ctx context.Context, view backend.ViewID, requests ...string) (map[string]any, error) {
	return b.called(ctx, view, requests, func(ctx context.Context) (map[string]any, error) {
		return b.get(ctx, view, requests, nil, "--previous")
	})
}

// IsConnected reports whether a plug of the snap is connected. The name may begin with a colon. A plug that the snap
// does not have is an error.
func (b *Backend) IsConnected(ctx context.Context, plug string) (bool, error) {
	plug = strings.TrimPrefix(plug, ":") // snapd finds it only without the colon
	if !name.MatchString(plug) {
		return false, &backend.Error{
			Op: "ask", Kind: backend.ErrBadRequest, Message: "cannot ask whether a plug is connected",
			Reason: quote(plug) + " cannot be the name of a plug",
		}
	}
	got, err := b.command(ctx, "ask whether "+plug+" is connected", "is-connected", plug)
	return err == nil && got.exit == 0, err
}

// Restart restarts a service of the snap, named SERVICE or SNAP.SERVICE. In a hook snapd restarts it after the hook
// has ended.
func (b *Backend) Restart(ctx context.Context, service string) error {
	service = b.options.service(service)
	_, err := b.command(ctx, "restart "+service, arguments([]string{"restart"}, service)...)
	return err
}

// IsActive reports whether a service of the snap, named SERVICE or SNAP.SERVICE, is running or waiting for its timer.
func (b *Backend) IsActive(ctx context.Context, service string) (bool, error) {
	service = b.options.service(service)
	got, err := b.command(ctx, "ask for "+service, arguments([]string{"services"}, service)...)
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(got.stdout) {
		// columns: Service, Startup, Current, Notes
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == service {
			return fields[2] == "active" || strings.Contains(line, "timer-activated"), nil
		}
	}
	return false, &backend.Error{Op: "ask for " + service, Kind: backend.ErrOther,
		Reason: "snapd's answer does not name it: " + quote(got.stdout)}
}

// service returns SNAP.SERVICE.
func (o Options) service(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return o.SnapName + "." + name
}

// GetConfig reads keys of the snap's own configuration (snap get SNAP KEY…), which is not part of confdb. It returns
// a map without the keys that are not set.
func (b *Backend) GetConfig(ctx context.Context, keys ...string) (map[string]any, error) {
	if err := configKeys("get", keys); err != nil {
		return nil, err
	}
	got, err := b.command(ctx, "get configuration", arguments([]string{"get", "-d"}, keys...)...)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(got.stdout) == "" {
		return map[string]any{}, nil
	}
	values, err := snapdhttp.Object([]byte(got.stdout))
	if err != nil {
		return nil, &backend.Error{
			Op: "get", Requests: keys, Kind: backend.ErrOther, Reason: "snapd's answer is no document: " + err.Error(), Err: err,
		}
	}
	maps.DeleteFunc(values, func(_ string, value any) bool { return value == nil })
	return values, nil
}

// SetConfig writes keys of the snap's own configuration in one step; nil unsets. In a hook the values take effect
// when the hook succeeds.
func (b *Backend) SetConfig(ctx context.Context, values map[string]any) error {
	keys := slices.Sorted(maps.Keys(values))
	if err := configKeys("set", keys); err != nil {
		return err
	}
	line := []string{"set", "-t"}
	var pairs []string
	for _, key := range keys {
		if values[key] == nil {
			pairs = append(pairs, key+"!")
			continue
		}
		text, err := json.Marshal(values[key])
		if err != nil {
			return &backend.Error{Op: "set", Requests: keys, Kind: backend.ErrBadRequest, Reason: err.Error(), Err: err}
		}
		pairs = append(pairs, key+"="+string(text))
	}
	_, err := b.command(ctx, "set configuration", arguments(line, pairs...)...)
	return err
}

// configKeys returns an error for text that snapd would not read as a key, but as a plug's attribute or another pair.
func configKeys(op string, keys []string) error {
	reason := ""
	if len(keys) == 0 {
		reason = "no keys"
	}
	for _, key := range keys {
		if key == "" || strings.HasPrefix(key, ":") || strings.ContainsAny(key, "=!") {
			reason = quote(key) + " cannot be a configuration key"
		}
	}
	if reason == "" {
		return nil
	}
	return &backend.Error{Op: op, Requests: keys, Kind: backend.ErrBadRequest, Reason: reason}
}

// command runs a snapctl command that concerns no view. The error is ErrUnsupported for a command that is not allowed
// here.
func (b *Backend) command(ctx context.Context, op string, args ...string) (answer, error) {
	request := snapdhttp.Request{Op: op}
	ctx, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return answer{}, err
	}
	defer call.End()
	got, err := b.run(ctx, request, args...)
	return got, call.Explain(err)
}
