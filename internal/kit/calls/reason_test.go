package calls_test

import (
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/calls"

	"github.com/google/go-cmp/cmp"
)

func TestReason(t *testing.T) {
	for script, want := range map[string]string{
		"snapctl fail too high\n":                    `"too high"`,
		"snapctl fail $why\n":                        `"$why"`,
		"snapctl fail rate: \"$rate is high\" now\n": `"rate: $rate is high now"`,
		"snapctl fail 'too high' again\n":            `"too high again"`,
		"snapctl fail a*b c\n":                       "",
		"snapctl fail $(cat why)\n":                  "",
		"snapctl fail \"a\"'b' c\n":                  "",
		"#!/usr/bin/python3\nfail(a, b)\n":           "",
	} {
		start, end, got, ok := calls.Reason([]byte(script), document.Position{Line: 1, Column: 1})
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q, want %q", script, got, want)
		}
		if ok && (start != document.Position{Line: 1, Column: 14} || end.Line != 1 || end.Column != len(script)) {
			t.Errorf("%q: from %v to %v", script, start, end)
		}
	}
}

func TestMentions(t *testing.T) {
	script := "é snapctl get --view :lamp x\nrun([\"snapctl\", \"get\", \":lamp\"])\n:lamps a:lamp --view=:lamp\n"
	want := []document.Position{{Line: 1, Column: 23}, {Line: 2, Column: 26}, {Line: 3, Column: 23}}
	if diff := cmp.Diff(want, calls.Mentions([]byte(script), "lamp")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
