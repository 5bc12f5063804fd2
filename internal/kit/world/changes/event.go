package changes

import (
	"sync"
	"time"

	"aspects-poc/registry/backend"
)

// An EventKind says what has happened.
type EventKind string

// The kinds of events, and the fields that each has besides Kind and Time.
const (
	AccessBegan  EventKind = "began"              // a transaction with hooks begins: View, By, Read, Requests, Values
	AccessEnded  EventKind = "ended"              // a transaction has ended: View, By, Read, Requests, Values, Err, Told, Took
	Refused      EventKind = "refused"            // an access was refused, and there is no change: as AccessEnded
	HookRan      EventKind = "hook"               // Snap, Hook, Sets, Gets, Err, Cause, Rejected, Output, Took
	Committed    EventKind = "committed"          // Paths
	ServiceAsked EventKind = "service"            // Snap, Service, Action, Err
	Waits        EventKind = "waits"              // a hook has waited for another hook of its snap: Snap, Hook, For, Forever
	WaitsTurn    EventKind = "waits for its turn" // an access has waited for another access: View, By, Read, For
)

// An Event is something that has happened in a transaction. Which fields it has depends on Kind.
//
// It has many fields because all kinds share one type: listeners print and filter events without knowing each kind.
type Event struct {
	Kind   EventKind
	Time   time.Time
	Change string // ID of the change; "" for a read that needs none
	View   backend.ViewID
	By     string // snap that made the access through snapctl; "" for the administrator
	Read   bool
	Direct bool // of a read without hooks, which has no AccessBegan

	Requests []string       // of a read; none is the whole view
	Values   map[string]any // of a write; nil unsets. They may be secrets
	Err      string
	Told     bool // Err is the error of a hook, which the hook's event has already reported

	Snap, Hook string
	Sets       []Assignment // each snapctl set and unset of a hook, in order; the last one that was not refused counts
	Gets       []Lookup     // each snapctl get of a view in a hook of a transaction
	Rejected   string       // the reason that a custodian gave to snapctl fail
	Output     string       // what a hook printed
	Cause      string       // how a hook failed, such as "exit status 1"
	Took       time.Duration

	Paths []string // storage paths that a commit has changed

	Service, Action string

	For     string // the hook or access that runs
	Forever bool   // For itself waits for this hook: only a time limit ends the wait
}

// A Lookup is what a hook read.
type Lookup struct {
	View     string
	Requests []string // none is the whole view
	Err      string   // why it was refused; "" also for no data
}

// An Assignment is what a hook set or unset.
type Assignment struct {
	View   string
	Values map[string]any // nil unsets
	Err    string         // why it was refused
}

// events passes events to the observer: in the order of later, one at a time.
type events struct {
	observe   func(Event) // nil: nobody observes
	observing sync.Mutex  // held during observe

	mu      sync.Mutex // guards pending
	pending []Event
}

// later adds an event to the ones that the next flush passes on.
func (e *events) later(event Event) {
	if e.observe == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending = append(e.pending, event)
}

// flush passes the pending events on.
func (e *events) flush() {
	if e.observe == nil {
		return
	}
	e.observing.Lock()
	defer e.observing.Unlock()
	e.mu.Lock()
	pending := e.pending
	e.pending = nil
	e.mu.Unlock()
	for _, event := range pending {
		e.observe(event)
	}
}

// report passes an event on, after the pending ones.
func (e *events) report(event Event) {
	e.later(event)
	e.flush()
}
