package fleetcmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"aspects-poc/roles"
	"aspects-poc/roles/fleetcmd"
)

// TestPager passes to the pager what is longer than the terminal, and only that. Who quits the pager ends the command, and nothing
// has failed.
func TestPager(t *testing.T) {
	t.Parallel()
	list := func(lines int, end error) func(io.Writer) error {
		return func(w io.Writer) error {
			for i := range lines {
				if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
					return err
				}
			}
			return end
		}
	}
	failed := errors.New("no answer")
	for _, test := range []struct {
		name, pager string
		do          func(io.Writer) error
		want        string // the beginning of what is printed
		lines       int
		err         error
	}{
		{"short", "sed s/line/paged/", list(3, nil), "line 0\n", 3, nil},
		{"long", "sed s/line/paged/", list(100, nil), "paged 0\n", 100, nil},
		{"quit", "sed -n 's/line/paged/p; 2q'", list(1_000_000, nil), "paged 0\npaged 1\n", 2, nil},
		{"fails when short", "sed s/line/paged/", list(2, failed), "line 0\n", 2, failed},
		{"fails when long", "sed s/line/paged/", list(50, failed), "paged 0\n", 50, failed},
		{"nothing", "sed s/line/paged/", list(0, nil), "", 0, nil},
	} {
		var out bytes.Buffer
		env := &roles.Env{Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
		err := fleetcmd.Page(env, test.pager, 5, test.do)
		if !errors.Is(err, test.err) || test.err == nil && err != nil || !strings.HasPrefix(out.String(), test.want) ||
			strings.Count(out.String(), "\n") != test.lines {
			t.Errorf("%s: %v, printed %d lines: %.60q", test.name, err, strings.Count(out.String(), "\n"), out.String())
		}
	}
}
