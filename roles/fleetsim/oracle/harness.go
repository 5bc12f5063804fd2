package oracle

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"aspects-poc/roles/fleetsim"
)

// A World is where servers run.
type World interface {
	// Servers is how many there are, on one store.
	Servers() int
	URL(server int) string
	Transport() http.RoundTripper
	// Start starts a server and returns when it can be asked. Stop ends it in order, Kill at once, with whatever it has in
	// memory.
	Start(server int) error
	Stop(server int) error
	Kill(server int) error
	// Backup keeps a copy of the store, and Restore, with the servers stopped, goes back to the last one.
	Backup() error
	Restore() error
	// Sleep lets time pass. Settle waits until all is quiet, if the world can tell.
	Sleep(time.Duration)
	Settle()
	// Looks is how often a look is repeated, with pauses, before what it sees counts: in a world that never stands still,
	// something may change in the middle of one.
	Looks() int
}

// Options say what a run consists of.
type Options struct {
	Seed     uint64
	Devices  int           // to begin with; as many again may join
	Interval time.Duration // between polls, as the servers ask for
	Watchers []Watcher     // beside those of this package
	Until    time.Time     // no act begins after it; zero: they all do
	// Open is handed the way to the servers for devices that are not simulated, and returns what sends them away; nil:
	// there are none.
	Open func(door http.Handler) (leave func(), err error)
	Tell func(Act) // is told of each act before it happens; nil: nobody
	// Excused is a pattern of failures that are passed over, to look for others behind one that is known.
	Excused *regexp.Regexp
}

// hearing is how long it may take until a device that waits is told of a change.
const hearing = 5 * time.Second

// Figures are what a run came to.
type Figures struct {
	Acts, Looks, Compared, Polls, Offers, Registrations, Events int
}

// A Failure is what contradicts the truth: after which act, who says so, and what.
type Failure struct {
	Act  int
	Who  string
	What string
}

func (f *Failure) Error() string { return fmt.Sprintf("after act %d: %s: %s", f.Act, f.Who, f.What) }

// A harness is a run.
//
// It has many fields and methods because one lock guards the whole run: a comparison needs servers, devices and model at one
// moment, and each kind of act is a method.
type harness struct {
	world    World
	options  Options
	keys     []crypto.Signer
	public   []string
	watchers []Watcher
	ctx      context.Context
	running  sync.WaitGroup

	mu      sync.Mutex // guards all that follows, and devices and the model
	model   *model
	saved   *model // of the last backup
	saving  *model // of the backup that is being made
	highest int64  // the highest revision ever seen
	gone    string // the layer of a device that is being deleted
	era     int    // how often the servers went back to a backup
	devices []*device
	act     int
	failure *Failure
	figures Figures
}

// Run does the acts one after the other, and stops at the first thing that is not so. The error is a *Failure, or the
// world's trouble.
func Run(ctx context.Context, world World, options Options, acts []Act) (Figures, error) {
	ctx, cancel := context.WithCancel(ctx)
	h := &harness{world: world, options: options, model: newModel(), ctx: ctx}
	defer h.running.Wait()
	defer cancel()
	var err error
	if h.keys, h.public, err = fleetsim.Keys(2*options.Devices, options.Seed%4); err != nil {
		return h.counted(), err
	}
	for i := range world.Servers() {
		if err := world.Start(i); err != nil {
			return h.counted(), err
		}
	}
	h.watch()
	for range options.Devices {
		if err := h.join(false); err != nil {
			return h.counted(), err
		}
	}
	if options.Open != nil {
		leave, err := options.Open(door{h})
		if err != nil {
			return h.counted(), err
		}
		defer leave()
	}
	for i, act := range acts {
		if !options.Until.IsZero() && time.Now().After(options.Until) {
			break
		}
		if options.Tell != nil {
			options.Tell(act)
		}
		h.mu.Lock()
		h.act = i
		h.figures.Acts++
		h.mu.Unlock()
		if err := errors.Join(h.admit(), h.do(act)); err != nil {
			return h.counted(), fmt.Errorf("act %d (%s): %w", i, text(act), err)
		}
		if act.Pause > 0 {
			world.Sleep(options.Interval * time.Duration(act.Pause) / 100)
			continue
		}
		world.Sleep(hearing)
		err := h.told()
		if err == nil {
			world.Sleep(max(0, 2*options.Interval+options.Interval/2-hearing))
			err = h.look()
		}
		if err != nil {
			return h.counted(), err
		}
	}
	for _, watcher := range h.watchers {
		watcher.Close()
	}
	return h.counted(), nil
}

// counted returns the figures so far: devices go on while they are read.
func (h *harness) counted() Figures {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.figures
}

// complain notes the first thing that is not as it should be. The lock is held.
func (h *harness) complain(who, what string, values ...any) {
	if text := fmt.Sprintf(what, values...); h.failure == nil && !h.excused(text) {
		h.failure = &Failure{Act: h.act, Who: who, What: text}
	}
}

func (h *harness) excused(text string) bool {
	return h.options.Excused != nil && h.options.Excused.MatchString(text)
}

// join brings another device, which with fresh registers and asks nothing.
func (h *harness) join(fresh bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.devices)
	if n == len(h.keys) {
		return nil
	}
	d, err := h.newDevice(n, h.keys[n], h.public[n])
	if err != nil {
		return err
	}
	d.fresh = fresh
	d.due = time.Now().Add(time.Duration(d.random.Int64N(int64(h.options.Interval/2 + 1))))
	h.devices = append(h.devices, d)
	h.running.Go(func() { d.run(h.ctx) })
	return nil
}
