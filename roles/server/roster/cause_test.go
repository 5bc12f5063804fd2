package roster_test

import (
	"testing"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/roster"
)

func TestCauseOf(t *testing.T) {
	for reason, want := range map[string]string{
		"": "",
		`cannot accept element in "metrics.sample-rate": expected int type but value was string`:     `cannot accept element in "metrics.sample-rate": expected int type but value was string`,
		`cannot accept element in "metrics.sample-rate": 17 is greater than the allowed maximum 10.`: `cannot accept element in "metrics.sample-rate": # is greater than the allowed maximum #.`,
		`no route to 192.0.2.7:8000, id ca155b32-2472-4650-afb0-c6f967328afe, hash 0123456789abcdef`: `no route to #, id #, hash #`,
		`cannot use "Very odd" here`: `cannot use "…" here`,
	} {
		if got := roster.CauseOf(reason); got != want {
			t.Errorf("%q: %q, want %q", reason, got, want)
		}
	}
}

// TestCauses: the numbers of the causes are those of the devices, and of the list of each cause.
func TestCauses(t *testing.T) {
	roll, _, err := roster.New(open(t, 100)).Roll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := roll.List(roster.Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	causes := roll.Causes()
	if len(causes) != 2 {
		t.Fatalf("causes %+v", causes)
	}
	for _, cause := range causes {
		list, err := roll.List(roster.Query{State: cause.State, Cause: cause.Cause, Limit: 1})
		if err != nil || list.Found != cause.Devices || cause.Devices != whole.States[cause.State] || cause.Example != "no" {
			t.Errorf("%+v: %d in the list, %d in the state, %v", cause, list.Found, whole.States[cause.State], err)
		}
	}
	for text, want := range map[string]int{"site=s0": 34, "site=s9": 0} {
		selector, err := fleet.ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := roll.Matching([]fleet.Selector{selector}); got[0] != want {
			t.Errorf("%s matches %d devices, want %d", text, got[0], want)
		}
	}
}
