package registry

import (
	"context"
	"errors"
	"fmt"

	"aspects-poc/registry/snapctl"
)

// A Hook is the registry as a hook of a snap has it: reads show, and writes become part of, the transaction that the
// hook runs for, and there is what only hooks can do.
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
// Only the last Set of a change-view hook counts: put all that it changes into one. Lifecycle hooks (configure,
// connect-plug-…) of a custodian must not write at all, as snapd would wait for another hook of the same snap.
type Hook struct {
	*Registry
	backend  *snapctl.Backend
	nudgeDir string
}

// OpenHook opens the registry for the hook of this name that the process is. Snapd is not contacted yet. At most one
// Options is used.
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

// Previous is View.Read of what was committed before the transaction.
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

// Refuse refuses the transaction of a change-view hook: whoever writes gets the reason. The hook should end with success
// then, and neither read nor write any more.
func (h *Hook) Refuse(ctx context.Context, reason string) error { return h.backend.Fail(ctx, reason) }

// Announce leaves word for the services of the snap that what views show may have changed; see View.Hints. It takes no
// access to confdb.
func (h *Hook) Announce(views ...string) error {
	if h.nudgeDir == "" {
		return errors.New("cannot leave word of changes: SNAP_COMMON is not set")
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

// Config reads keys of the snap's own configuration (snap get SNAP KEY…), which is not confdb. Those that are not set
// are left out.
func (h *Hook) Config(ctx context.Context, keys ...string) (map[string]any, error) {
	return h.backend.GetConfig(ctx, keys...)
}

// Restart restarts a service of the snap, named without the snap, when the hook has ended; one that an administrator
// has stopped stays so. It tells whether there is something to restart.
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
