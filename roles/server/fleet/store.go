package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aspects-poc/roles/server/audit"

	"github.com/google/uuid"
)

// answered is an error of a call that the store has answered: it did not do what it was asked for. Every other error is a
// failure of the store.
type answered string

func (r answered) Error() string { return string(r) }

// IsRefusal reports whether an error is a refusal, and no failure of the store.
func IsRefusal(err error) bool {
	_, is := errors.AsType[answered](err)
	return is
}

// The kinds of refusals.
const (
	ErrUnknownDevice  = answered("no such device is registered")
	ErrUnknownLayer   = answered("there is no such layer")
	ErrUnknownEntry   = answered("the history has no such revision")
	ErrUnknownSecret  = answered("there is no such secret")
	ErrUnknownKey     = answered("no such key is revoked")
	ErrUnknownRelease = answered("there is no such release")
	ErrReleasing      = answered("a release is active") // the kind of a *ReleaseError
	ErrManyRevoked    = answered("as many keys of removed devices are revoked as may be")
	ErrExists         = answered("a device of this UUID or key is registered already")
	ErrNameTaken      = answered("another device has this name")
	ErrPendingFull    = answered("as many devices wait for approval as may")
	ErrStale          = answered("it has been changed since") // a *StaleError where a layer's revision is known
	ErrBadCursor      = answered("that is no place in the list")
	ErrClosed         = answered("the store is closed")
)

// MostRevokedKeys is the largest number of revoked keys whose devices are removed.
const MostRevokedKeys = 10_000

// A StaleError is an ErrStale with the layer's present revision; 0 if there is no layer.
type StaleError struct{ Revision int64 }

func (e *StaleError) Error() string {
	if e.Revision == 0 {
		return "it is not there any more"
	}
	return fmt.Sprintf("it has revision %d by now", e.Revision)
}

// Unwrap makes it an ErrStale.
func (e *StaleError) Unwrap() error { return ErrStale }

// A Store stores the fleet: devices, targets, history. Several servers may share one; the store does not distinguish them.
//
// A write survives a crash and a loss of power once its method has returned, except Observe. Methods are safe for concurrent
// use and end with their context; a method that ends so may or may not have written. Times have a resolution of a second, in
// UTC. A method checks its conditions in the transaction that writes.
//
// A transaction that writes draws its revision from one counter. Revisions become visible in their order: a reader that sees
// revision 7 sees all of 1 to 6. Package storetest is the contract of a store.
type Store interface {
	devices
	targets
	named
	signatures
	releases
	sealing
	samples
	audit.Store

	// Changes returns a notice of each commit from now on, of this process and of others that share the store. The channel is
	// closed when the context ends or the store is closed. A receiver that falls behind gets one Notice of kind Lost instead
	// of those that it missed; the same notice follows if the store may have missed notices of others.
	Changes(ctx context.Context) (<-chan Notice, error)
	// Check returns an error if the store cannot be used. It is for readiness.
	Check(ctx context.Context) error
	// Close waits for running writes and releases the store. Later calls return ErrClosed.
	Close() error
}

type devices interface {
	// Add stores a new device and returns it. If a device with the same public key exists, it returns that one and writes
	// nothing, also for two calls at the same time. Devices without a key are all different. Add stores ID, Registered,
	// Identity, KeyID, Labels and Status; LastSeen is the time of the registration. It returns ErrExists if the UUID or
	// the key belongs to another device, and ErrPendingFull if the device is Pending and mostPending devices are (0: no limit).
	// It returns ErrRevoked if the key is one of RevokedKeys, also for a device that does not sign.
	Add(ctx context.Context, device Device, mostPending int) (kept Device, err error)
	// Device returns a device with its own layer, or ErrUnknownDevice.
	Device(ctx context.Context, id uuid.UUID) (Device, error)
	// DevicesByID returns, as Device does, those of the devices that are registered, in no order.
	DevicesByID(ctx context.Context, ids []uuid.UUID) ([]Device, error)
	// DeviceByKey returns the device with a KeyID. It returns ErrRevoked if the key is one of RevokedKeys, else
	// ErrUnknownDevice. No device has the KeyID "".
	DeviceByKey(ctx context.Context, keyID string) (Device, error)
	// Devices returns at most limit devices after a cursor, in the order of their registration. after is "" or the next of the
	// previous call; next is "" at the end. Devices have no PublicKeyRSA, and have Config only if they do not report what
	// they run.
	Devices(ctx context.Context, after string, limit int) (list []Device, next string, err error)
	// Mute returns, as Devices does, the devices that have reported, but not what they run.
	Mute(ctx context.Context, after string, limit int) (list []Device, next string, err error)
	// Configs returns, as Devices does, all devices, each with its Config.
	Configs(ctx context.Context, after string, limit int) (list []Device, next string, err error)
	// Report stores a device's whole report with its verdict, or returns ErrUnknownDevice. It ignores a report whose sequence
	// is lower than the stored one and not 0. It returns the sequence that is stored afterwards.
	Report(ctx context.Context, id uuid.UUID, report Report) (sequence int64, err error)
	// Observe stores observations, which a crash may lose. It skips devices that are not registered. An earlier time does not
	// replace a later one. It is no part of the act of package audit in its context.
	Observe(ctx context.Context, list []Observation) error
	// SetLabels replaces a device's labels, adds that to the history, and returns its revision. Equal labels write nothing and
	// return 0. It returns ErrStale if the present labels differ from before.
	SetLabels(ctx context.Context, id uuid.UUID, before, after Labels, by Authorship) (revision int64, err error)
	// SetName replaces a device's name, adds that to the history, and returns its revision; "" removes the name. An
	// equal name writes nothing and returns 0. The device's OwnRevision stays. It returns ErrNameTaken if another
	// device has the name, also for two calls at the same time.
	SetName(ctx context.Context, id uuid.UUID, name string, by Authorship) (revision int64, err error)
	// Named returns the ID of the device with a name, or ErrUnknownDevice. No device has the name "".
	Named(ctx context.Context, name string) (uuid.UUID, error)
	// IDs returns at most limit IDs of devices from first to last, in the order of their bytes.
	IDs(ctx context.Context, first, last uuid.UUID, limit int) ([]uuid.UUID, error)
	// SetStatus replaces a device's status. It returns a *ScopeError if the device is not within the scope.
	SetStatus(ctx context.Context, id uuid.UUID, status Status, within Scope) error
	// SetAlone stores the time at which an operator has said that one machine alone is the device. A later time stays. It
	// returns a *ScopeError if the device is not within the scope.
	SetAlone(ctx context.Context, id uuid.UUID, at time.Time, within Scope) error
	// SetKey replaces a device's public key. It returns ErrStale if the present KeyID is not before, ErrExists if another
	// device has the new key, and ErrRevoked if the new key is one of RevokedKeys.
	SetKey(ctx context.Context, id uuid.UUID, before string, publicKey, keyID string) error
	// Remove removes a device with its reports, statistics and layer. The history has the layer as removed. The key of a
	// Revoked device becomes one of RevokedKeys. If there are MostRevokedKeys, it returns ErrManyRevoked and removes nothing.
	Remove(ctx context.Context, id uuid.UUID, by Authorship) error
	// RevokedKeys returns the keys of removed devices that were Revoked, the oldest first.
	RevokedKeys(ctx context.Context) ([]RevokedKey, error)
	// AllowKey removes a key from RevokedKeys, or returns ErrUnknownKey.
	AllowKey(ctx context.Context, keyID string) error
	// Count returns the number of devices.
	Count(ctx context.Context) (int, error)
	// Standings counts the devices in groups with equal inputs of their state. A device is silent if it was last seen before
	// the time silent. It is cloned if Twins is after Alone, and LastSeen less than the duration cloned after Twins.
	Standings(ctx context.Context, silent time.Time, cloned time.Duration) ([]Standing, error)
	// Stats returns a device's statistics from a time on, the oldest first, or ErrUnknownDevice.
	Stats(ctx context.Context, id uuid.UUID, since time.Time) ([]Stats, error)
}

type targets interface {
	// Targets returns the layers that concern more than one device, as of one moment.
	Targets(ctx context.Context) (Targets, error)
	// Layer returns a layer. It returns ErrUnknownLayer if the layer was never set or is removed.
	Layer(ctx context.Context, name LayerName) (Layer, error)
	// DeviceLayers returns layers of single devices, in the order of the devices' registration, if the text of their
	// configuration contains a text. after, limit and next are those of Devices.
	DeviceLayers(ctx context.Context, containing, after string, limit int) (list []Layer, next string, err error)
	// ChangeAll sets and removes layers, each under the next revision, adds that to the history, and returns the present
	// layers: all of a batch, or none of it. A change that changes nothing writes nothing and draws no revision. It returns a
	// *MovedError, or a *BatchError of: a *StaleError if a layer's revision is not its change.Match, ErrUnknownDevice if the
	// layer's device is not registered, ErrUnknownLayer if there is no layer to remove, a *ScopeError if a change is not within its
	// scope, ErrStale if a named secret has not the revision of change.Secrets, and a *LayerError if a layer is there twice.
	ChangeAll(ctx context.Context, batch Batch) ([]Layer, error)
	// History returns at most limit entries below a revision, the newest first, without Before and After. Revision 0 begins
	// with the newest entry, and layer "" returns the entries of all layers.
	History(ctx context.Context, layer LayerName, below int64, limit int) ([]Entry, error)
	// Entries is History with Before and After.
	Entries(ctx context.Context, layer LayerName, below int64, limit int) ([]Entry, error)
	// LastChange returns the last revision at which a layer was set or removed; 0 for none.
	LastChange(ctx context.Context) (int64, error)
	// Entry returns an entry in full, or ErrUnknownEntry.
	Entry(ctx context.Context, revision int64) (Entry, error)
	// LayerAt returns the entry that made a layer's state at a revision: the layer's newest entry up to that revision. It
	// returns ErrUnknownEntry if there is none.
	LayerAt(ctx context.Context, name LayerName, revision int64) (Entry, error)
}

type named interface {
	// ChangeSecret sets or removes a named secret under the next revision, adds that to the history, and returns the present
	// secret. The change concerns the devices of the layers whose configuration contains ReferenceTo the name. A change that
	// changes nothing writes nothing and draws no revision. It returns a *StaleError if the secret's revision is not
	// change.Match, ErrStale if those layers are not change.Uses, and ErrUnknownSecret if there is no secret to remove.
	ChangeSecret(ctx context.Context, change SecretChange) (Secret, error)
}

type signatures interface {
	// Sign stores an operator's statement under the next revision, which is Targets.Signed then, adds that to the history, and
	// returns it. With Remove it removes all statements; the revision then concerns all devices. It returns ErrStale if the last statement's number is not
	// change.Before. The manifests of earlier statements are dropped.
	Sign(ctx context.Context, change SignatureChange) (Signature, error)
	// Signatures returns all statements in the order of their numbers. Only the last one has its Manifest.
	Signatures(ctx context.Context) ([]Signature, error)
}

type releases interface {
	// Releases returns at most limit releases below an ID, the newest first, without Before. ID 0 begins with the newest.
	Releases(ctx context.Context, below int64, limit int) ([]Release, error)
	// Release returns a release without Before, or ErrUnknownRelease.
	Release(ctx context.Context, id int64) (Release, error)
	// MoveRelease stores the progress of the active release under the next version and the next revision, adds that to the
	// history, and returns the release. If the release is undone, all layers of Before are set or removed in the same
	// transaction, each under a revision of its own. If it has ended, the store forgets Before and Concern.Waiting. It returns
	// ErrUnknownRelease, or ErrStale if the release is not active or has another version.
	MoveRelease(ctx context.Context, move ReleaseMove) (Release, error)
	// Census returns all devices, in no order.
	Census(ctx context.Context) ([]Counted, error)
}

// sealing has the calls for the secrets in a store. The store does not know what is secret.
type sealing interface {
	// Sealing returns the text that SetSealing has stored; "" for none.
	Sealing(ctx context.Context) (string, error)
	// SetSealing replaces that text. It returns ErrStale if the present one is not before.
	SetSealing(ctx context.Context, before, after string) error
	// Rewrite calls change for all layers, then the named secrets, the history, and all reports, and stores what change
	// has modified in a Holding. It draws no revision, and sends no notice. It skips rows that another transaction
	// changes meanwhile. At the end the old content is no longer in the files, as far as the store can ensure that.
	// Rewrite returns the number of changed holdings.
	Rewrite(ctx context.Context, change func(Holding) error) (int, error)
}

// A Holding is a stored value that may have secrets. Exactly one member is not nil. It has only the listed fields.
type Holding struct {
	Layer  *Layer  // Name, Config
	Secret *Secret // Name, Value
	Entry  *Entry  // Layer, Before, After
	Device *Device // ID, Config, Running.Hash, Attempted.Path, Attempted.Reason
}

// A Confirmer is a Store whose reads may return values that a crash still loses, such as commits that wait for a second
// machine.
type Confirmer interface {
	// Confirm returns when everything that earlier reads have returned is as durable as a write.
	Confirm(ctx context.Context) error
}

// A Sharer is a store that reports whether other servers may share it. A store without this method is not shared.
type Sharer interface {
	Shared() bool
}

// A Timekeeper is a store that returns and corrects the times of sightings.
type Timekeeper interface {
	// Newest returns when a device was last seen; zero for none.
	Newest(ctx context.Context) (time.Time, error)
	// Settle corrects times from a clock that was ahead. It replaces the devices' times after now by now, and deletes
	// statistics from after now. Call it at the start, before anything reads devices.
	Settle(ctx context.Context, now time.Time) error
}

// A Timed is a store with a clock, which is the same for all servers that share the store.
type Timed interface {
	Time(ctx context.Context) (time.Time, error)
}

// A Maintainer is a store that needs regular housekeeping.
type Maintainer interface {
	Maintain(ctx context.Context) error
}

// A Device is a registered device.
//
// It has many fields because a row has many columns.
type Device struct {
	ID         uuid.UUID
	Registered time.Time
	Identity
	KeyID  string // see KeyID; "" for a key that cannot sign
	Status Status
	Labels Labels
	Name   string // see CheckName; "" for none

	// OwnRevision is the last revision that concerned this device alone: a change of its own layer or of its labels.
	OwnRevision int64
	// Own is its own layer; nil for none.
	Own *Layer

	Report             // the last report; Report.At is zero before the first poll
	LastSeen time.Time // the time of the registration before the first poll
	Twins    time.Time // when two machines were last detected for this device; zero means never
	Alone    time.Time // when an operator last said that only one machine is the device; zero means never
}

// A RevokedKey is the key of a removed device that was Revoked.
type RevokedKey struct {
	KeyID  string
	Device uuid.UUID
	At     time.Time // of the removal
}

// A Status decides whether a device may poll.
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
	Sequence  int64 // 0 in a report without one; then the stored sequence stays
	Instance  string
	Running   Running
	Attempted Attempted
	At        time.Time // by the server's clock
	Verdict   Verdict   // on this report; State is Unknown before the first report
}

// Running is the target that a device runs. The zero value means that it runs none of the server's targets.
type Running struct {
	Revision int64
	Hash     string
}

// Attempted is the outcome of the last target that a device tried. The zero value means that it tried none.
type Attempted struct {
	Revision int64
	Outcome  Outcome
	Path     string
	Reason   string
	At       int64 // seconds since 1970, by the device's clock
}

// An Outcome is the outcome of an attempt.
type Outcome byte

// The outcomes. Stores contain the values.
const (
	None    Outcome = 0
	Applied Outcome = 1
	Refused Outcome = 2
	Failed  Outcome = 3
)

// A Verdict is a device's state under a desired revision. It is not valid under another revision.
type Verdict struct {
	State    State
	Revision int64
}

// An Observation is a time at which a device was seen, with what was detected then.
type Observation struct {
	ID    uuid.UUID
	Seen  time.Time
	Twins time.Time  // when two machines were detected; zero means not detected
	Stats *Stats     // replaces the stored point of the same time; nil: none
	Thin  []Thinning // of the device's older statistics
}

// A Thinning deletes the statistics from before Before whose time, in seconds since 1970, is not a multiple of Step. A
// Step of 0 deletes all of them.
type Thinning struct {
	Before time.Time
	Step   time.Duration
}

// Stats is one point of a device's statistics.
type Stats struct {
	At   time.Time
	Text string // JSON of serverapi.Stats
}

// A Standing is a group of devices with the same inputs of their state.
type Standing struct {
	Status  Status
	Verdict Verdict
	// Own is the devices' OwnRevision if that is at least Verdict.Revision; else 0.
	Own int64
	// Mute means that the devices have reported, but not what they run.
	Mute   bool
	Labels Labels
	Count  int
	Silent int // of Count
	Cloned int // of Count
}

// Targets is the layers that concern more than one device, and the named secrets.
type Targets struct {
	Revision int64   // the last revision of any change
	Everyone Layer   // the zero value if it was never set
	Labels   []Layer // sorted by Priority and Name
	// Concerns has each selector that a label layer has or once had. Its revision is the last one at which a layer with
	// the selector was set or removed, or got or lost the selector. The empty selector is always there, for the layer
	// of everyone.
	Concerns []Concern
	Secrets  []Secret // sorted by Name
	// Signed is the revision under which the last statement of an operator was stored; 0 if there is none.
	Signed  int64
	Release *Release // the active one; nil for none
}

// A Concern is a selector and the last revision that concerned the devices that it selects.
type Concern struct {
	Selector Selector
	Revision int64
	// Waiting is the last revision for devices that the active release has not admitted; nil if it is Revision.
	Waiting *int64
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

// Authorship is the author and the time of a change.
type Authorship struct {
	By string // "" if unknown
	At time.Time
}

// An Entry is a change in the history.
type Entry struct {
	Revision int64
	Authorship
	Layer    LayerName // for a change of labels or name, the device's own layer; for a named secret or a release, its HistoryName
	Action   Action
	Restores int64
	Selector Selector // after the change
	Priority int64
	Before   *Config // nil if there was no layer, and for a change of labels or name
	After    *Config // nil if the layer is removed, and for a change of labels or name
	Labels   Labels  // after a change of labels
	Name     string  // after a change of the name
	Step     string  // of a release: see Release.Step
}

// An Action is the kind of a change.
type Action byte

// The actions. Stores contain the values.
const (
	Set       Action = 1
	Removed   Action = 2
	Relabeled Action = 3
	Renamed   Action = 4
	Moved     Action = 5 // a release has begun, or moved on: Layer is its HistoryName, and Step what has happened
)

// A Notice reports a commit.
type Notice struct {
	Kind NoticeKind
	// Own means that this store object has made the change, not another one on the same data.
	Own      bool
	Revision int64       // of TargetChanged
	Layer    LayerName   // of TargetChanged; for a named secret or a release its HistoryName
	Devices  []uuid.UUID // of DevicesChanged and DevicesReported
}

// A NoticeKind is the kind of a commit.
type NoticeKind byte

// The kinds of notices.
const (
	Lost            NoticeKind = iota // notices were lost; anything may have changed
	TargetChanged                     // the layer of everyone, a label layer or a named secret has changed, or a release has moved
	DevicesChanged                    // devices were added or removed, or their status, key, labels, name or own layer has changed
	DevicesReported                   // devices have reported
)
