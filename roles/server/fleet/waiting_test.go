package fleet_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"aspects-poc/internal/program"
	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// waits has a device poll that does not report what it runs, and waits; the answer comes on the channel.
func (w *world) waits(ctx context.Context, id uuid.UUID, config string) <-chan string {
	w.t.Helper()
	before := w.Waiting()
	answered := w.waitsNow(ctx, id, config)
	for w.Waiting() == before && len(answered) == 0 {
		runtime.Gosched()
	}
	return answered
}

// waitsNow is waits, and returns before the poll is held.
func (w *world) waitsNow(ctx context.Context, id uuid.UUID, config string) <-chan string {
	w.t.Helper()
	poll := fleet.Poll{Config: parse(w.t, config), Wait: fleet.MaxWait}
	answered := make(chan string, 1)
	go func() {
		answer, err := w.Poll(ctx, id, poll)
		switch {
		case errors.Is(err, context.Canceled):
			answered <- "canceled"
		case err != nil:
			answered <- err.Error()
		case answer.Offer == nil:
			answered <- "nothing"
		default:
			answered <- answer.Offer.Config.String()
		}
	}()
	return answered
}

// TestNewerPoll has a device poll while its last poll is held: the last one ends.
func TestNewerPoll(t *testing.T) {
	w := newWorld(t)
	berlin, paris := w.device(fleet.Labels{"site": "berlin"}), w.device(fleet.Labels{"site": "paris"})
	inParis := w.waits(t.Context(), paris, `{}`)
	inBerlin := w.waits(t.Context(), berlin, `{}`)
	for range 3 {
		newer := w.waitsNow(t.Context(), berlin, `{}`)
		answered(t, inBerlin, "nothing")
		inBerlin = newer
	}
	if got := w.Waiting(); got != 2 {
		t.Errorf("%d polls are held", got)
	}
	held(t, inParis)
	w.set("labels/berlin", "site=berlin", `{"n":1}`)
	answered(t, inBerlin, `{"n":1}`)
	held(t, inParis)
}

// answered waits for an answer.
func answered(t *testing.T, got <-chan string, want string) {
	t.Helper()
	select {
	case text := <-got:
		if text != want {
			t.Errorf("answered %s, want %s", text, want)
		}
	case <-time.After(time.Minute):
		t.Fatal("not answered")
	}
}

// held tells that there is no answer yet, of a poll that has looked at what there was to see.
func held(t *testing.T, got <-chan string) {
	t.Helper()
	select {
	case text := <-got:
		t.Errorf("answered %s", text)
	default:
	}
}

func TestWaiting(t *testing.T) {
	w := newWorld(t)
	berlin, paris := w.device(fleet.Labels{"site": "berlin"}), w.device(fleet.Labels{"site": "paris"})

	inBerlin, inParis := w.waits(t.Context(), berlin, `{}`), w.waits(t.Context(), paris, `{}`)
	w.set("labels/berlin", "site=berlin", `{"n":1}`)
	answered(t, inBerlin, `{"n":1}`)
	held(t, inParis)
	w.set(fleet.DeviceLayer(paris), "", `{"n":2}`)
	answered(t, inParis, `{"n":2}`)

	inParis = w.waits(t.Context(), paris, `{"n":2}`)
	if _, err := w.SetLabels(t.Context(), paris, map[string]*string{"site": new("berlin")}, "ann", nil); err != nil {
		t.Fatal(err)
	}
	w.set("labels/berlin", "site=berlin", `{"n":1,"m":1}`)
	answered(t, inParis, `{"m":1,"n":2}`)

	answered(t, w.waits(t.Context(), berlin, `{}`), `{"m":1,"n":1}`) // at once
	inBerlin = w.waits(t.Context(), berlin, `{"m":1,"n":1}`)
	w.set(fleet.Everyone, "", `{"n":0}`) // makes no difference to what it is to have
	held(t, inBerlin)
	if _, err := w.SetStatus(t.Context(), berlin, fleet.Revoked, nil); err != nil {
		t.Fatal(err)
	}
	answered(t, inBerlin, fleet.ErrRevoked.Error())

	gone, leave := context.WithCancel(t.Context())
	inParis = w.waits(gone, paris, `{"m":1,"n":2}`)
	leave()
	answered(t, inParis, "canceled")

	inParis = w.waits(t.Context(), paris, `{"m":1,"n":2}`)
	w.Release()
	answered(t, inParis, "nothing")
	answered(t, w.waits(t.Context(), paris, `{"m":1,"n":2}`), "nothing") // from now on at once
	if n := w.Waiting(); n != 0 {
		t.Errorf("%d wait", n)
	}
}

// TestWaitsForNews has a device wait that has tried the target already: it is not told again but at the end.
func TestWaitsForNews(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	w.set(fleet.Everyone, "", `{"n":1}`)
	failed := fleet.Poll{Config: parse(t, `{}`), Report: true, Sequence: 1, Wait: time.Nanosecond,
		Attempted: fleet.Attempted{Revision: 1, Outcome: fleet.Failed}}
	answer, err := w.Poll(t.Context(), id, failed)
	if err != nil || answer.Offer == nil || !answer.Waits {
		t.Errorf("%+v %v", answer, err)
	}
	failed.Wait = fleet.MaxWait
	got := make(chan fleet.Answer, 1)
	go func() {
		answer, err := w.Poll(t.Context(), id, failed)
		if err != nil {
			t.Error(err)
		}
		got <- answer
	}()
	for w.Waiting() == 0 {
		runtime.Gosched()
	}
	w.set(fleet.Everyone, "", `{"n":2}`)
	if answer := <-got; answer.Offer == nil || answer.Offer.Revision != 2 {
		t.Errorf("%+v", answer)
	}
}

func TestTooManyWait(t *testing.T) {
	w := newWorld(t, func(o *fleet.Options) { o.MaxWaiting = 1 })
	first, second := w.device(nil), w.device(nil)
	waiting := w.waits(t.Context(), first, `{}`)
	answer, err := w.Poll(t.Context(), second, fleet.Poll{Wait: fleet.MaxWait})
	if err != nil || answer.Waits || answer.Offer != nil {
		t.Errorf("%+v %v", answer, err)
	}
	w.Release()
	answered(t, waiting, "nothing")
}

// TestCrowdWaits tells ten thousand devices, and leaves no goroutine behind.
func TestCrowdWaits(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	w := newWorld(t)
	crowd := 10_000
	if program.Raced {
		crowd = 2_000 // the detector makes each some fifteen times as slow, and finds with these what it finds with more
	}
	ids := make([]uuid.UUID, 0, crowd)
	var mu sync.Mutex // guards ids
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			for range crowd / 50 {
				identity := fleet.Identity{PublicKeyRSA: uuid.NewString()}
				device, err := w.Register(t.Context(), identity, nil, fleet.Active)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids = append(ids, device.ID)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	before := runtime.NumGoroutine()
	var told sync.WaitGroup
	empty := parse(t, `{}`)
	for _, id := range ids {
		told.Go(func() {
			answer, err := w.Poll(t.Context(), id, fleet.Poll{Config: empty, Wait: fleet.MaxWait})
			if err != nil || answer.Offer == nil {
				t.Error(answer, err)
			}
		})
	}
	for w.Waiting() < crowd {
		runtime.Gosched()
	}
	begin := time.Now()
	w.set(fleet.Everyone, "", `{"n":1}`)
	told.Wait()
	t.Logf("%d devices were told in %s", crowd, time.Since(begin))
	for runtime.NumGoroutine() > before+10 { // connections of the store come and go
		runtime.Gosched()
	}
}

// broken is a store that fails for a while.
type broken struct {
	fleet.Store
	mu  sync.Mutex // guards err
	err error
}

func (b *broken) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *broken) failing() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *broken) Targets(ctx context.Context) (fleet.Targets, error) {
	if err := b.failing(); err != nil {
		return fleet.Targets{}, err
	}
	return b.Store.Targets(ctx)
}

func (b *broken) Observe(ctx context.Context, list []fleet.Observation) error {
	if err := b.failing(); err != nil {
		return err
	}
	return b.Store.Observe(ctx, list)
}

// TestStoreComesBack has the store fail when the targets have changed, and when what was seen is to be written.
func TestStoreComesBack(t *testing.T) {
	w := newWorld(t)
	id := w.device(nil)
	store := &broken{Store: w.store}
	rules, err := fleet.Open(t.Context(), store, fleet.Options{Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	poll := fleet.Poll{Config: parse(t, `{}`)}
	if _, err := rules.Poll(t.Context(), id, poll); err != nil {
		t.Fatal(err)
	}
	trouble := errors.New("the disk is on fire")
	store.fail(trouble)
	if err := rules.Flush(t.Context()); !errors.Is(err, trouble) {
		t.Errorf("got %v", err)
	}
	w.set(fleet.Everyone, "", `{"n":1}`) // by another, as it were
	store.fail(nil)
	for {
		answer, err := rules.Poll(t.Context(), id, poll)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Offer != nil {
			break
		}
		runtime.Gosched()
	}
	if err := rules.Close(); err != nil { // writes what was seen
		t.Fatal(err)
	}
	device, err := w.store.Device(t.Context(), id)
	if err != nil || device.LastSeen.Unix() != w.clock.Now().Unix() {
		t.Errorf("seen %s, %v", device.LastSeen, err)
	}
}
