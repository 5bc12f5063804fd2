package rolestest

import (
	"context"

	"aspects-poc/registry/backend"
)

// Writing returns a backend that runs its writes and updates through do. do may skip a write, or return its own error
// after the write. The backend has the abilities of below.
func Writing(below backend.Backend, do func(write func() error) error) backend.Backend {
	set := setting{Backend: below, do: do}
	updater, canUpdate := below.(backend.Updater)
	multi, canSetAll := below.(backend.MultiSetter)
	hinter, canHint := below.(backend.Hinter)
	switch {
	case canUpdate && canSetAll:
		return struct {
			setting
			updating
			settingAll
		}{set, updating{updater, do}, settingAll{multi, do}}
	case canHint:
		return struct {
			setting
			backend.Hinter
		}{set, hinter}
	default:
		return set
	}
}

type setting struct {
	backend.Backend
	do func(write func() error) error
}

func (s setting) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	return s.do(func() error { return s.Backend.Set(ctx, view, values) })
}

type updating struct {
	below      backend.Updater
	doUpdating func(write func() error) error
}

func (u updating) Update(
	ctx context.Context, view backend.ViewID, requests []string,
	change func(current map[string]any) (map[string]any, error),
) error {
	return u.doUpdating(func() error { return u.below.Update(ctx, view, requests, change) })
}

type settingAll struct {
	below        backend.MultiSetter
	doSettingAll func(write func() error) error
}

func (s settingAll) SetAll(ctx context.Context, changes []backend.Change) error {
	return s.doSettingAll(func() error { return s.below.SetAll(ctx, changes) })
}
