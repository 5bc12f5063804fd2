package faults_test

import (
	"errors"
	"fmt"
	"testing"

	"aspects-poc/registry/confdb/faults"
)

var errBad = errors.New("bad")

// report adds four faults of a small document to a Report.
func report(r *faults.Report) {
	r.Enter("cannot parse", "schema", "mtu")
	r.Add(errBad, "max")
	r.Enter("", "values")
	r.Missing(errBad, "type", "schema")
	r.Leave()
	r.Leave()
	r.Key(errBad, "schema", "Up")
	r.Add(errBad)
}

func TestReport(t *testing.T) {
	var got []string
	r := faults.New(func(f *faults.Fault) bool {
		got = append(got, fmt.Sprint(f.At, f.Key, f.Missing, " ", f))
		if !errors.Is(f, errBad) {
			t.Errorf("%v is not its cause", f)
		}
		return true
	})
	if r.Err() != nil || r.Enough() {
		t.Error("a fault before the first")
	}
	report(r)
	want := []string{"[schema mtu max] false [] cannot parse: bad", "[schema mtu values] false [type schema] cannot parse: bad",
		"[schema Up] true [] bad", "[] false [] bad"}
	if fmt.Sprint(got) != fmt.Sprint(want) || r.Enough() {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	calls := 0
	two := faults.New(func(*faults.Fault) bool { calls++; return calls < 2 })
	report(two)
	if calls != 2 || !two.Enough() {
		t.Errorf("%d calls, want 2", calls)
	}
	first := faults.New(nil)
	report(first)
	if r.Err().Error() != "cannot parse: bad" || first.Err().Error() != "cannot parse: bad" || !first.Enough() {
		t.Errorf("first %v, %v", r.Err(), first.Err())
	}
}
