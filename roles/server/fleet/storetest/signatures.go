package storetest

import (
	"testing"

	"aspects-poc/roles/server/fleet"
)

func signatureChange(number, before int64) fleet.SignatureChange {
	return fleet.SignatureChange{Signer: "anna@example.com", Before: before, Signature: fleet.Signature{Number: number,
		Statement: `{"number":"\u0000 ü"}`, Signature: "-----BEGIN SSH SIGNATURE-----\n", Manifest: `{"layers":[]}`, Authorship: by("ann", int(number))}}
}

func keepsSignatures(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	list, err := store.Signatures(ctx)
	ok(t, err)
	same(t, 0, len(list))
	set(t, store, change(t, "labels/a", "site=a", `{"v":1}`)) // revision 1
	_, err = store.Sign(ctx, signatureChange(1, 3))
	is(t, err, fleet.ErrStale)
	_, err = store.Sign(ctx, fleet.SignatureChange{Remove: true})
	is(t, err, fleet.ErrStale)
	var want []fleet.Signature
	for i, number := range []int64{1, 2, 7} { // numbers may be left out
		first := signatureChange(number, 0)
		first.Salts, err = fleet.ParseConfig([]byte(`{"value":{"vpn":"salt"}}`))
		ok(t, err)
		if i > 0 {
			first.Before = want[i-1].Number
			want[i-1].Manifest, want[i-1].Salts = "", fleet.Config{}
		}
		stored, err := store.Sign(ctx, first)
		ok(t, err)
		first.Revision = int64(2 + i)
		same(t, first.Signature, stored)
		want = append(want, stored)
	}
	list, err = store.Signatures(ctx)
	ok(t, err)
	same(t, want, list)
	again, err := fleet.ParseConfig([]byte(`{"value":"sealed"}`))
	ok(t, err)
	_, err = store.Rewrite(ctx, func(of fleet.Holding) error {
		if of.Secret != nil && of.Secret.Name == fleet.SaltsName {
			same(t, want[2].Salts, of.Secret.Value)
			of.Secret.Value = again
		}
		return nil
	})
	ok(t, err)
	want[2].Salts = again
	list, err = store.Signatures(ctx)
	ok(t, err)
	same(t, want, list)
	targets, err := store.Targets(ctx)
	ok(t, err)
	same(t, int64(4), targets.Signed)
	same(t, int64(4), targets.Revision)
	same(t, 1, len(targets.Concerns)) // the layer's
	entries, err := store.Entries(ctx, fleet.SignatureName, 0, 10)
	ok(t, err)
	same(t, 3, len(entries))
	shown, err := fleet.ParseConfig([]byte(`{"number":7,"signed-by":"anna@example.com"}`))
	ok(t, err)
	same(t, fleet.Entry{Revision: 4, Layer: fleet.SignatureName, Action: fleet.Set, After: &shown, Authorship: by("ann", 7)}, entries[0])

	removed, err := store.Sign(ctx, fleet.SignatureChange{Before: 7, Remove: true, Signature: fleet.Signature{Authorship: by("ann", 8)}})
	ok(t, err)
	same(t, int64(5), removed.Revision)
	targets, err = store.Targets(ctx)
	ok(t, err)
	same(t, int64(0), targets.Signed)
	same(t, int64(5), targets.Concerns[0].Revision)
	list, err = store.Signatures(ctx)
	ok(t, err)
	same(t, 0, len(list))
}
