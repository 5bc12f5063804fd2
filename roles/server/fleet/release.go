package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// A Release is a change of layers that devices get in stages.
type Release struct {
	ID      int64 // the revision at which it began
	Version int64 // grows with each move
	Authorship
	Layers   []LayerName // the changed layers
	Plan     release.Plan
	Progress release.Progress
	Outcome  Outcomes
	// Before has the layers as before the release. Only the active release in Targets has it.
	Before []Before
}

// Outcomes has the states of a release's devices at its last move.
type Outcomes struct {
	Stages []release.Counts `json:"stages,omitempty"` // of each stage that has begun, without those of the stages before
	Causes []Cause          `json:"causes,omitempty"` // why devices fail, the most frequent first
}

// Total returns the sum of the counts of all stages.
func (o Outcomes) Total() (sum release.Counts) {
	for _, counts := range o.Stages {
		sum = sum.Plus(counts)
	}
	return sum
}

// A Cause is why some devices fail or are silent.
type Cause struct {
	Outcome string      `json:"outcome"` // refused, failed, drifted or silent
	Path    string      `json:"path,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	Devices int         `json:"devices"`
	Some    []uuid.UUID `json:"some"` // the first few of the devices
}

// Before is a layer as before the active release; with revision 0 if there was none.
type Before struct {
	Layer
	Own int64 // for a device's own layer: the OwnRevision before
}

// A ReleaseMove is a move of the active release.
type ReleaseMove struct {
	ID, Version int64 // as the caller has read them
	Authorship
	Progress release.Progress
	Outcome  Outcomes
}

// A Counted has the values that decide the state of a device, and those that a release needs. Times are in seconds
// since 1970; 0 means none.
type Counted struct {
	ID       uuid.UUID
	Status   Status
	Verdict  Verdict
	Own      int64 // OwnRevision
	Mute     bool  // the device has reported, but not what it runs
	Labels   Labels
	LastSeen int64
	Twins    int64
	Alone    int64
	// Reported is when the device last reported something new, if it is behind or has drifted; else 0.
	Reported int64
}

const releaseNames = "releases/"

// HistoryName returns the name of the release in the history.
func (r Release) HistoryName() LayerName {
	return LayerName(releaseNames + strconv.FormatInt(r.ID, 10))
}

// ByItself returns the author of moves that no person has asked for.
func (r Release) ByItself() string { return fmt.Sprint("release ", r.ID) }

// IsRelease reports whether the name is the HistoryName of a release, and no layer.
func (n LayerName) IsRelease() bool { return strings.HasPrefix(string(n), releaseNames) }

// Release returns the ID of the release with this HistoryName; 0 for another name.
func (n LayerName) Release() int64 {
	text, found := strings.CutPrefix(string(n), releaseNames)
	id, err := strconv.ParseInt(text, 10, 64)
	if !found || err != nil {
		return 0
	}
	return id
}

// Active reports whether the release has not ended.
func (r Release) Active() bool { return !r.Progress.Phase.Ended() }

// Step describes the last step of the release in a few words.
func (r Release) Step() string {
	stage := fmt.Sprintf("stage %d of %d", r.Progress.Stage, len(r.Plan.Stages))
	switch r.Progress.Phase {
	case release.Starting:
		return "released in stages"
	case release.Awaiting:
		return fmt.Sprintf("waits for a go before stage %d of %d", r.Progress.Stage+1, len(r.Plan.Stages))
	case release.Rolling:
		verb := " begins: "
		if r.Progress.Resumed.Equal(r.Progress.Since) { // after a halt
			verb = " goes on: "
		}
		return stage + verb + r.Plan.Stages[r.Progress.Stage-1].String()
	case release.Holding:
		return stage + " is complete, and holds"
	case release.Halted:
		return r.because("halted")
	case release.Undone:
		return r.because("undone")
	}
	return "done"
}

// Waits returns what the release waits for, by the counts of its devices; "" if it has ended.
func (r Release) Waits() string {
	number := r.Progress.Stage
	switch r.Progress.Phase {
	case release.Starting:
		return "the first stage begins in a moment"
	case release.Rolling:
		total := r.Outcome.Total()
		waiting, absent, all := total.Waiting, total.Absent, total.All()
		switch {
		case waiting == 0 && absent > all:
			return fmt.Sprintf("stage %d: %d of %d devices were silent already when it began; it goes on when half of them are back, or a "+
				"person says go", number, absent, absent+all)
		case waiting == 1:
			return fmt.Sprintf("stage %d: 1 device has yet to apply the change", number)
		}
		return fmt.Sprintf("stage %d: %d devices have yet to apply the change", number, waiting)
	case release.Holding:
		hold := time.Duration(r.Plan.Stages[number-1].Hold)
		return fmt.Sprintf("stage %d holds until %s", number, r.Progress.Since.Add(hold).UTC().Format(time.RFC3339))
	case release.Awaiting:
		return fmt.Sprintf("a person has to say go to stage %d", number+1)
	case release.Halted:
		const word = "a person has to say go or undo"
		if number == 0 {
			return word
		}
		return word + "; no further stage begins, but devices of the stages that have begun still get the change with their next poll"
	}
	return ""
}

// NeedsPerson reports whether the release continues only after a person's word.
func (r Release) NeedsPerson() bool {
	return r.Progress.Phase == release.Awaiting || r.Progress.Phase == release.Halted
}

func (r Release) because(what string) string {
	if r.Progress.Why == "" {
		return what
	}
	return what + ": " + r.Progress.Why
}

// A ReleaseError says why something is refused because of the active release.
type ReleaseError struct {
	ID   int64
	Text string
}

func (e *ReleaseError) Error() string { return e.Text }

// Unwrap makes it an ErrReleasing.
func (e *ReleaseError) Unwrap() error { return ErrReleasing }

// refuses returns an error if layers cannot be changed while the release is active.
func (r Release) refuses(layers []LayerName, staged bool) error {
	if staged {
		return &ReleaseError{r.ID, fmt.Sprintf("release %d is active, and there is one at a time: wait until it is done, or undo it", r.ID)}
	}
	for _, name := range layers {
		if slices.Contains(r.Layers, name) {
			return &ReleaseError{r.ID, fmt.Sprintf("release %d changes the layer %s at present: wait until it is done, or undo it; "+
				"layers that it does not change can be changed", r.ID, name)}
		}
	}
	return nil
}

// Undoes reports whether the move restores the layers.
func (m ReleaseMove) Undoes() bool { return m.Progress.Phase == release.Undone }

// Undoing returns the changes that restore the layers of the active release. gone reports the layers of removed
// devices, which it leaves out.
func (m ReleaseMove) Undoing(before []Before, gone func(LayerName) bool) Batch {
	var batch Batch
	for _, was := range before {
		if was.Name.IsDevice() && gone(was.Name) {
			continue
		}
		change := Change{Layer: was.Layer, Remove: was.Revision == 0, Restores: was.Revision}
		change.Authorship = m.Authorship
		batch.Changes = append(batch.Changes, change)
	}
	return batch
}

// Apply returns the release after the move, and its entry of the history with a revision. Errors: those of
// Store.MoveRelease.
func (m ReleaseMove) Apply(present Release, revision int64) (Release, Entry, error) {
	if !present.Active() || present.Version != m.Version {
		return Release{}, Entry{}, ErrStale
	}
	present.Version++
	present.Progress, present.Outcome = m.Progress, m.Outcome
	return present, present.entry(m.Authorship, revision), nil
}

// entry returns the entry for the last step of the release.
func (r Release) entry(by Authorship, revision int64) Entry {
	return Entry{Revision: revision, Authorship: Authorship{By: by.By, At: toSecond(by.At)}, Layer: r.HistoryName(), Action: Moved, Step: r.Step()}
}

// A NewRelease has what makes a batch a release.
type NewRelease struct {
	Plan release.Plan
	Authorship
}

// begin returns the release that begins at a revision.
func (n NewRelease) begin(revision int64, layers []LayerName) *Release {
	began := toSecond(n.At)
	return &Release{ID: revision, Version: 1, Authorship: Authorship{By: n.By, At: began}, Layers: layers,
		Plan: n.Plan, Progress: release.Begin(n.Plan, began)}
}

// begunAt returns the ID of the release that has set the layers.
func begunAt(layers []Layer) (id int64) {
	for _, layer := range layers {
		id = max(id, layer.Revision)
	}
	return id + 1
}

// A Waiting says which revision a change gives to devices that the active release has not admitted.
type Waiting struct {
	Begins bool // the change belongs to a release that begins: the revision before it
	Amid   bool // the change is made during a release: the revision below that of the change
}

// Of returns the last revision that concerns such devices after a change with a revision; nil without a release. It is
// for a selector that had none before. For another selector, if Begins is true, it is the last revision before, or
// stays if the release has changed the selector already.
func (w Waiting) Of(revision int64) *int64 {
	switch {
	case w.Begins:
		return new(int64(0))
	case w.Amid:
		return new(revision - 1)
	}
	return nil
}

// Seconds returns a time in seconds since 1970; 0 for the zero time.
func Seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}
