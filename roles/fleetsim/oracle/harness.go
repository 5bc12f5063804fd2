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

// A World runs servers.
type World interface {
	// Servers returns the number of servers. All use one store.
	Servers() int
	URL(server int) string
	Transport() http.RoundTripper
	// Start starts a server and returns when it answers. Stop ends it in order. Kill ends it at once, and it loses its
	// memory.
	Start(server int) error
	Stop(server int) error
	Kill(server int) error
	// Backup copies the store. Restore replaces the store by the last copy; the servers must be stopped.
	Backup() error
	Restore() error
	// Sleep lets time pass. Settle waits until nothing runs, if the world can detect that.
	Sleep(time.Duration)
	Settle()
	// Looks is how often a comparison must fail, with pauses, before it counts. In a world in real time something may
	// change during one.
	Looks() int
}

// Options are options of a run.
type Options struct {
	Seed     uint64
	Devices  int           // at the beginning; as many again may join
	Interval time.Duration // between polls, as the servers ask
	Watchers []Watcher     // in addition to those of this package
	Until    time.Time     // no act begins after it; zero means no limit
	// Open, if not nil, gets a handler through which devices that are not simulated reach the servers. It returns a
	// function that ends those devices.
	Open func(door http.Handler) (leave func(), err error)
	Tell func(Act) // Tell, if not nil, is called with each act before it happens.
	// Excused matches failures to ignore, so that a known failure does not hide others.
	Excused *regexp.Regexp
}

// hearing is the longest time until a device with a held poll must hear of a change.
const hearing = 5 * time.Second

// Figures count the events of a run.
type Figures struct {
	Acts, Looks, Compared, Polls, Offers, Registrations, Events int
}

// A Failure is a contradiction between servers and devices: after which act, in which answer, and what differs.
type Failure struct {
	Act  int
	Who  string
	What string
}

func (f *Failure) Error() string { return fmt.Sprintf("after act %d: %s: %s", f.Act, f.Who, f.What) }

// A harness is one run.
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

	mu      sync.Mutex // guards all fields below, the devices and the model
	model   *model
	saved   *model // the model at the last backup
	saving  *model // the model at the backup that is being made
	highest int64  // the highest revision so far
	gone    string // the layer of a device that is being deleted
	era     int    // number of restores so far
	devices []*device
	act     int
	failure *Failure
	figures Figures
}

// Run performs the acts one after the other, and stops at the first contradiction. It returns a *Failure for a
// contradiction, and another error if the world fails.
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
		err := h.checkHeard()
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

// counted returns the figures so far. Devices may run meanwhile.
func (h *harness) counted() Figures {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.figures
}

// complain records the first contradiction. The caller holds the lock.
func (h *harness) complain(who, what string, values ...any) {
	if text := fmt.Sprintf(what, values...); h.failure == nil && !h.excused(text) {
		h.failure = &Failure{Act: h.act, Who: who, What: text}
	}
}

func (h *harness) excused(text string) bool {
	return h.options.Excused != nil && h.options.Excused.MatchString(text)
}

// join adds a device. A fresh one registers and never polls.
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
