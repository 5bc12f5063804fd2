package place_test

import (
	"errors"
	"fmt"
	"testing"

	"aspects-poc/registry/confdb/place"

	"github.com/google/go-cmp/cmp"
)

func TestOf(t *testing.T) {
	bare := errors.New("too big")
	inner := place.In(fmt.Errorf("cannot parse size: %w", bare), "size")
	outer := place.In(fmt.Errorf("cannot parse entry: %w", place.In(inner, "schema", "disk")), "schema", "host")
	for _, test := range []struct {
		err   error
		steps []string
		name  bool
		text  string
	}{
		{err: bare, text: "too big"},
		{err: inner, steps: []string{"size"}, text: "cannot parse size: too big"},
		{err: outer, steps: []string{"schema", "host", "schema", "disk", "size"}, text: "cannot parse entry: cannot parse size: too big"},
		{err: place.In(place.Name(bare, "B"), "schema"), steps: []string{"schema", "B"}, name: true, text: "too big"},
		{err: place.In(place.Name(bare), "views"), steps: []string{"views"}, name: true, text: "too big"},
	} {
		steps, name := place.Of(test.err)
		if diff := cmp.Diff(test.steps, steps); diff != "" || name != test.name || test.err.Error() != test.text {
			t.Errorf("%v: name %t (-want +got):\n%s", test.err, name, diff)
		}
		if !errors.Is(test.err, bare) {
			t.Errorf("%v does not wrap its cause", test.err)
		}
	}
	if err := place.In(nil, "x"); err != nil {
		t.Errorf("no error became %v", err)
	}
	if steps, _ := place.Of(nil); steps != nil {
		t.Errorf("no error is at %v", steps)
	}
}
