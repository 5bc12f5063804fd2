package fleet_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/seal"

	"github.com/google/uuid"
)

func sealed(ring *seal.Ring) func(*fleet.Options) {
	return func(options *fleet.Options) {
		options.Schema = network.Document("")
		options.Keys = func(bool) (*seal.Ring, error) { return ring, nil }
	}
}

// in runs statements in the file of a world.
func (w *world) in(statements ...string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", w.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestMovedSecrets moves sealed values about in the file.
func TestMovedSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sealed(seal.Random()))
	a, b := w.device(nil), w.device(nil)
	w.set(fleet.DeviceLayer(a), "", `{"control-tunnel":{"secret-key":"of a"}}`)
	w.set(fleet.DeviceLayer(b), "", `{"control-tunnel":{"secret-key":"of b"}}`)
	w.in("UPDATE device_layers SET config = (SELECT config FROM device_layers WHERE device = 1)")
	if answer, err := w.Poll(t.Context(), a, fleet.Poll{}); err != nil || !strings.Contains(answer.Offer.Config.String(), "of a") {
		t.Errorf("what was not moved: %+v, %v", answer, err)
	}
	if answer, err := w.Poll(t.Context(), b, fleet.Poll{}); !errors.Is(err, seal.ErrForged) {
		t.Errorf("device b is offered the secret of device a: %+v, %v", answer.Offer, err)
	}
}

// TestReportsLikeSeals has devices report what looks as if the server had sealed it, before and after it seals.
func TestReportsLikeSeals(t *testing.T) {
	t.Parallel()
	const odd = `{"a":{"$sealed":"AAAA","digest":"x"},"control-tunnel":{"secret-key":{"$sealed":1},"$secret":"set","digest":"y","key":"z"}}`
	report := fleet.Poll{Report: true, Config: parse(t, odd), Attempted: fleet.Attempted{Outcome: fleet.Failed, Reason: "$sealed:AAAA"}}
	w := newWorld(t, func(options *fleet.Options) { options.Schema = nil })
	before := w.device(nil)
	w.takes(before, report)
	ring := seal.Random()
	options := fleet.Options{}
	sealed(ring)(&options)
	again, err := fleet.Open(t.Context(), w.store, options)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	w.Fleet = again
	after := w.device(nil)
	w.takes(after, report)
	opened, err := fleet.Open(t.Context(), w.store, options)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	w.Fleet = opened
	w.takes(before, report)
	w.takes(after, report)
	list, _, err := opened.Devices(t.Context(), fleet.Filter{}, "", 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%d devices, %v", len(list), err)
	}
	for _, id := range []uuid.UUID{before, after} {
		view, err := opened.Device(t.Context(), id)
		if err != nil || !strings.HasPrefix(view.Report.Config.String(), `{"a":{"$sealed":"AAAA","digest":"x"},"control-tunnel":{`) {
			t.Errorf("%s, %v", view.Report.Config, err)
		}
	}
}

func (w *world) takes(id uuid.UUID, report fleet.Poll) {
	w.t.Helper()
	if _, err := w.Poll(w.t.Context(), id, report); err != nil {
		w.t.Fatal(err)
	}
}
