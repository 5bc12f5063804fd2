package storetest

import (
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
)

func secretChange(t *testing.T, name, value string) fleet.SecretChange {
	t.Helper()
	config, err := fleet.SecretValue([]byte(value))
	ok(t, err)
	return fleet.SecretChange{Secret: fleet.Secret{Name: name, Value: config, Authorship: by("ann", 1)}}
}

// referring returns a change to a layer that refers to a secret.
func referring(t *testing.T, name fleet.LayerName, selector, secret string, revision int64) fleet.Change {
	t.Helper()
	refers := change(t, name, selector, `{"v":[`+fleet.ReferenceTo(secret)+`]}`)
	refers.Secrets = map[string]int64{secret: revision}
	return refers
}

func keepsNamed(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	used, unused := Device(t), Device(t)
	add(t, store, used)
	add(t, store, unused)
	wifi := secretChange(t, "wifi", `{"a":[1,"x"]}`)
	kept, err := store.ChangeSecret(ctx, wifi)
	ok(t, err)
	wifi.Revision = 1
	want := wifi.Secret
	same(t, want, kept)
	again, err := store.ChangeSecret(ctx, wifi)
	ok(t, err)
	same(t, want, again)
	_, err = store.ChangeSecret(ctx, secretChange(t, "Wifi", `2`)) // revision 2: of another secret
	ok(t, err)

	own := fleet.DeviceLayer(used.ID)
	_, err = Change(ctx, store, referring(t, own, "", "wifi", 2))
	is(t, err, fleet.ErrStale)
	_, err = Change(ctx, store, referring(t, own, "", "wif", 1))
	is(t, err, fleet.ErrStale)
	ownLayer := set(t, store, referring(t, own, "", "wifi", 1))                    // revision 3
	set(t, store, referring(t, "labels/a", "site=a", "wifi", 1))                   // 4
	set(t, store, referring(t, "labels/b", "site=b", "Wifi", 2))                   // 5
	set(t, store, change(t, "labels/c", "site=c", `{"v":"\"$secret\":\"wifi\""}`)) // 6
	set(t, store, change(t, fleet.DeviceLayer(unused.ID), "", `{"v":"wifi"}`))     // 7
	used.Own, used.OwnRevision = &ownLayer, 3
	holds(t, store, used) // the store may remember the device
	list, next, err := store.DeviceLayers(ctx, fleet.ReferenceTo("wifi"), "", 10)
	ok(t, err)
	same(t, []fleet.Layer{ownLayer}, list)
	if next != "" {
		t.Errorf("next is %q", next)
	}

	wifi.Value = secretChange(t, "wifi", `"new"`).Value
	for _, uses := range []fleet.Uses{{}, {Layers: 2, Last: 3}, {Layers: 1, Last: 4}} {
		wifi.Uses = uses
		_, err = store.ChangeSecret(ctx, wifi)
		is(t, err, fleet.ErrStale)
	}
	wifi.Uses = fleet.Uses{Layers: 2, Last: 4}
	wifi.Match = new(int64(7))
	_, err = store.ChangeSecret(ctx, wifi)
	is(t, err, fleet.ErrStale)
	wifi.Match = new(int64(1))
	wifi.Revision = 8
	kept, err = store.ChangeSecret(ctx, wifi)
	ok(t, err)
	same(t, wifi.Secret, kept)
	used.OwnRevision = 8
	holds(t, store, used)
	got, err := store.Device(ctx, unused.ID)
	ok(t, err)
	if got.OwnRevision != 7 {
		t.Errorf("a device that does not use it has revision %d", got.OwnRevision)
	}
	if diff := cmp.Diff(map[string]int64{"site=a": 8, "site=b": 5, "site=c": 6}, concerns(t, store)); diff != "" {
		t.Error(diff)
	}
	targets, err := store.Targets(ctx)
	ok(t, err)
	if len(targets.Secrets) != 2 || targets.Secrets[0].Name != "Wifi" || targets.Revision != 8 {
		t.Fatalf("%+v", targets)
	}
	same(t, wifi.Secret, targets.Secrets[1])
	entry, err := store.Entry(ctx, 8)
	ok(t, err)
	same(t, fleet.Entry{Revision: 8, Authorship: by("ann", 1), Layer: "secrets/wifi", Action: fleet.Set, Before: &want.Value,
		After: &wifi.Value}, entry)

	wifi.Remove, wifi.Match, wifi.Uses = true, nil, fleet.Uses{}
	_, err = store.ChangeSecret(ctx, wifi)
	is(t, err, fleet.ErrStale) // it is in use
	missing := secretChange(t, "none", `1`)
	missing.Remove = true
	_, err = store.ChangeSecret(ctx, missing)
	is(t, err, fleet.ErrUnknownSecret)
	set(t, store, change(t, "labels/b", "site=b", `{}`)) // 9
	missing.Name = "Wifi"
	_, err = store.ChangeSecret(ctx, missing) // 10
	ok(t, err)
	targets, err = store.Targets(ctx)
	ok(t, err)
	if len(targets.Secrets) != 1 || targets.Revision != 10 {
		t.Errorf("%+v", targets)
	}
	entry, err = store.LayerAt(ctx, "secrets/Wifi", 10)
	ok(t, err)
	if entry.Revision != 10 || entry.Action != fleet.Removed || entry.After != nil {
		t.Errorf("%+v", entry)
	}
}
