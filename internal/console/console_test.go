package console_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/console"
)

const sample = `# What is known.
# snapd: 2.77.1-2
# next-change: 41

@hook change-view-p fail|too high

$ snap get -d ACC/network/v 'a b'
> {
> 	"a": "b"
>
> }
>\ the end
! WARNING
? 1

% ours says more
$ snap watch 41
`

func TestRoundTrip(t *testing.T) {
	got, err := console.Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	want := &console.Transcript{About: []string{"What is known."}, Snapd: "2.77.1-2", NextChange: 41, Steps: []console.Step{
		{Line: 5, Prepare: "hook change-view-p fail|too high"},
		{Line: 7, Command: "snap get -d ACC/network/v 'a b'",
			Outcome: console.Outcome{Stdout: "{\n\t\"a\": \"b\"\n\n}\nthe end", Stderr: "WARNING\n", Code: 1}},
		{Line: 17, Command: "snap watch 41", Differs: "ours says more"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sample, got.String()); diff != "" {
		t.Errorf("written again (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"> out":              `line 1: "> out" belongs to no command`,
		"$ a\n\n> out":       `line 3: "> out" belongs to no command`,
		"$ a\nout":           `line 2: "out" is no line of a transcript`,
		"$ a\n? x":           `line 2: exit code "x": expected integer`,
		"# next-change: one": `line 1: next-change "one": expected integer`,
	} {
		if _, err := console.Parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	o := console.Outcome{
		Stdout: "ID   Status  Spawn               Ready               Summary\n" +
			"40   Done    today at 09:01 UTC  today at 09:01 UTC  old\n" +
			"41   Error   today at 09:02 UTC  today at 09:03 UTC  Set confdb through \"me/network/v\"\n",
		Stderr: "2026-11-22T23:49:17Z ERROR me\n",
	}
	want := console.Outcome{
		Stdout: "ID   Status  Spawn               Ready               Summary\n" +
			"41   Error   today at hh:mm UTC  today at hh:mm UTC  Set confdb through \"ACC/network/v\"\n",
		Stderr: "yyyy-mm-ddThh:mm:ssZ ERROR ACC\n",
	}
	if diff := cmp.Diff(want, o.Placeholders("me").Since(41)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRelative(t *testing.T) {
	get := console.Step{Command: "snap get a"}
	for _, test := range []struct {
		step      console.Step
		one, same console.Outcome // with changes from 9 and from 120 on
	}{
		{get, console.Outcome{Stdout: "ID   Status\n9    Done  x\n"}, console.Outcome{Stdout: "ID   Status\n120  Done  x\n"}},
		{get, console.Outcome{Stderr: "cannot abort change 10 with"}, console.Outcome{Stderr: "cannot abort change 121 with"}},
		{get, console.Outcome{Stdout: "130\n"}, console.Outcome{Stdout: "130\n"}},
		{console.Step{Command: "snap set --no-wait a"}, console.Outcome{Stdout: "11\n"}, console.Outcome{Stdout: "122\n"}},
	} {
		if diff := cmp.Diff(test.step.Relative(test.one, 9), test.step.Relative(test.same, 120)); diff != "" {
			t.Errorf("%s: differ:\n%s", test.step.Command, diff)
		}
	}
}

func TestWords(t *testing.T) {
	got, err := console.Words(`snap set ACC/v  'peers=["a b"]' x='' a''b`, "me")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"snap", "set", "me/v", `peers=["a b"]`, "x=", "ab"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := console.Words("snap 'set", ""); err == nil {
		t.Error("a quote without end is taken")
	}
}
