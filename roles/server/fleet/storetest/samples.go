package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
)

func keepsSamples(t *testing.T, store fleet.Store) {
	ctx := t.Context()
	begin := registered.Truncate(time.Hour)
	at := func(minutes int) time.Time { return begin.Add(time.Duration(minutes) * time.Minute) }
	take := func(minutes int, text string, thin ...fleet.Thinning) {
		t.Helper()
		ok(t, store.Sample(ctx, fleet.StoredSample{At: at(minutes), Text: text}, thin))
	}
	holds := func(since int, want ...string) {
		t.Helper()
		list, err := store.Samples(ctx, at(since))
		ok(t, err)
		var got []string
		for _, one := range list {
			got = append(got, fmt.Sprint(one.At.Sub(begin).Minutes(), " ", one.Text))
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("it has %q, want %q", got, want)
		}
	}
	holds(0)
	for _, minutes := range []int{0, 5, 15, 20, 30} {
		take(minutes, fmt.Sprint(minutes))
	}
	take(30, "again")
	holds(15, "15 15", "20 20", "30 again")
	take(40, "40", fleet.Thinning{Before: at(10)}, fleet.Thinning{Before: at(30), Step: 15 * time.Minute})
	holds(0, "15 15", "30 again", "40 40")
	if keeper, is := store.(fleet.Timekeeper); is {
		ok(t, keeper.Settle(ctx, at(30)))
		holds(0, "15 15", "30 again")
	}
}
