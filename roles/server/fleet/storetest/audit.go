package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// record returns a record with a value in each field except the number.
func record(name string, seconds int, result audit.Result) audit.Record {
	return audit.Record{Act: uuid.New(), At: registered.Add(time.Duration(seconds)*time.Second + 7*time.Millisecond), Request: "r-1",
		Kind: audit.Operator, Name: name, Person: name + "@example.com", Role: "operator", Scope: "site=berlin", Address: "192.0.2.7",
		Proxy: "127.0.0.1", Agent: "curl/8 ü", Verb: "set", Thing: "layers/" + name, Details: "selector site=berlin", Result: result, Status: 403,
		Reason: "because", Revision: 7, Times: 2}
}

func records(t *testing.T, store fleet.Store, filter audit.Filter) []audit.Record {
	t.Helper()
	list, err := store.Records(t.Context(), filter, 1000)
	ok(t, err)
	return list
}

func keepsAudit(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	last, err := store.LastRecord(ctx)
	ok(t, err)
	same(t, int64(0), last)
	same(t, 0, len(records(t, store, audit.Filter{})))
	want := []audit.Record{record("ann", 1, audit.Done), record("bob", 2, audit.Refused), record("ann", 3, audit.Failed), record("an", 4, audit.Unchanged)}
	for i := range want {
		want[i].Number = int64(i + 1)
		ok(t, store.AddRecord(ctx, want[i]))
		again := want[i]
		again.Name = "mallory"
		ok(t, store.AddRecord(ctx, again)) // of the same act
	}
	last, err = store.LastRecord(ctx)
	ok(t, err)
	all := records(t, store, audit.Filter{Ascending: true})
	if len(all) != len(want) || all[3].Number > last {
		t.Fatalf("the last record has %d: %+v", last, all)
	}
	for i := range want {
		want[i].Number = all[i].Number // a number may be left out for an act that was recorded already
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Fatal("(-want +got):\n" + diff)
	}
	for name, test := range map[string]struct {
		filter audit.Filter
		want   []int
	}{
		"the newest first": {audit.Filter{}, []int{3, 2, 1, 0}},
		"since":            {audit.Filter{Since: want[2].At}, []int{3, 2}},
		"before":           {audit.Filter{Before: want[2].Number}, []int{1, 0}},
		"after":            {audit.Filter{Ascending: true, After: want[1].Number}, []int{2, 3}},
		"a token":          {audit.Filter{Who: "ann"}, []int{2, 0}},
		"a person":         {audit.Filter{Who: "bob@example.com"}, []int{1}},
		"a thing":          {audit.Filter{Thing: "layers/ann"}, []int{2, 0}},
		"things below":     {audit.Filter{Thing: "layers"}, []int{3, 2, 1, 0}},
		"no thing":         {audit.Filter{Thing: "layer"}, nil},
		"a result":         {audit.Filter{Result: audit.Refused}, []int{1}},
		"all of it":        {audit.Filter{Who: "ann", Result: audit.Done, Since: want[0].At, Before: 100, Thing: "layers/ann"}, []int{0}},
		"nobody":           {audit.Filter{Who: "' OR 1=1 --"}, nil},
	} {
		var chosen []audit.Record
		for _, i := range test.want {
			chosen = append(chosen, want[i])
		}
		if diff := cmp.Diff(chosen, records(t, store, test.filter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	shownAudit(t, store)
	two, err := store.Records(ctx, audit.Filter{Ascending: true, After: want[0].Number}, 2)
	ok(t, err)
	if diff := cmp.Diff(want[1:3], two); diff != "" {
		t.Error("two (-want +got):\n" + diff)
	}
}

// shownAudit chooses records by the printed form of the actor.
func shownAudit(t *testing.T, store fleet.Store) {
	t.Helper()
	for _, of := range []struct {
		kind               audit.Kind
		name, person, role string
	}{
		{audit.Stranger, "", "", ""}, {audit.Loopback, "loopback", "", ""}, {audit.Command, "root", "", ""}, {audit.Server, "first start", "", ""},
		{audit.Operator, "first", "", "admin"}, {audit.Operator, "sso", "first", "admin"},
	} {
		added := record(of.name, 5, audit.Done)
		added.Kind, added.Person, added.Role, added.Thing, added.Verb = of.kind, of.person, of.role, "shown", of.name+"/"+of.person
		ok(t, store.AddRecord(t.Context(), added))
	}
	for who, want := range map[string][]string{
		"stranger": {"/"}, "loopback": {"loopback/"}, "command": {"root/"}, "root": {"root/"}, "command (root)": {"root/"},
		"server": {"first start/"}, "server (first start)": {"first start/"}, "first start": {"first start/"},
		"first": {"sso/first", "first/"}, "first (admin)": {"first/"}, "first (sso)": {"sso/first"}, "first (sso, admin)": {"sso/first"},
		"sso": {"sso/first"}, "operator": nil,
	} {
		var got []string
		for _, found := range records(t, store, audit.Filter{Who: who, Thing: "shown"}) {
			got = append(got, found.Verb)
		}
		if !slices.Equal(got, want) {
			t.Errorf("who is %q: %q, want %q", who, got, want)
		}
	}
}

// recordsActs makes each change of an operator as an act, which then has one record. A change without effect, or a
// refused one, has none.
func recordsActs(t *testing.T, store fleet.Store) {
	device, revoked := Device(t), Device(t)
	add(t, store, device)
	add(t, store, revoked)
	layer := change(t, "labels/a", "site=a", `{"v":1}`)
	everyone := change(t, fleet.Everyone, "", `{"v":1}`)
	secret := secretChange(t, "wifi", `1`)
	outside := layer
	outside.Config, outside.Within = Config(t, `{"v":2}`), fleet.Scope{"site": "b"}
	one := func(ctx context.Context, change fleet.Change) error {
		_, err := store.ChangeAll(ctx, fleet.Batch{Changes: []fleet.Change{change}})
		return err
	}
	for _, step := range []struct {
		name     string
		act      func(context.Context) error
		want     error
		records  int
		revision int64
	}{
		{"set", func(ctx context.Context) error { return one(ctx, layer) }, nil, 1, 1},
		{"set again", func(ctx context.Context) error { return one(ctx, layer) }, nil, 0, 0},
		{"set out of the scope", func(ctx context.Context) error { return one(ctx, outside) }, fleet.ErrScope, 0, 0},
		{"set two", func(ctx context.Context) error {
			other := layer
			other.Config = Config(t, `{"v":3}`)
			_, err := store.ChangeAll(ctx, fleet.Batch{Changes: []fleet.Change{everyone, other}})
			return err
		}, nil, 1, 3},
		{"labels", func(ctx context.Context) error {
			_, err := store.SetLabels(ctx, device.ID, nil, fleet.Labels{"site": "a"}, by("ann", 1))
			return err
		}, nil, 1, 4},
		{"stale labels", func(ctx context.Context) error {
			_, err := store.SetLabels(ctx, device.ID, nil, fleet.Labels{"site": "b"}, by("ann", 1))
			return err
		}, fleet.ErrStale, 0, 0},
		{"name", func(ctx context.Context) error {
			_, err := store.SetName(ctx, device.ID, "lobby", by("ann", 1))
			return err
		}, nil, 1, 5},
		{"name again", func(ctx context.Context) error {
			_, err := store.SetName(ctx, device.ID, "lobby", by("ann", 1))
			return err
		}, nil, 0, 0},
		{"revoke", func(ctx context.Context) error { return store.SetStatus(ctx, revoked.ID, fleet.Revoked, nil) }, nil, 1, 0},
		{"revoke again", func(ctx context.Context) error { return store.SetStatus(ctx, revoked.ID, fleet.Revoked, nil) }, nil, 0, 0},
		{"revoke nobody", func(ctx context.Context) error { return store.SetStatus(ctx, uuid.New(), fleet.Revoked, nil) }, fleet.ErrUnknownDevice, 0, 0},
		{"alone", func(ctx context.Context) error { return store.SetAlone(ctx, device.ID, registered, nil) }, nil, 1, 0},
		{"remove", func(ctx context.Context) error { return store.Remove(ctx, revoked.ID, by("ann", 1)) }, nil, 1, 0},
		{"allow", func(ctx context.Context) error { return store.AllowKey(ctx, revoked.KeyID) }, nil, 1, 0},
		{"allow again", func(ctx context.Context) error { return store.AllowKey(ctx, revoked.KeyID) }, fleet.ErrUnknownKey, 0, 0},
		{"secret", func(ctx context.Context) error { _, err := store.ChangeSecret(ctx, secret); return err }, nil, 1, 6},
		{"secret again", func(ctx context.Context) error { _, err := store.ChangeSecret(ctx, secret); return err }, nil, 0, 0},
		{"sign", func(ctx context.Context) error { _, err := store.Sign(ctx, signatureChange(1, 0)); return err }, nil, 1, 7},
		{"sign again", func(ctx context.Context) error { _, err := store.Sign(ctx, signatureChange(1, 0)); return err }, fleet.ErrStale, 0, 0},
		{"observe", func(ctx context.Context) error {
			return store.Observe(ctx, []fleet.Observation{{ID: device.ID, Seen: registered.Add(time.Hour)}})
		}, nil, 0, 0},
		{"observe and set", func(ctx context.Context) error {
			other := layer
			other.Config = Config(t, `{"v":4}`)
			ok(t, store.Observe(ctx, []fleet.Observation{{ID: device.ID, Seen: registered.Add(2 * time.Hour)}}))
			ok(t, one(ctx, other))
			return store.Observe(ctx, []fleet.Observation{{ID: device.ID, Seen: registered.Add(3 * time.Hour)}})
		}, nil, 1, 8},
		{"twice in an act", func(ctx context.Context) error {
			ok(t, store.SetStatus(ctx, device.ID, fleet.Revoked, nil))
			return store.SetStatus(ctx, device.ID, fleet.Active, nil)
		}, nil, 2, 0},
		{"no act", func(context.Context) error { return store.SetStatus(t.Context(), device.ID, fleet.Revoked, nil) }, nil, 0, 0},
	} {
		before := records(t, store, audit.Filter{})
		begun := record("ann", 1, audit.Refused)
		begun.Status, begun.Reason = 0, ""
		pending := audit.Begin(begun)
		if err := step.act(audit.With(t.Context(), pending)); step.want != nil {
			is(t, err, step.want)
		} else {
			ok(t, err)
		}
		list := records(t, store, audit.Filter{})
		added := list[:len(list)-len(before)]
		if len(added) != step.records {
			t.Fatalf("%s: %d records, want %d: %+v", step.name, len(added), step.records, added)
		}
		if len(added) == 2 && added[0].Act == added[1].Act {
			t.Errorf("%s: two records of one act", step.name)
		}
		for _, got := range added {
			want := begun
			want.Number, want.Act, want.Result, want.Revision = got.Number, got.Act, audit.Done, step.revision
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
		}
		_, settles := pending.Settle(403)
		if settles != (step.records == 0) {
			t.Errorf("%s: of %d records, there is another to write: %v", step.name, step.records, settles)
		}
	}
}

func trimsAudit(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	for i := range 40 {
		ok(t, store.AddRecord(ctx, record("ann", i, []audit.Result{audit.Done, audit.Refused, audit.Unchanged, audit.Done}[i%4])))
	}
	last, err := store.LastRecord(ctx)
	ok(t, err)
	at := func(seconds int) time.Time { return registered.Add(time.Duration(seconds) * time.Second) }
	check := func(what string, done, others int, first int64) {
		t.Helper()
		list := records(t, store, audit.Filter{Ascending: true})
		count := map[bool]int{}
		for _, record := range list {
			count[record.Result == audit.Done]++
		}
		if count[true] != done || count[false] != others || first > 0 && list[0].Number != first {
			t.Errorf("%s: %d done and %d others from %d on", what, count[true], count[false], list[0].Number)
		}
	}
	ok(t, store.TrimRecords(ctx, at(0), 1000))
	check("nothing to trim", 20, 20, 1)
	ok(t, store.TrimRecords(ctx, at(8), 1000))
	check("by age", 16, 16, 9)
	ok(t, store.TrimRecords(ctx, at(0), 12)) // of the 32 remaining ones
	check("by number", 6, 6, 0)
	ok(t, store.TrimRecords(ctx, at(0), 3))
	list := records(t, store, audit.Filter{})
	if len(list) > 3 || list[0].Number != last {
		t.Errorf("three are left: %+v", list)
	}
	for i := range 3 {
		ok(t, store.AddRecord(ctx, record("ann", 100+i, audit.Refused)))
	}
	ok(t, store.TrimRecords(ctx, at(1000), 3))
	same(t, 0, len(records(t, store, audit.Filter{})))
	ok(t, store.AddRecord(ctx, record("ann", 1, audit.Done)))
	if list := records(t, store, audit.Filter{}); len(list) != 1 || list[0].Number <= last+3 {
		t.Errorf("a number is drawn again: %+v", list)
	}
}

// ordersAudit follows the log during many writes: the follower misses no record.
func ordersAudit(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	const writers, each = 8, 25
	var writing sync.WaitGroup
	for n := range writers {
		device := Device(t)
		add(t, store, device)
		writing.Go(func() {
			for i := range each {
				if i%2 == 0 {
					if err := store.AddRecord(ctx, record(fmt.Sprint(n), i, audit.Refused)); err != nil {
						t.Error(err)
					}
					continue
				}
				pending := audit.Begin(record(fmt.Sprint(n), i, audit.Done))
				if err := store.SetAlone(audit.With(ctx, pending), device.ID, registered.Add(time.Duration(i)*time.Second), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		writing.Wait()
		close(ended)
	}()
	var seen []int64
	for over := false; ; {
		filter := audit.Filter{Ascending: true}
		if len(seen) > 0 {
			filter.After = seen[len(seen)-1]
		}
		list, err := store.Records(ctx, filter, 7)
		ok(t, err)
		for _, record := range list {
			seen = append(seen, record.Number)
		}
		if over && len(list) == 0 {
			break
		}
		select {
		case <-ended:
			over = true
		default:
		}
	}
	if len(seen) != writers*each || !slices.IsSorted(seen) {
		t.Errorf("the follower has seen %d records of %d", len(seen), writers*each)
	}
}
