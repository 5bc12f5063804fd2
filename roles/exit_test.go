package roles_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"aspects-poc/registry/backend"
	"aspects-poc/roles"
)

func TestExitCode(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"done", nil, 0},
		{"wrong usage", roles.Usagef("unknown flag"), 2},
		{"wrong usage, wrapped", fmt.Errorf("cannot run: %w", roles.Usagef("unknown flag")), 2},
		{"interrupted", context.Canceled, 1},
		{"too late", context.DeadlineExceeded, 1},
		{"anything else", errors.New("broken"), 1},
	}
	for _, test := range tests {
		if got := roles.ExitCode(test.err); got != test.want {
			t.Errorf("%s: exit code %d, want %d", test.name, got, test.want)
		}
	}
}

// Every kind of refusal is a failure, and none is wrong usage.
func TestExitCodeOfKinds(t *testing.T) {
	for _, kind := range backend.Kinds() {
		err := fmt.Errorf("cannot go on: %w", &backend.Error{Op: "get", Kind: kind})
		if got := roles.ExitCode(err); got != roles.ExitFailed {
			t.Errorf("%v: exit code %d, want %d", kind, got, roles.ExitFailed)
		}
	}
}
