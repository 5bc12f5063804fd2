package fleet_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

var twiceSeed = flag.Uint64("twice-seed", 0, "the seed that TestKeptTwice begins with; 0 draws one")

// TestKeptTwice compares what servers remember with what they would say if they remembered nothing: the last polls, the
// composed targets, what was seen and is not written yet, and the polls that are held back. Two servers share a store, hear
// of each other late, and are restarted; devices come to either, repeat themselves, change, are held up, or wait. After
// each act, a server that has just been opened on the same store says what is so, and what devices said last is known here.
func TestKeptTwice(t *testing.T) {
	first := *twiceSeed
	if first == 0 {
		first = rand.Uint64()
	}
	for seed := first; seed < first+4; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Logf("to repeat it: -twice-seed %d", seed)
			two := newTwo(t, rand.New(rand.NewPCG(seed, 7)))
			for n := 0; n < 250 && !t.Failed(); n++ {
				two.did = append(two.did, two.act())
				two.compare()
			}
			if t.Failed() {
				t.Logf("the last acts: %q", two.did[max(0, len(two.did)-12):])
			}
			for _, server := range two.servers {
				server.Release()
			}
			for _, d := range two.devices {
				if d.held != nil {
					<-d.held
				}
			}
		})
	}
}

// two is two servers on one store, and what is known of their devices.
type two struct {
	*world
	random  *rand.Rand
	told    <-chan fleet.Notice // of the store
	servers [2]*server
	devices []*twiceDevice
	did     []string
	asked   *twiceDevice // the last act was its poll, at a server that has heard of all, which offered nothing
}

// A server is one that hears of others' changes when it is told to.
type server struct {
	*fleet.Fleet
	hears  chan fleet.Notice
	taken  <-chan fleet.Notice
	unsaid []fleet.Notice // of the other
}

// A twiceDevice is what a device holds, and what it said last.
type twiceDevice struct {
	id     uuid.UUID
	says   bool       // it says what it runs, with sequences
	poll   fleet.Poll // the next one
	kept   fleet.Poll // the one that counts
	polled bool
	seen   time.Time
	loose  bool              // a poll was answered since, at some time
	held   chan fleet.Answer // nil: no poll is held back
	at     int               // by which server
	hangUp func()            // ends that poll as a device does, which has one at a time
}

// told is a store whose notices come through a channel of the test's.
type told struct {
	fleet.Store
	hears chan fleet.Notice
}

func (s told) Shared() bool { return true }

func (s told) Changes(context.Context) (<-chan fleet.Notice, error) { return s.hears, nil }

func newTwo(t *testing.T, random *rand.Rand) *two {
	two := &two{world: newWorld(t), random: random}
	var err error
	if two.told, err = two.store.Changes(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range two.servers {
		two.open(i)
	}
	t.Cleanup(func() {
		for _, server := range two.servers {
			two.close(server)
		}
	})
	for i := range 5 {
		labels := fleet.Labels{"site": string(rune('a' + i%2))}
		device := &twiceDevice{id: two.device(labels), says: i%3 > 0, seen: two.clock.Now()}
		two.change(device)
		two.devices = append(two.devices, device)
	}
	two.tell(-1)
	two.hear(0)
	two.hear(1)
	return two
}

func (two *two) open(i int) {
	server := &server{hears: make(chan fleet.Notice)}
	var err error
	options := fleet.Options{Now: two.clock.Now, PollInterval: time.Hour}
	if server.Fleet, err = fleet.Open(two.t.Context(), told{two.store, server.hears}, options); err != nil {
		two.t.Fatal(err)
	}
	if server.taken, err = server.Events(two.t.Context()); err != nil {
		two.t.Fatal(err)
	}
	two.servers[i] = server
}

func (two *two) close(server *server) {
	close(server.hears)
	if err := server.Close(); err != nil {
		two.t.Error(err)
	}
}

// tell has the server that made a change hear of it, and puts it aside for the other.
func (two *two) tell(by int) {
	for {
		select {
		case notice := <-two.told:
			for i, server := range two.servers {
				if notice.Own = i == by; !notice.Own {
					server.unsaid = append(server.unsaid, notice)
					continue
				}
				server.hears <- notice
				<-server.taken
			}
			continue
		default:
		}
		return
	}
}

// hear has a server hear of all that it has not heard of.
func (two *two) hear(i int) {
	server := two.servers[i]
	for _, notice := range server.unsaid {
		server.hears <- notice
		<-server.taken
	}
	server.unsaid = nil
}

// change makes up another configuration and report.
func (two *two) change(d *twiceDevice) {
	d.poll.Config = parse(two.t, fmt.Sprintf(`{"t":{"rate":%d}}`, two.random.IntN(3)))
	if d.says {
		d.poll.Report = true
		d.poll.Sequence++
	}
}

func (two *two) act() string {
	two.asked = nil
	two.clock.Pass(time.Duration(two.random.IntN(90)) * time.Second)
	by := two.random.IntN(2)
	server := two.servers[by]
	d := two.devices[two.random.IntN(len(two.devices))]
	act := two.random.IntN(20)
	defer two.tell(by)
	switch {
	case act < 5:
		return two.polls(by, d, d.poll)
	case act < 8:
		two.change(d)
		return two.polls(by, d, d.poll)
	case act == 8 && d.says && d.kept.Sequence > 1:
		late := d.kept
		late.Sequence--
		late.Config = parse(two.t, `{"late":true}`)
		return "late " + two.polls(by, d, late)
	case act < 12:
		return two.sets(server)
	case act == 12:
		site := string(rune('a' + two.random.IntN(2)))
		if _, err := server.SetLabels(two.t.Context(), d.id, map[string]*string{"site": &site}, "", nil); err != nil {
			two.t.Error(err)
		}
		return "labels"
	case act < 15:
		two.hear(by)
		return fmt.Sprint("hear ", by)
	case act == 15:
		return two.flush()
	case act == 16:
		return two.restart(by)
	}
	return two.holds(by, d)
}

func (two *two) flush() string {
	for _, server := range two.servers {
		if err := server.Flush(two.t.Context()); err != nil {
			two.t.Error(err)
		}
	}
	for _, d := range two.devices {
		kept, err := two.store.Store.Device(two.t.Context(), d.id)
		if exact := d.held == nil && !d.loose; err != nil || exact && kept.LastSeen.Unix() != d.seen.Unix() {
			two.t.Errorf("seen at %s, %v; it was at %s", kept.LastSeen, err, d.seen)
		}
	}
	return "flush"
}

// restart ends a server, with the polls that it holds back, and opens it again.
func (two *two) restart(i int) string {
	server := two.servers[i]
	server.Release()
	for _, d := range two.devices {
		if d.held != nil && d.at == i {
			<-d.held
			d.held, d.loose = nil, true
		}
	}
	two.close(server)
	two.open(i)
	return fmt.Sprint("restart ", i)
}

// sets changes or removes a layer.
func (two *two) sets(server *server) string {
	names := []fleet.LayerName{fleet.Everyone, "labels/a", "labels/b", fleet.DeviceLayer(two.devices[two.random.IntN(len(two.devices))].id)}
	name := names[two.random.IntN(len(names))]
	selector := ""
	if name.IsLabels() {
		selector = "site=" + string(rune('a'+two.random.IntN(2)))
	}
	change := two.world.change(name, selector, fmt.Sprintf(`{"t":{"rate":%d}}`, two.random.IntN(3)))
	if two.random.IntN(4) == 0 {
		if layer, err := server.Layer(two.t.Context(), name); err == nil && layer.Revision > 0 {
			change.Remove = true
		}
	}
	if _, err := server.Set(two.t.Context(), change); err != nil {
		two.t.Error(err)
	}
	return fmt.Sprint("set ", name)
}

// polls sends what a device says, has what counts taken down, and has the device do what it is told, or refuse or fail.
func (two *two) polls(by int, d *twiceDevice, poll fleet.Poll) string {
	text := fmt.Sprintf("%s polls %d: %d %s %v", d.id.String()[:4], by, poll.Sequence, poll.Config, poll.Running)
	if d.held != nil && poll.Sequence >= d.kept.Sequence { // what is late was sent before
		d.hangUp()
		<-d.held
		d.held, d.loose = nil, true
	}
	answer, err := two.servers[by].Poll(two.t.Context(), d.id, poll)
	if err != nil {
		two.t.Error(err)
		return text
	}
	d.seen, d.loose = two.clock.Now(), false
	if poll.Sequence < d.kept.Sequence {
		if answer.Later != d.kept.Sequence {
			two.t.Errorf("a report of sequence %d is taken after %d: %+v", poll.Sequence, d.kept.Sequence, answer)
		}
		return text // nobody reads the answer any more
	}
	d.kept, d.polled = poll, true
	if answer.Offer == nil && two.servers[by].unsaid == nil {
		two.asked = d
	}
	two.obey(d, answer)
	return text
}

func (two *two) obey(d *twiceDevice, answer fleet.Answer) {
	offer := answer.Offer
	if offer == nil {
		return
	}
	if offer.Revision < d.poll.Running.Revision {
		two.t.Errorf("revision %d is offered to a device that runs %d", offer.Revision, d.poll.Running.Revision)
	}
	outcome := fleet.Applied
	if two.random.IntN(4) == 0 {
		outcome = []fleet.Outcome{fleet.Refused, fleet.Failed}[two.random.IntN(2)]
	} else {
		d.poll.Config = offer.Config
	}
	if !d.says {
		return
	}
	d.poll.Sequence++
	d.poll.Attempted = fleet.Attempted{Revision: offer.Revision, Outcome: outcome}
	if outcome == fleet.Applied {
		d.poll.Running = fleet.Running{Revision: offer.Revision, Hash: offer.Hash}
	}
}

// holds has a device repeat itself, and wait.
func (two *two) holds(by int, d *twiceDevice) string {
	if d.held != nil || !d.says {
		return "nothing"
	}
	text := two.polls(by, d, d.poll)
	two.tell(by)
	held := make(chan fleet.Answer, 1)
	poll := d.kept
	poll.Wait = fleet.MaxWait
	ctx, hangUp := context.WithCancel(two.t.Context())
	go func() {
		defer hangUp()
		answer, err := two.servers[by].Poll(ctx, d.id, poll)
		if err != nil && ctx.Err() == nil {
			two.t.Error(err)
		}
		held <- answer
	}()
	for !two.servers[by].Waits(d.id) {
		select {
		case answer := <-held: // there is something to do
			d.seen, d.loose = two.clock.Now(), false
			if d.kept.Sequence == d.poll.Sequence {
				two.obey(d, answer)
			}
			return text
		case <-time.After(time.Millisecond):
		}
	}
	d.held, d.hangUp, d.at = held, hangUp, by
	return text + " and waits"
}

// compare looks at each device through a server that remembers nothing, and through those that do and have heard of all.
func (two *two) compare() {
	two.t.Helper()
	cold, err := fleet.Open(two.t.Context(), deaf{two.store}, fleet.Options{Now: two.clock.Now, PollInterval: time.Hour})
	if err != nil {
		two.t.Fatal(err)
	}
	defer func() {
		if err := cold.Close(); err != nil {
			two.t.Error(err)
		}
	}()
	states := map[fleet.State]int{}
	for _, d := range two.devices {
		view, err := cold.Device(two.t.Context(), d.id)
		if err != nil {
			two.t.Fatal(err)
		}
		state := two.state(d, view.Target)
		states[state]++
		if view.State != state || d.polled && !view.Report.Config.Equal(d.kept.Config) || view.Sequence != d.kept.Sequence {
			two.t.Errorf("%s is %s, with %s at %d; the device says %s, %s at %d", d.id, view.State, view.Report.Config, view.Sequence, state,
				d.kept.Config, d.kept.Sequence)
		}
		offers := view.State != fleet.StateInSync && view.State != fleet.StateRefused && view.Target.Revision != view.Attempted.Revision
		if offers && d == two.asked {
			two.t.Errorf("%s is offered nothing; it is %s, and revision %d is due", d.id, view.State, view.Target.Revision)
		}
		two.released(d, view.Target, offers)
	}
	for i, server := range two.servers {
		if server.unsaid != nil {
			continue
		}
		for _, d := range two.devices {
			warm, err := server.Device(two.t.Context(), d.id)
			slow, failed := cold.Device(two.t.Context(), d.id)
			if err != nil || failed != nil || warm.State != slow.State || warm.Target.Revision != slow.Target.Revision ||
				warm.Target.Hash != slow.Target.Hash || !warm.Target.Config.Equal(slow.Target.Config) || warm.LastSeen.Before(slow.LastSeen) {
				two.t.Errorf("server %d says %s, %d %s; it is %s, %d %s", i, warm.State, warm.Target.Revision, warm.Target.Config, slow.State,
					slow.Target.Revision, slow.Target.Config)
			}
		}
		counted, err := server.CountNow(two.t.Context())
		for state, devices := range counted.States {
			if err != nil || states[state] != devices {
				two.t.Errorf("server %d counts %v, %v; they are %v", i, counted.States, err, states)
				break
			}
		}
	}
}

// state is what follows from what a device said last.
func (two *two) state(d *twiceDevice, target fleet.Target) fleet.State {
	shown, err := d.kept.Config.Tree()
	wanted, failed := target.Config.Tree()
	if err != nil || failed != nil {
		two.t.Fatal(err, failed)
	}
	satisfied := fleet.InStep(wanted, shown)
	tried := d.kept.Attempted
	switch {
	case !d.polled:
		return fleet.StateNew
	case d.kept.Running == fleet.Running{Revision: target.Revision, Hash: target.Hash} && satisfied:
		return fleet.StateInSync
	case d.kept.Running == fleet.Running{Revision: target.Revision, Hash: target.Hash}:
		return fleet.StateDrifted // all that it is asked for is shown by each configuration but {}, which nobody who runs something shows
	case tried.Outcome == fleet.Refused && tried.Revision == target.Revision:
		return fleet.StateRefused
	case tried.Outcome == fleet.Failed && tried.Revision == target.Revision:
		return fleet.StateFailed
	case d.kept.Running == fleet.Running{} && !(tried.Outcome == fleet.Applied && tried.Revision == target.Revision) && satisfied:
		return fleet.StateInSync
	}
	return fleet.StateBehind
}

// released waits for the answer to a poll that is held back, where the server offers what the device has not tried and has
// heard of it.
func (two *two) released(d *twiceDevice, target fleet.Target, offers bool) {
	if d.held == nil {
		return
	}
	if !offers || two.servers[d.at].unsaid != nil {
		select {
		case answer := <-d.held: // of before, or of what it has heard
			d.held, d.loose = nil, true
			two.obeyHeld(d, answer)
		default:
		}
		return
	}
	select {
	case answer := <-d.held:
		d.held, d.loose = nil, true
		two.obeyHeld(d, answer)
	case <-time.After(time.Minute):
		two.t.Fatalf("%s waits at server %d for revision %d, of which that has heard", d.id, d.at, target.Revision)
	}
}

// obeyHeld is obey, where the device has not done anything else since.
func (two *two) obeyHeld(d *twiceDevice, answer fleet.Answer) {
	if d.poll.Sequence == d.kept.Sequence {
		two.obey(d, answer)
	}
}
