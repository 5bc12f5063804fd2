package nearest_test

import (
	"slices"
	"testing"

	"aspects-poc/internal/nearest"
)

func TestNames(t *testing.T) {
	known := []string{"dry-run", "selector", "state", "silent", "q", "limit", "after"}
	for given, want := range map[string][]string{
		"dry-run":     {"dry-run"},
		"dryrun":      {"dry-run"},
		"Dry_Run":     {"dry-run"},
		"dry":         {"dry-run"},
		"dry-run:yes": {"dry-run"},
		"selektor":    {"selector"},
		"stat":        {"state"},
		"LIMIT":       {"limit"},
		"colour":      nil,
		"Q":           {"q"},
		"x":           nil,
		"":            nil,
	} {
		if got := nearest.Names(given, known); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
	if got := nearest.Names("x", nil); got != nil {
		t.Errorf("%q of nothing", got)
	}
}
