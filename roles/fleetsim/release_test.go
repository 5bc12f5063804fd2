package fleetsim_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/server/fleet/sqlite"

	"github.com/google/uuid"
)

// released: a value that devices refuse, one that they die of, and a good one, each released in stages to 10,000 devices that poll
// once in an interval, in turn, and wait for nothing. It fails if a bad value reaches more than 1% of the devices, or is not undone
// within three intervals, or if the good one takes more than 10% longer than its stages say. It prints what a poll with nothing new
// costs amid a release, compared with no release in the same run.
//
// The interval is shorter than the usual minute, so that the run takes some minutes, and long enough for stored times, which are
// whole seconds.
func released(b *testing.B) {
	const interval = 20 * time.Second
	n := min(fleetSize(b), 10_000)
	for b.Loop() {
		s := newStagedFleet(b, n, interval)
		ctx, stop := context.WithCancel(b.Context())
		var polling sync.WaitGroup
		const lines = 100
		for line := range lines {
			polling.Go(func() { s.poll(ctx, s.devices[line*n/lines:(line+1)*n/lines]) })
		}
		s.set("good0")
		time.Sleep(2 * interval)

		plan := `{"stages":[{"devices":1},{"percent":1},{"percent":10},{"percent":100}],"stop-when":{"failing":2,"silent":5},"on-stop":"undo"}`
		s.releases("refused", plan, release.Undone, 3*interval)
		s.dies.Store(true)
		s.releases("fatal", plan, release.Undone, 3*interval)
		s.dies.Store(false)
		s.revive()
		time.Sleep(2 * interval)
		s.releases("good1", plan, release.Done, 4*interval*11/10) // a stage takes a poll interval
		without := s.unchanged()
		s.begin("good2", `{"stages":[{"percent":50}],"approve":[2]}`)
		time.Sleep(2 * interval)
		with := s.unchanged()
		b.ReportMetric(float64(without.Nanoseconds()), "poll-ns-without")
		b.ReportMetric(float64(with)/float64(without), "poll-amid-release/without")
		stop()
		polling.Wait()
		s.close()
	}
}

// looked: what a server's look at an active release costs, with half of the devices admitted, and what all looks in a minute cost if
// devices never stop reporting. It fails if that is more than a second.
func looked(b *testing.B) {
	const most = 30 * time.Second // between two looks: half the usual interval
	n := fleetSize(b)
	for b.Loop() {
		s := newStagedFleet(b, n, time.Minute)
		s.set("good0")
		s.all(s.one)
		s.begin("good1", `{"stages":[{"percent":50,"hold":"1h"}]}`)
		s.all(s.one)
		if err := s.rules.MoveRelease(b.Context()); err != nil { // writes what was seen
			b.Fatal(err)
		}
		const looks = 5
		begin, before := time.Now(), processorTime(b)
		for range looks {
			if err := s.rules.MoveRelease(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		took, spent := time.Since(begin)/looks, (processorTime(b)-before)/looks
		pause := min(max(60*took, time.Second), most)
		minute := spent.Seconds() * float64(time.Minute) / float64(took+pause)
		b.ReportMetric(took.Seconds()*1000, "look-ms")
		b.ReportMetric(spent.Seconds()*1000, "look-processor-ms")
		b.ReportMetric(minute, "looks-processor-s/minute")
		if minute > 1 {
			b.Errorf("looks at %d devices take %.1f s of a minute", n, minute)
		}
		s.close()
	}
}

// processorTime is what this process has used of processors.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// A stagedFleet is devices in this process, which poll in turn.
type stagedFleet struct {
	b        *testing.B
	store    *sqlite.Store
	rules    *fleet.Fleet
	devices  []*stagedDevice
	interval time.Duration
	bad      string
	dies     atomic.Bool
	mu       sync.Mutex // guards what devices do
	reached  map[uuid.UUID]bool
}

type stagedDevice struct {
	number   int
	id       uuid.UUID
	poll     fleet.Poll
	dead     bool
	sequence int64
}

// newStagedFleet returns devices that have registered.
func newStagedFleet(b *testing.B, n int, interval time.Duration) *stagedFleet {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "server.db"))
	if err != nil {
		b.Fatal(err)
	}
	rules, err := fleet.Open(b.Context(), store, fleet.Options{PollInterval: interval})
	if err != nil {
		b.Fatal(err)
	}
	s := &stagedFleet{b: b, store: store, rules: rules, bad: "none", interval: interval, devices: make([]*stagedDevice, n)}
	for i := range s.devices {
		s.devices[i] = &stagedDevice{number: i, poll: fleet.Poll{Report: true, Sequence: 1}, sequence: 1}
	}
	s.all(func(ctx context.Context, device *stagedDevice) {
		known, err := rules.Register(ctx, fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: fmt.Sprint("key ", device.number), Arch: "amd64"},
			nil, fleet.Active)
		if err != nil {
			b.Error(err)
		}
		device.id = known.ID
	})
	return s
}

func (s *stagedFleet) close() {
	if err := errors.Join(s.rules.Close(), s.store.Close()); err != nil {
		s.b.Fatal(err)
	}
}

// all does something with each device, as fast as it goes.
func (s *stagedFleet) all(do func(context.Context, *stagedDevice)) {
	const workers = 64
	var working sync.WaitGroup
	for worker := range workers {
		working.Go(func() {
			for i := worker; i < len(s.devices); i += workers {
				do(s.b.Context(), s.devices[i])
			}
		})
	}
	working.Wait()
}

// poll lets each of some devices poll once in an interval, in turn.
func (s *stagedFleet) poll(ctx context.Context, devices []*stagedDevice) {
	pause := s.interval / time.Duration(len(devices))
	next := time.Now()
	for ctx.Err() == nil {
		for _, device := range devices {
			if ctx.Err() != nil {
				return
			}
			s.one(ctx, device)
			if next = next.Add(pause); time.Until(next) > time.Millisecond {
				time.Sleep(time.Until(next))
			}
		}
	}
}

// one polls, and reports at once what became of an offer.
func (s *stagedFleet) one(ctx context.Context, device *stagedDevice) {
	for range 2 {
		s.mu.Lock()
		dead, poll := device.dead, device.poll
		s.mu.Unlock()
		if dead {
			return
		}
		answer, err := s.rules.Poll(ctx, device.id, poll)
		if err != nil || answer.Offer == nil {
			return
		}
		s.take(device, *answer.Offer)
	}
}

func (s *stagedFleet) take(device *stagedDevice, offer fleet.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isBad := offer.Config.String() == `{"v":{"x":"`+s.bad+`"}}`
	if isBad {
		s.reached[device.id] = true // nil only while nothing is bad
	}
	switch device.sequence++; {
	case isBad && s.dies.Load():
		device.dead = true
		return
	case isBad:
		device.poll.Attempted = fleet.Attempted{Revision: offer.Revision, Outcome: fleet.Refused, Path: "v.x", Reason: "it is bad"}
	default:
		device.poll.Running = fleet.Running{Revision: offer.Revision, Hash: offer.Hash}
		device.poll.Attempted = fleet.Attempted{Revision: offer.Revision, Outcome: fleet.Applied}
		device.poll.Config = offer.Config
	}
	device.poll.Sequence = device.sequence
}

func (s *stagedFleet) revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, device := range s.devices {
		device.dead = false
	}
}

func (s *stagedFleet) change(value string) fleet.Batch {
	config, err := fleet.ParseConfig([]byte(`{"v":{"x":"` + value + `"}}`))
	if err != nil {
		s.b.Fatal(err)
	}
	return fleet.Batch{Changes: []fleet.Change{{Layer: fleet.Layer{Name: fleet.Everyone, Config: config}}}}
}

func (s *stagedFleet) set(value string) {
	if _, err := s.rules.SetAll(s.b.Context(), s.change(value)); err != nil {
		s.b.Fatal(err)
	}
}

func (s *stagedFleet) begin(value, text string) *fleet.Release {
	plan, err := s.rules.ReadPlan([]byte(text))
	if err != nil {
		s.b.Fatal(err)
	}
	_, begun, err := s.rules.StartRelease(s.b.Context(), s.change(value), plan, "bench")
	if err != nil {
		s.b.Fatal(err)
	}
	return begun
}

// releases releases a value, and waits for the end.
func (s *stagedFleet) releases(value, plan string, want release.Phase, within time.Duration) {
	s.mu.Lock()
	s.bad, s.reached = value, map[uuid.UUID]bool{}
	if want == release.Done {
		s.bad = "none"
	}
	s.mu.Unlock()
	begin := time.Now()
	begun := s.begin(value, plan)
	for {
		view, err := s.rules.ShowRelease(s.b.Context(), begun.ID)
		if err != nil {
			s.b.Fatal(err)
		}
		took := time.Since(begin)
		if !view.Active() || took > 2*within {
			s.mu.Lock()
			share := float64(len(s.reached)) / float64(len(s.devices)) * 100
			s.mu.Unlock()
			s.b.ReportMetric(took.Seconds()/s.interval.Seconds(), value+"-intervals")
			if want == release.Undone {
				s.b.ReportMetric(share, value+"-reached-%")
			}
			if view.Progress.Phase != want || took > within || share > 1 {
				s.b.Errorf("%s is %s after %s, want %s within %s; %.2f%% had it: %s", value, view.Progress.Phase, took, want, within, share, view.Progress.Why)
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// unchanged returns what a poll takes that has nothing new.
func (s *stagedFleet) unchanged() time.Duration {
	const polls = 200_000
	device := s.devices[0]
	s.one(s.b.Context(), device)
	s.mu.Lock()
	poll := device.poll
	s.mu.Unlock()
	begin := time.Now()
	for range polls {
		if _, err := s.rules.Poll(s.b.Context(), device.id, poll); err != nil {
			s.b.Fatal(err)
		}
	}
	return time.Since(begin) / polls
}
