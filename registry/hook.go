package registry

import (
	"context"
	"errors"
	"fmt"

	"aspects-poc/registry/snapctl"
)

// A Hook is the registry inside a hook of a snap. Its reads show the data of the transaction that the hook runs for,
// and its writes become part of that transaction. It also has the methods that only hooks need.
//
//	hook, err := registry.OpenHook(ctx, "change-view-control")
//	defer hook.Close()
//	var lamp struct {
//		Brightness int `json:"brightness"`
//	}
//	err = hook.View("control").Read(ctx, &lamp) // what is about to be stored
//	…
//	err = hook.Refuse(ctx, "the lamp is never brighter than 50")
//
// A change-view hook writes with one Set: if it calls Set several times, only the last one counts. Lifecycle hooks
// (configure, connect-plug-…) of a custodian must not write: snapd would wait for another hook of the same snap.
type Hook struct {
	*Registry
	backend  *snapctl.Backend
	nudgeDir string
}

// OpenHook opens the registry for the running hook. The name is that of the hook, such as "change-view-control".
// OpenHook does not contact snapd. It uses at most one Options. The error is ErrUnauthorized outside of a snap.
func OpenHook(ctx context.Context, name string, options ...Options) (*Hook, error) {
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	b, err := snapctl.Open(ctx, snapctlOptions(o, name))
	if err != nil {
		return nil, err
	}
	reg := New(b, ViewID{Account: o.Account, Schema: o.Schema})
	return &Hook{Registry: reg, backend: b, nudgeDir: nudgeDir(o.Getenv)}, nil
}

// Previous is View.Read for the data from before the transaction.
func (h *Hook) Previous(ctx context.Context, view string, dst any, requests ...string) error {
	v := h.View(view)
	if err := v.check("get", requests); err != nil {
		return err
	}
	document, err := h.backend.Previous(ctx, v.id, requests...)
	if err != nil {
		return err
	}
	return decode(document, dst, v.id, requests)
}

// Refuse refuses the transaction of a change-view hook. The writer gets the reason. After Refuse the hook should exit
// with success and must neither read nor write.
func (h *Hook) Refuse(ctx context.Context, reason string) error { return h.backend.Fail(ctx, reason) }

// Announce reports to the services of the snap that the views may show something else: it wakes their View.Hints and
// View.Watch. Call it in observe-view hooks. It does not access confdb. It returns an error if SNAP_COMMON is not set
// or the folder is not writable.
func (h *Hook) Announce(views ...string) error {
	if h.nudgeDir == "" {
		return errors.New("cannot announce changes: SNAP_COMMON is not set")
	}
	var errs []error
	for _, name := range views {
		v := h.View(name)
		if err := v.check("announce", nil); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, snapctl.Poke(h.nudgeDir, v.id.View))
	}
	return errors.Join(errs...)
}

// Config reads keys of the snap's own configuration (snap get SNAP KEY…), which is not part of confdb. It returns a
// map without the keys that are not set.
func (h *Hook) Config(ctx context.Context, keys ...string) (map[string]any, error) {
	return h.backend.GetConfig(ctx, keys...)
}

// Restart restarts a service of the snap after the hook has ended. The service is named without the snap. Restart
// returns false and does nothing if the service is not active, so that a service that an administrator stopped stays
// stopped.
func (h *Hook) Restart(ctx context.Context, service string) (bool, error) {
	active, err := h.backend.IsActive(ctx, service)
	if err != nil || !active {
		return false, err
	}
	if err := h.backend.Restart(ctx, service); err != nil {
		return false, fmt.Errorf("the change takes effect at the next start of the service: %w", err)
	}
	return true, nil
}
