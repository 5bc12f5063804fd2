// Package transcript has transcripts of accesses to confdb on a machine: which hooks run in which order, what snapctl answers them,
// how the change ends, and what is stored. Its main type is Transcript. The stage hooks of e2e records transcripts on a real snapd,
// and tests replay them on a world.
//
//	given, err := transcript.Load("testdata/transcripts/refused.json")
//	seen, err := transcript.Replay(ctx, given)
//	diff := transcript.Diff(given, seen)
package transcript

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"

	"aspects-poc/internal/jsonvalue"

	"github.com/google/go-cmp/cmp"
)

// A Transcript is a machine and a list of steps on it. Views are those of testschema, and plugs have the names of their views unless
// Snap.Plugs has another name.
type Transcript struct {
	Name   string `json:"name"`
	Origin string `json:"origin"` // machine on which it was recorded
	Given  Given  `json:"given"`
	Steps  []Step `json:"steps"`
}

// Given is the machine before the first step.
type Given struct {
	// Before are commands of snap, COMMAND VIEW KEY=VALUE…, that store the data before the first step. They run with all plugs
	// connected, and with hooks that do nothing.
	Before [][]string `json:"before,omitempty"`
	Snaps  []Snap     `json:"snaps"`
	// Deadlocks means that steps wait until snapd's time limits. A replay has short limits.
	Deadlocks bool `json:"deadlocks,omitempty"`
}

// A Snap is an installed snap.
type Snap struct {
	Name         string            `json:"name"`
	Custodian    []string          `json:"custodian,omitempty"` // views; "*" is all
	Uses         []string          `json:"uses,omitempty"`      // views; "*" is all
	Plugs        map[string]string `json:"plugs,omitempty"`     // view -> name of its plug, if it differs
	Disconnected []string          `json:"disconnected,omitempty"`
	Missing      []string          `json:"missing,omitempty"` // hooks that are declared and have no file
	Hooks        map[string]Script `json:"hooks,omitempty"`
}

// A Script is the behaviour of a hook: it calls snapctl, prints and exits.
type Script struct {
	Calls [][]string `json:"calls,omitempty"`
	Print string     `json:"print,omitempty"`
	Exit  int        `json:"exit,omitempty"`
}

// A Step is one access with its results. Diff does not compare results that a recorded step leaves out.
type Step struct {
	// By is "root" for the commands set, unset and get of snap; the name of a snap whose app calls snapctl; or SNAP/HOOK for a hook
	// that is not a view's, which makes the call or, without Args, runs its script.
	By   string   `json:"by"`
	Args []string `json:"args"` // of root: COMMAND VIEW KEY=VALUE…
	// Scripts replace the scripts of hooks (SNAP HOOK) from this step on.
	Scripts map[string]Script `json:"scripts,omitempty"`

	Error  *string         `json:"error,omitempty"`  // error without a change, or of snapctl
	Stdout *string         `json:"stdout,omitempty"` // of snapctl
	Status string          `json:"status,omitempty"` // of the change
	Err    string          `json:"err,omitempty"`    // of the change
	Tasks  []string        `json:"tasks,omitempty"`  // KIND=STATUS
	Log    []string        `json:"log,omitempty"`    // of all tasks, without times
	Data   json.RawMessage `json:"data,omitempty"`   // of the change of a read
	Hooks  []string        `json:"hooks,omitempty"`  // SNAP HOOK, in the order in which they ran; ["-"] is none
	Calls  []Call          `json:"calls,omitempty"`  // of all hooks
	Stored json.RawMessage `json:"stored,omitempty"`
}

// A Call is one run of snapctl in a hook.
type Call struct {
	Hook   string   `json:"hook"` // SNAP HOOK
	Args   []string `json:"args"`
	Stdout string   `json:"stdout,omitempty"`
	Error  string   `json:"error,omitempty"`
}

// Load reads a file with a list of transcripts. It returns an error for unknown members.
func Load(path string) ([]Transcript, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []Transcript
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		return nil, fmt.Errorf("cannot read transcripts in %s: %w", path, err)
	}
	return list, nil
}

// Save replaces the file by a list of transcripts.
func Save(path string, list []Transcript) error {
	text, err := jsonvalue.EncodeLines(list, " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// Diff describes the differences between the recorded and the observed results; "" if there are none.
func Diff(recorded, seen Transcript) string {
	var text string
	for i, want := range recorded.Steps {
		got := seen.Steps[i]
		for _, field := range []struct {
			name      string
			want, got any
			there     bool
		}{
			{"error", value(want.Error), value(got.Error), want.Error != nil || want.Status == "" || got.Error != nil},
			{"stdout", value(want.Stdout), value(got.Stdout), want.Stdout != nil},
			{"status", want.Status, got.Status, want.Status != ""},
			{"err", unlimited(want.Err), unlimited(got.Err), want.Err != "" || want.Status == "Done"},
			{"tasks", want.Tasks, got.Tasks, want.Tasks != nil},
			{"log", without(want.Log), without(got.Log), want.Log != nil},
			{"data", decoded(want.Data), decoded(got.Data), want.Data != nil},
			{"hooks", want.Hooks, got.Hooks, want.Hooks != nil},
			{"calls", comparable(want.Calls), comparable(got.Calls), want.Calls != nil},
			{"stored", decoded(want.Stored), decoded(got.Stored), want.Stored != nil},
		} {
			if diff := cmp.Diff(field.want, field.got); field.there && diff != "" {
				text += fmt.Sprintf("step %d (%s %q), %s (-recorded +seen):\n%s", i+1, want.By, want.Args, field.name, diff)
			}
		}
	}
	return text
}

// limits matches the messages about a wait, or a hook, that has reached its time limit.
var limits = regexp.MustCompile(`timed out \(\S+\) waiting for change \d+|exceeded maximum runtime of [^>]+`)

// unlimited returns a text without the time limits, which are shorter in a replay.
func unlimited(text string) string { return limits.ReplaceAllString(text, "(LIMIT)") }

func without(log []string) []string {
	log = slices.Clone(log)
	for i := range log {
		log[i] = unlimited(log[i])
	}
	return log
}

// comparable returns calls without the time limits in their errors.
func comparable(calls []Call) []Call {
	calls = slices.Clone(calls)
	for i := range calls {
		calls[i].Error = unlimited(calls[i].Error)
	}
	return calls
}

func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func decoded(text json.RawMessage) any {
	if text == nil {
		return nil
	}
	var value any
	if err := jsonvalue.Decode(text, &value); err != nil {
		return "no JSON: " + string(text)
	}
	return value
}

// Views resolves "*" in a list of views.
func Views(list, all []string) []string {
	if slices.Contains(list, "*") {
		return all
	}
	return list
}
