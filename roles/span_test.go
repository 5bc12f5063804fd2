package roles_test

import (
	"flag"
	"testing"
	"time"

	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

// TestSpan reads durations with days.
func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "0": 0, "-1h": -time.Hour,
		"": -1, "d": -1, "-1d": -1, "1d-1h": -1, "1.5d": -1, "2w": -1, "1h1d": -1, "200000d": -1, "106750d9000h": -1} {
		f := roles.SpanFlag("for", "")
		set := flag.NewFlagSet("", flag.ContinueOnError)
		if err := f.Apply(set); err != nil {
			t.Fatal(err)
		}
		err := set.Set("for", text)
		if got := roles.SpanOf(cli.NewContext(nil, set, nil), "for"); (err != nil) != (want == -1) || err == nil && got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}
