package target

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// A Target identifies a server's target by revision and hash. A server that was restored from a backup may use a
// revision twice, so the revision is not enough.
type Target struct {
	Revision int64  `json:"revision,omitempty"` // 0 for a server without revisions
	Hash     string `json:"hash"`
}

// A Journal is what the device must know about targets after a crash. Its values are never modified in place.
type Journal struct {
	// Sequence is the sequence of the last report, and Said the digest of its content.
	Sequence int64  `json:"sequence,omitempty"`
	Said     string `json:"said,omitempty"`
	// Running is the last target that was applied and confirmed; nil if there is none or it is unknown.
	Running *Target `json:"running,omitempty"`
	// Attempted is the end of the last attempt.
	Attempted *Outcome `json:"attempted,omitempty"`
	// Tries is how often in a row Attempted's target has failed.
	Tries int `json:"tries,omitempty"`
	// Own are the device's own values that Running replaces.
	Own Own `json:"own,omitempty"`
	// Attempt is the attempt under way, or nil.
	Attempt *Attempt `json:"attempt,omitempty"`
	// Moved is the last confirmed change of server by a target, or nil.
	Moved *Move `json:"moved,omitempty"`
	// PollInterval is the server's interval in seconds; 0 if it has not said one.
	PollInterval int64 `json:"poll-interval,omitempty"`
}

// An Outcome is the end of an attempt.
type Outcome struct {
	Target
	Outcome string `json:"outcome"` // serverapi.Applied, Refused or Failed
	Cause
	At int64 `json:"at"` // seconds since 1970, by the device's clock
	// Unsigned means that the target was refused because no operator has signed it.
	Unsigned bool `json:"unsigned,omitempty"`
}

// A Cause says why an attempt ended without success. It is empty for a success.
type Cause struct {
	Path   string `json:"path,omitempty"`
	Reason string `json:"reason,omitempty"` // without the path, if there is one
	Text   string `json:"text,omitempty"`   // the whole text
}

// because returns a cause without a path.
func because(text string) *Cause { return &Cause{Reason: text, Text: text} }

func (c *Cause) add(more string) {
	c.Reason += more
	c.Text += more
}

// A Phase is the phase of an attempt. The journal records each phase before its work begins.
type Phase string

// The phases. Idle is no attempt.
const (
	Idle        Phase = ""
	Writing     Phase = "writing"     // before the commit; the views show whether it was made
	Unconfirmed Phase = "unconfirmed" // after the commit; the server has not been reached yet
	Undoing     Phase = "undoing"     // being undone
)

// An Attempt is a target that is being applied.
type Attempt struct {
	Target
	Phase Phase `json:"phase"`
	// Changes are the writes, and Before the previous values: view -> request path -> value, null for no value.
	Changes map[string]map[string]any `json:"changes"`
	Before  map[string]map[string]any `json:"before"`
	// Own are the device's own values that the target replaces.
	Own Own `json:"own,omitempty"`
	// Move is the change of server among the changes, or nil.
	Move *Move `json:"move,omitempty"`
	// Proof means that only an answer with a proof (serverapi.Proof) confirms the attempt: the attempt changes the
	// server, or its server has sent proofs before.
	Proof bool `json:"proof,omitempty"`
	// Brought means that the target came in a file, so that no server has to confirm it.
	Brought bool `json:"brought,omitempty"`
	// At is the time of the commit in seconds since 1970.
	At int64 `json:"at,omitempty"`
	// Starts is how many processes have waited for a confirmation.
	Starts int `json:"starts,omitempty"`
	// End is the outcome once the changes are undone.
	End *Outcome `json:"end,omitempty"`
}

// A Move is a change of server by a target.
type Move struct {
	From  string `json:"from"`            // the last server that no target has named
	To    string `json:"to"`              // the new server
	Token string `json:"token,omitempty"` // what the device called its enrolment token then
}

// Withholds reports whether a server must not get the enrolment token: a target has named that server after the device
// got the token. token is a name for the token, such as its digest.
func (j Journal) Withholds(server, token string) bool {
	moves := []*Move{j.Moved}
	if j.Attempt != nil {
		moves = append(moves, j.Attempt.Move)
	}
	for _, move := range moves {
		if move != nil && move.To == server && move.From != server && move.Token == token {
			return true
		}
	}
	return false
}

// move returns the change of server among changes, or nil.
func (j Journal) move(changes, current map[string]map[string]any, token string) *Move {
	to, moves := changes[network.ControlDeviceView]["server-url"].(string)
	if !moves {
		return nil
	}
	from, _ := current[network.ControlDeviceView]["server-url"].(string)
	move := &Move{From: address(from), To: address(to), Token: token}
	if last := j.Moved; last != nil && last.To == move.From && last.Token == token {
		move.From = last.From
	}
	return move
}

// address returns a server's address in the form that clients use.
func address(url string) string {
	if normal, err := serverapi.ParseURL(url); err == nil {
		return normal
	}
	return url
}

// Phase returns the phase of the attempt under way, or Idle.
func (j Journal) Phase() Phase {
	if j.Attempt == nil {
		return Idle
	}
	return j.Attempt.Phase
}

// Confirming returns the attempt that an answered poll would confirm, or nil.
func (j Journal) Confirming() *Attempt {
	if j.Phase() == Unconfirmed {
		return j.Attempt
	}
	return nil
}

// Report returns what a poll reports about targets.
func (j Journal) Report() *serverapi.Report {
	report := &serverapi.Report{Sequence: j.Sequence}
	running := j.Running
	if ended := j.Attempted; ended != nil && ended.Revision > 0 {
		report.Attempted = &serverapi.Attempted{
			Revision: ended.Revision, Outcome: ended.Outcome, Path: ended.Path, Reason: ended.Reason, At: ended.At,
		}
	}
	if attempt := j.Confirming(); attempt != nil {
		// The target runs, and stays if the server receives this report.
		running = &attempt.Target
		if attempt.Revision > 0 {
			report.Attempted = &serverapi.Attempted{
				Revision: attempt.Revision, Outcome: serverapi.Applied, At: attempt.At,
			}
		}
	}
	if running != nil && running.Revision > 0 {
		report.Running = &serverapi.Running{Revision: running.Revision, Hash: running.Hash}
	}
	return report
}

// Number returns the journal with the sequence of this report. Equal reports and configurations have the same sequence;
// others have the next one. A sequence is the time in milliseconds since 1970 if the clock allows, so that a state
// restored from a backup continues above its earlier reports. Store the journal before you send the report, so that a
// restart continues above it.
func (j Journal) Number(report *serverapi.Report, config serverapi.Config, now time.Time) (Journal, error) {
	text, err := json.Marshal([]any{config, report.Running, report.Attempted, report.Instance})
	if err != nil {
		return j, err
	}
	sum := sha256.Sum256(text)
	if said := base64.RawURLEncoding.EncodeToString(sum[:16]); said != j.Said {
		j.Said, j.Sequence = said, max(j.Sequence+1, now.UnixMilli())
	}
	return j, nil
}

// Overtaken returns the journal for a server that has a later sequence. The next report uses a later one.
func (j Journal) Overtaken(sequence int64) Journal {
	j.Said, j.Sequence = "", max(j.Sequence, sequence)
	return j
}

// PollEvery returns the journal with the interval, in seconds, at which the server wants polls.
func (j Journal) PollEvery(seconds int64) Journal {
	j.PollInterval = seconds
	return j
}
