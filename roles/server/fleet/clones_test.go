package fleet_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// A machine is one of those that may speak as one device.
type machine struct {
	w        *world
	id       uuid.UUID
	instance string
	sequence int64
	signs    bool
}

// polls reports under its own sequence, at the world's time or as long ago as it was held up.
func (m *machine) polls(config string, heldUp time.Duration) {
	m.w.t.Helper()
	poll := fleet.Poll{Config: parse(m.w.t, config), Report: true, Sequence: m.sequence, Instance: m.instance}
	if m.signs {
		poll.Sent = m.w.clock.Now().Add(-heldUp).Truncate(time.Second)
	}
	m.w.clock.Pass(20 * time.Second)
	answer, err := m.w.Poll(m.w.t.Context(), m.id, poll)
	if err != nil {
		m.w.t.Fatal(err)
	}
	if answer.Later > 0 && heldUp == 0 && m.instance != "" { // as control does
		m.sequence = answer.Later + 1
		m.polls(config, 0)
	}
}

// cloned compares what is shown of the device, in its view, by filter and in the counts, and how often the log tells of it.
func (w *world) cloned(id uuid.UUID, want bool, log *bytes.Buffer, told int) {
	w.t.Helper()
	view, err := w.Fleet.Device(w.t.Context(), id)
	list, _, failed := w.Devices(w.t.Context(), fleet.Filter{Cloned: &want}, "", 10)
	counted, uncounted := w.CountNow(w.t.Context())
	if err != nil || failed != nil || uncounted != nil {
		w.t.Fatal(err, failed, uncounted)
	}
	if view.Cloned != want || len(list) != 1 || counted.Cloned == 1 != want {
		w.t.Errorf("cloned %t, %d listed, %d counted; want %t", view.Cloned, len(list), counted.Cloned, want)
	}
	if lines := strings.Count(log.String(), "two machines"); lines != told {
		w.t.Errorf("told %d times, not %d: %s", lines, told, log)
	}
}

func newClones(t *testing.T) (*world, *bytes.Buffer, uuid.UUID) {
	var log bytes.Buffer
	w := newWorld(t, func(options *fleet.Options) { options.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	return w, &log, w.device(nil)
}

func TestClones(t *testing.T) {
	for _, test := range []struct {
		name   string
		one    machine
		other  machine
		rounds int
	}{
		{"that name their instance, alike otherwise", machine{instance: "a", sequence: 5, signs: true}, machine{instance: "b", sequence: 5, signs: true}, 3},
		{"that part", machine{instance: "a", sequence: 5, signs: true}, machine{instance: "b", sequence: 900, signs: true}, 3},
		{"that do not sign", machine{instance: "a", sequence: 5}, machine{instance: "b", sequence: 5}, 4},
		{"of a client that names none", machine{sequence: 5, signs: true}, machine{sequence: 9, signs: true}, 3},
		{"of a client that names none and does not sign", machine{sequence: 5}, machine{sequence: 9}, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, log, id := newClones(t)
			one, other := test.one, test.other
			one.w, one.id, other.w, other.id = w, id, w, id
			for round := range test.rounds {
				one.polls(`{"a":1}`, 0)
				other.polls(fmt.Sprintf(`{"a":%d}`, round), 0)
			}
			w.cloned(id, true, log, 1)
			for range 5 {
				one.polls(`{"a":1}`, 0)
				other.polls(`{"a":2}`, 0)
			}
			w.cloned(id, true, log, 1)
			// One is switched off: it passes by itself.
			for range 33 {
				other.polls(`{"a":2}`, 0)
			}
			w.cloned(id, false, log, 1)
			w.Part(t.Context())
			w.Part(t.Context())
			w.told(log, "one machine reports as the device again", 1)
		})
	}
}

// told counts lines of the log.
func (w *world) told(log *bytes.Buffer, what string, want int) {
	w.t.Helper()
	if lines := strings.Count(log.String(), what); lines != want {
		w.t.Errorf("%q was told %d times, not %d: %s", what, lines, want, log)
	}
}

// TestClonesCleared has an operator say that one machine is gone: he is believed until two are noticed anew, also where
// another server has noticed them before and writes that later, and after a restart.
func TestClonesCleared(t *testing.T) {
	w, log, id := newClones(t)
	elsewhere := w.another()
	one := machine{w: w, id: id, instance: "a", sequence: 5, signs: true}
	other := machine{w: w, id: id, instance: "b", sequence: 5, signs: true}
	turns := func(one, other *machine, rounds int) {
		for range rounds {
			one.polls(`{"a":1}`, 0)
			other.polls(`{"a":2}`, 0)
		}
	}
	turns(&one, &other, 4)
	w.cloned(id, true, log, 1)
	there, beside := machine{w: elsewhere, id: id, instance: "a", sequence: 50, signs: true}, machine{w: elsewhere, id: id, instance: "b", sequence: 60, signs: true}
	turns(&there, &beside, 4)
	if err := w.SetAlone(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	w.cloned(id, false, log, 1)
	if err := elsewhere.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.cloned(id, false, log, 1)
	for _, server := range []*world{w, elsewhere, w} {
		server.Part(t.Context())
	}
	w.told(log, "an operator has said", 1)
	w.told(log, "one machine reports as the device again", 0)

	// He was wrong.
	w.Forget(id)
	turns(&one, &other, 4)
	w.cloned(id, true, log, 2)

	// A server that starts meanwhile tells of the end, too.
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var later bytes.Buffer
	restarted := *w
	var err error
	restarted.Fleet, err = fleet.Open(t.Context(), w.store, fleet.Options{Now: restarted.clock.Now,
		Log: slog.New(slog.NewTextHandler(&later, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := restarted.Close(); err != nil {
			t.Error(err)
		}
	}()
	other.w = &restarted
	for range 40 {
		other.polls(`{"a":2}`, 0)
	}
	restarted.Part(t.Context())
	restarted.told(&later, "one machine reports as the device again", 1)
	if err := w.SetAlone(t.Context(), uuid.New(), nil); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Error(err)
	}
}

// TestOneMachine has a single machine do what may look odd.
func TestOneMachine(t *testing.T) {
	for _, signs := range []bool{true, false} {
		for name, live := range map[string]func(m *machine){
			"it restarts all the time": func(m *machine) {
				for i := range 20 {
					m.instance = fmt.Sprint("boot ", i)
					m.sequence++
					m.polls(`{}`, 0)
					m.polls(`{}`, 0)
				}
			},
			"it is brought back from a backup, or reset": func(m *machine) {
				for i := range 6 {
					m.sequence += 10
					for range 20 {
						m.polls(`{}`, 0)
					}
					m.instance = fmt.Sprint("after ", i)
					m.sequence -= 7
					m.polls(`{}`, 0)
				}
			},
			"it comes back with an earlier sequence, and stays there": func(m *machine) {
				m.instance = ""
				m.polls(`{}`, 0)
				m.sequence -= 50
				for i := range 40 {
					m.polls(fmt.Sprintf(`{"a":%d}`, i%3), 0)
				}
			},
			"reports are held up around a restart": func(m *machine) {
				for i := range 5 {
					before := *m
					m.instance = fmt.Sprint("boot ", i)
					m.sequence++
					for range 2 {
						m.polls(`{}`, 0)
						before.polls(`{"late":1}`, 90*time.Second)
					}
					for range 10 {
						m.polls(`{}`, 0)
					}
				}
			},
			"reports are held up now and then": func(m *machine) {
				m.instance = ""
				for i := range 10 {
					before := *m
					m.sequence++
					m.polls(fmt.Sprintf(`{"a":%d}`, i), 0)
					before.polls(`{}`, 90*time.Second)
					for range 20 {
						m.polls(`{}`, 0)
					}
				}
			},
		} {
			t.Run(fmt.Sprintf("%s, signing %t", name, signs), func(t *testing.T) {
				w, log, id := newClones(t)
				live(&machine{w: w, id: id, instance: "first", sequence: 100, signs: signs})
				w.cloned(id, false, log, 0)
			})
		}
	}
}

// TestClonesAtTwoServers has each of two machines come to a server of its own.
func TestClonesAtTwoServers(t *testing.T) {
	w, log, id := newClones(t)
	one := machine{w: w, id: id, instance: "a", sequence: 5, signs: true}
	other := machine{w: w.another(), id: id, instance: "b", sequence: 5, signs: true}
	for range 5 {
		one.polls(`{"a":1}`, 0)
		other.polls(`{"a":2}`, 0)
		w.Forget(id) // as each hears of the other
		other.w.Forget(id)
	}
	w.cloned(id, true, log, 1)
}
