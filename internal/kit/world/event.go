package world

import (
	"time"

	"aspects-poc/registry/backend"
)

// An EventKind says what has happened.
type EventKind string

// The kinds of events.
const (
	AccessBegan  EventKind = "began"              // a transaction with hooks begins: View, By, Read, Requests, Values
	AccessEnded  EventKind = "ended"              // a transaction is over: View, By, Read, Requests, Values, Err, Told, Took
	Refused      EventKind = "refused"            // an access was refused before there was a change: as AccessEnded
	HookRan      EventKind = "hook"               // Snap, Hook, Sets, Gets, Err, Cause, Rejected, Output, Took
	Committed    EventKind = "committed"          // Paths
	ServiceAsked EventKind = "service"            // Snap, Service, Action, Err
	Waits        EventKind = "waits"              // a hook has waited a while, for another one of its snap: Snap, Hook, For, Forever
	WaitsTurn    EventKind = "waits for its turn" // an access has, for another one: View, By, Read, For
)

// An Event is something that has happened in a transaction. Which fields are there depends on Kind.
type Event struct {
	Kind   EventKind
	Time   time.Time
	Change string // ID of the change it belongs to; "" for reads that need none
	View   backend.ViewID
	By     string // snap that asked through snapctl; "" for the administrator
	Read   bool
	Direct bool // of a read: no hooks were to be run, so that it has not begun before it ended

	Requests []string       // of a read; none is the whole view
	Values   map[string]any // of a write; nil unsets. They may hold secrets
	Err      string
	Told     bool // Err is what a hook ended with, whose event has told it

	Snap, Hook string
	Sets       []Assignment // each snapctl set and unset of a hook, in order; of those that were not refused the last counts
	Gets       []Lookup     // each snapctl get of a view in a hook of a transaction
	Rejected   string       // the reason a custodian gave to snapctl fail
	Output     string       // what a hook printed
	Cause      string       // how a hook ended that did not end well, such as "exit status 1"
	Took       time.Duration

	Paths []string // storage paths that a commit has changed

	Service, Action string

	For     string // hook, or access, that is waited for
	Forever bool   // what is waited for waits itself for who waits: it ends with a limit only
}

// A Lookup is what a hook read.
type Lookup struct {
	View     string
	Requests []string // none is the whole view
	Err      string   // why it was refused; that there is no data is no refusal
}

// An Assignment is what a hook set or unset.
type Assignment struct {
	View   string
	Values map[string]any // nil unsets
	Err    string         // why it was refused
}

// later keeps an event until flush. The caller has the lock.
func (w *World) later(e Event) {
	if w.options.Observe != nil {
		w.pending = append(w.pending, e)
	}
}

// flush tells whoever observes the world what was kept. The caller does not have the lock.
func (w *World) flush() {
	if w.options.Observe == nil {
		return
	}
	w.observing.Lock()
	defer w.observing.Unlock()
	w.mu.Lock()
	events := w.pending
	w.pending = nil
	w.mu.Unlock()
	for _, e := range events {
		w.options.Observe(e)
	}
}

// tell tells whoever observes the world. The caller does not have the lock.
func (w *World) tell(e Event) {
	w.locked(func() { w.later(e) })
	w.flush()
}
