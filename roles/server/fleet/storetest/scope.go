package storetest

import (
	"errors"
	"testing"

	"aspects-poc/roles/server/fleet"
)

// keepsToScopes makes writes in a scope. The store itself compares the scope with the labels.
func keepsToScopes(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	inside, outside := Device(t), Device(t)
	inside.Labels, outside.Labels = fleet.Labels{"site": "berlin", "stage": "test"}, fleet.Labels{"site": "munich"}
	add(t, store, inside)
	add(t, store, outside)
	scope := fleet.Scope{"site": "berlin"}
	wide := change(t, "labels/wide", "site", `{}`)
	_, err := store.ChangeAll(ctx, fleet.Batch{Changes: []fleet.Change{wide}})
	ok(t, err)
	set := func(name fleet.LayerName, selector string) error {
		change := change(t, name, selector, `{"a":1}`)
		change.Within = scope
		_, err := store.ChangeAll(ctx, fleet.Batch{Changes: []fleet.Change{change}})
		return err
	}
	for name, err := range map[string]error{
		"status": store.SetStatus(ctx, inside.ID, fleet.Revoked, scope), "mark": store.SetAlone(ctx, inside.ID, registered, scope),
		"device": set(fleet.DeviceLayer(inside.ID), ""), "labels": set("labels/berlin", "site=berlin"),
	} {
		if err != nil {
			t.Errorf("%s in the scope: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"status": store.SetStatus(ctx, outside.ID, fleet.Revoked, scope), "mark": store.SetAlone(ctx, outside.ID, registered, scope),
		"device": set(fleet.DeviceLayer(outside.ID), ""), "labels": set("labels/wide", "site=berlin"), "everyone": set(fleet.Everyone, ""),
	} {
		if !errors.Is(err, fleet.ErrScope) {
			t.Errorf("%s out of the scope: %v", name, err)
		}
	}
	device, err := store.Device(ctx, outside.ID)
	ok(t, err)
	if device.Status != fleet.Active || !device.Alone.IsZero() || device.Own != nil {
		t.Errorf("a refused write has changed the device: %+v", device)
	}
}
