package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The reasons of refusal that a caller can tell apart. Everything else that a call returns is the store's trouble.
var (
	ErrUnknownDevice = errors.New("no such device is registered")
	ErrUnknownLayer  = errors.New("there is no such layer")
	ErrUnknownEntry  = errors.New("the history has no such revision")
	ErrExists        = errors.New("a device of this UUID or key is registered already")
	ErrPendingFull   = errors.New("as many devices wait for approval as may")
	ErrStale         = errors.New("it has been changed since") // with a *StaleError where a revision is to be told
	ErrBadCursor     = errors.New("that is no place in the list")
	ErrClosed        = errors.New("the store is closed")
)

// A StaleError is an ErrStale that tells what the layer's revision is instead; 0 where there is no layer.
type StaleError struct{ Revision int64 }

func (e *StaleError) Error() string {
	if e.Revision == 0 {
		return "it is not there any more"
	}
	return fmt.Sprintf("it has revision %d by now", e.Revision)
}

// Is makes it an ErrStale.
func (e *StaleError) Is(target error) bool { return target == ErrStale }

// A Store keeps the fleet: devices, targets, history. Several servers may share one, and none of them is told apart.
//
// What a writing method acknowledged survives a crash and loss of power, but for Observe. Methods are safe for concurrent
// use and honour their context; one that returns because of it may or may not have written. Times are kept to the
// second, in UTC. What a method checks, it checks in the transaction that writes.
//
// Revisions are drawn in the transaction that uses them, from one counter, such that they become visible in their order:
// who has seen revision 7 sees all of 1 to 6. Package storetest holds what every store has to do.
type Store interface {
	devices
	targets

	// Changes tells of what is committed from now on, by this process and by others that share the store, each after
	// its commit. It ends when the context does or the store is closed: then the channel is closed. A receiver must
	// not dawdle: where it falls behind, or word may have been lost on the way, it gets a Notice of kind Lost in the
	// place of all that it missed.
	Changes(ctx context.Context) (<-chan Notice, error)
	// Check tells whether the store can be used at all, for readiness.
	Check(ctx context.Context) error
	// Close waits for writes under way and releases the store. Calls after it return ErrClosed.
	Close() error
}

type devices interface {
	// Add keeps a new device and returns it, or ErrExists. Where a device of the same public key is kept already, it
	// returns that one as it is, and writes nothing: also when two callers come at the same time. Devices without a
	// key are all different. Of the device, ID, Registered, Identity, KeyID, Labels and Status are kept; it was seen when
	// it registered. One that is Pending is kept while fewer than mostPending are (0 for any number), else the error is
	// ErrPendingFull.
	Add(ctx context.Context, device Device, mostPending int) (kept Device, err error)
	// Device returns all that is kept of a device, with its own layer, or ErrUnknownDevice.
	Device(ctx context.Context, id uuid.UUID) (Device, error)
	// DeviceByKey returns the device whose KeyID this is, or ErrUnknownDevice. "" is nobody's.
	DeviceByKey(ctx context.Context, keyID string) (Device, error)
	// Devices returns devices in the order of their registration, without PublicKeyRSA, and with Config only of those
	// that do not say what they run: at most limit of those that come after a cursor, which is "" or what the call
	// before returned as next. Next is "" at the end.
	Devices(ctx context.Context, after string, limit int) (list []Device, next string, err error)
	// Mute is Devices, of those only that have reported, but not what they run.
	Mute(ctx context.Context, after string, limit int) (list []Device, next string, err error)
	// Report keeps what a device reported, whole, with its verdict, or returns ErrUnknownDevice. A report whose sequence
	// is not 0 and lower than the kept one is not kept. It returns the sequence that is kept after it.
	Report(ctx context.Context, id uuid.UUID, report Report) (sequence int64, err error)
	// Observe keeps what is worth no write of its own. What it acknowledged may be lost in a crash, and devices that
	// are not registered any more are passed over. A time never takes the place of a later one.
	Observe(ctx context.Context, list []Observation) error
	// SetLabels replaces a device's labels and draws a revision, which it returns: history has it with author and time.
	// It returns ErrStale when the labels are not before any more. Equal labels write nothing and return 0.
	SetLabels(ctx context.Context, id uuid.UUID, before, after Labels, by Authorship) (revision int64, err error)
	// SetStatus replaces a device's status.
	SetStatus(ctx context.Context, id uuid.UUID, status Status) error
	// SetAlone keeps that an operator knew, at a time, that one machine alone is the device. A later time stays.
	SetAlone(ctx context.Context, id uuid.UUID, at time.Time) error
	// SetKey replaces a device's public key. It returns ErrStale when the key is not the one of KeyID before any more,
	// and ErrExists when the new one is another device's.
	SetKey(ctx context.Context, id uuid.UUID, before string, publicKey, keyID string) error
	// Remove forgets a device with its reports, statistics and layer (which history has as removed).
	Remove(ctx context.Context, id uuid.UUID, by Authorship) error
	// Count returns the number of devices.
	Count(ctx context.Context) (int, error)
	// Standings counts devices that share what their state is derived from. Those last seen before a time count as
	// silent, and those as cloned that were last seen less than a while after two machines were noticed, which was after
	// Alone.
	Standings(ctx context.Context, silent time.Time, cloned time.Duration) ([]Standing, error)
	// Stats returns a device's statistics from a time on, the oldest first, and ErrUnknownDevice for no device.
	Stats(ctx context.Context, id uuid.UUID, since time.Time) ([]Stats, error)
}

type targets interface {
	// Targets returns what concerns more than one device, as of one moment.
	Targets(ctx context.Context) (Targets, error)
	// Layer returns a layer, or ErrUnknownLayer where there is none, or none any more.
	Layer(ctx context.Context, name LayerName) (Layer, error)
	// DeviceLayers returns layers of single devices in the order of the devices' registration; after, limit and next are
	// as of Devices.
	DeviceLayers(ctx context.Context, after string, limit int) (list []Layer, next string, err error)
	// Change sets or removes a layer under the next revision, writes that to the history, and returns the layer as it
	// is now. A change that changes nothing writes nothing and draws no revision. ErrStale (a *StaleError) tells that
	// the layer is not at the revision that the change wants; ErrUnknownDevice that its device is not registered;
	// ErrUnknownLayer that there is none to remove.
	Change(ctx context.Context, change Change) (Layer, error)
	// History returns the newest entries below a revision (0: from the newest on), of one layer or ("") of all, at most
	// limit of them, without Before and After.
	History(ctx context.Context, layer LayerName, below int64, limit int) ([]Entry, error)
	// Entries is History with Before and After.
	Entries(ctx context.Context, layer LayerName, below int64, limit int) ([]Entry, error)
	// LastChange returns the last revision at which a layer was set or removed; 0 for none.
	LastChange(ctx context.Context) (int64, error)
	// Entry returns an entry in full, or ErrUnknownEntry.
	Entry(ctx context.Context, revision int64) (Entry, error)
	// LayerAt returns the entry that a layer's state at a revision comes from: its newest of at most that revision.
	// ErrUnknownEntry tells that there was none yet.
	LayerAt(ctx context.Context, name LayerName, revision int64) (Entry, error)
}

// A Sharer is a store that says whether other servers may share it. One that does not say is not shared.
type Sharer interface {
	Shared() bool
}

// A Maintainer is a store that has housekeeping to do now and then.
type Maintainer interface {
	Maintain(ctx context.Context) error
}

// A Device is a registered device.
type Device struct {
	ID         uuid.UUID
	Registered time.Time
	Identity
	KeyID  string // see KeyID; "" for a key that signs nothing
	Status Status
	Labels Labels

	// OwnRevision is the last revision that concerned this device alone: of its layer, set or removed, or of its labels.
	OwnRevision int64
	// Own is its own layer; nil for none.
	Own *Layer

	Report             // as it reported last; Report.At is zero before its first poll
	LastSeen time.Time // when it registered, at the least
	Twins    time.Time // when two machines were last noticed that report as this device; zero: never
	Alone    time.Time // when an operator last said that one machine does; zero: never
}

// A Status says whether a device may poll.
type Status byte

// The statuses. The values are kept in stores.
const (
	Active  Status = 0
	Pending Status = 1
	Revoked Status = 2
)

func (s Status) String() string {
	switch s {
	case Active:
		return "active"
	case Pending:
		return "pending"
	case Revoked:
		return "revoked"
	}
	return fmt.Sprintf("status %d", byte(s))
}

// A Report is what a device reported.
type Report struct {
	Config    Config
	Sequence  int64 // 0 in a report that has none; the kept one is left as it is then
	Instance  string
	Running   Running
	Attempted Attempted
	At        time.Time // by the server's clock
	Verdict   Verdict   // of the rules on this report; State Unknown before the first
}

// Running is the target that a device runs. The zero value: none of the server's.
type Running struct {
	Revision int64
	Hash     string
}

// Attempted is what became of the target that a device tried last. The zero value: it tried none.
type Attempted struct {
	Revision int64
	Outcome  Outcome
	Path     string
	Reason   string
	At       int64 // seconds since 1970, by the device's clock
}

// An Outcome is what became of an attempt.
type Outcome byte

// The outcomes. The values are kept in stores.
const (
	None    Outcome = 0
	Applied Outcome = 1
	Refused Outcome = 2
	Failed  Outcome = 3
)

// A Verdict is a state, and the desired revision for which it was derived. For another one it says nothing.
type Verdict struct {
	State    State
	Revision int64
}

// An Observation is what was seen of a device.
type Observation struct {
	ID    uuid.UUID
	Seen  time.Time
	Twins time.Time  // zero: none were noticed
	Stats *Stats     // nil: none. A kept one of the same time is replaced
	Thin  []Thinning // of the device's older statistics
}

// A Thinning drops statistics of a span of time: those from before Before whose time, in seconds since 1970, is no
// multiple of Step. A Step of 0 drops all of them.
type Thinning struct {
	Before time.Time
	Step   time.Duration
}

// Stats is what a device had counted at a time.
type Stats struct {
	At   time.Time
	Text string // JSON of serverapi.Stats
}

// A Standing is a group of devices with what their states are derived from.
type Standing struct {
	Status  Status
	Verdict Verdict
	// Own is the devices' OwnRevision where that is no lower than Verdict.Revision; else 0.
	Own int64
	// Mute tells that the devices have reported, but not what they run.
	Mute   bool
	Labels Labels
	Count  int
	Silent int // of Count
	Cloned int // of Count
}

// Targets is the layers that concern more than one device.
type Targets struct {
	Revision int64   // the last one drawn, of whatever layer
	Everyone Layer   // the zero value where none was ever set
	Labels   []Layer // by (Priority, Name)
	// Concerns has each selector that a label layer has or once had, with the last revision at which such a layer
	// was set, removed, or changed from or to that selector; and the one that selects all, with the last revision at
	// which the layer of everyone was set or removed.
	Concerns []Concern
}

// A Concern is a selector and the last revision that concerned the devices that it selects.
type Concern struct {
	Selector Selector
	Revision int64
}

// A Layer is a part of targets.
type Layer struct {
	Name     LayerName
	Selector Selector // of label layers; the zero value selects all
	Priority int64    // of label layers
	Config   Config
	Revision int64 // of its last change
	Authorship
}

// Authorship says who changed something, and when.
type Authorship struct {
	By string // "" where nobody says
	At time.Time
}

// An Entry is a change in the history.
type Entry struct {
	Revision int64
	Authorship
	Layer    LayerName // of labels: that of the device
	Action   Action
	Restores int64
	Selector Selector // after the change
	Priority int64
	Before   *Config // nil where there was no layer, or it was labels that changed
	After    *Config // nil where there is none any more
	Labels   Labels  // after a change of labels
}

// An Action is what a change did.
type Action byte

// The actions. The values are kept in stores.
const (
	Set       Action = 1
	Removed   Action = 2
	Relabeled Action = 3
)

// A Notice tells of a commit.
type Notice struct {
	Kind NoticeKind
	// Own tells that this store object made the change, rather than another on the same data.
	Own      bool
	Revision int64       // of TargetChanged
	Layer    LayerName   // of TargetChanged
	Devices  []uuid.UUID // of DevicesChanged and DevicesReported
}

// A NoticeKind is what happened.
type NoticeKind byte

// The kinds of notices.
const (
	Lost            NoticeKind = iota // anything may have happened
	TargetChanged                     // of everyone's or a label layer
	DevicesChanged                    // added, removed; their status, key, labels or own layer
	DevicesReported                   // what they reported
)
