package registrytest_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest"
)

// recorder is a backend that remembers one document, for tests of wrappers.
type recorder struct {
	mu     sync.Mutex // guards values
	values map[string]any
	err    error
}

func (r *recorder) Get(context.Context, backend.ViewID, []string, backend.GetOptions) (map[string]any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values, r.err
}

func (r *recorder) Set(_ context.Context, _ backend.ViewID, values map[string]any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values = values
	return r.err
}

func (r *recorder) Watch(context.Context, backend.ViewID) (<-chan backend.Event, error) {
	events := make(chan backend.Event)
	close(events)
	return events, r.err
}

func (r *recorder) Status(context.Context) (backend.Status, error) {
	return backend.Status{Backend: "recorder"}, r.err
}

func (r *recorder) Close() error { return r.err }

type updating struct{ *recorder }

func (u updating) Update(
	_ context.Context, _ backend.ViewID, _ []string, change func(map[string]any) (map[string]any, error),
) error {
	values, err := change(map[string]any{})
	if err == nil && len(values) > 0 {
		u.values = values
	}
	return err
}

type multi struct{ *recorder }

func (m multi) SetAll(_ context.Context, changes []backend.Change) error {
	for _, change := range changes {
		m.values = change.Values
	}
	return m.err
}

type everything struct {
	*recorder
	multiOf    multi
	updatingOf updating
}

func (e everything) SetAll(ctx context.Context, changes []backend.Change) error {
	return e.multiOf.SetAll(ctx, changes)
}

func (e everything) Update(
	ctx context.Context, view backend.ViewID, requests []string, change func(map[string]any) (map[string]any, error),
) error {
	return e.updatingOf.Update(ctx, view, requests, change)
}

func TestCountingForwardsAbilities(t *testing.T) {
	r := &recorder{}
	tests := []struct {
		name                  string
		below                 backend.Backend
		wantUpdate, wantMulti bool
	}{
		{"plain", r, false, false},
		{"updater", updating{r}, true, false},
		{"multi", multi{r}, false, true},
		{"both", everything{r, multi{r}, updating{r}}, true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := registrytest.Counting(test.below).Backend()
			if _, ok := b.(backend.Updater); ok != test.wantUpdate {
				t.Errorf("is an Updater: %v, want %v", ok, test.wantUpdate)
			}
			if _, ok := b.(backend.MultiSetter); ok != test.wantMulti {
				t.Errorf("is a MultiSetter: %v, want %v", ok, test.wantMulti)
			}
		})
	}
}

func TestCounting(t *testing.T) {
	ctx := context.Background()
	r := &recorder{}
	view := backend.ViewID{Account: "acc", Schema: "network", View: "control-tunnel"}
	counter := registrytest.Counting(everything{r, multi{r}, updating{r}})
	b := counter.Backend()

	if _, err := b.Get(ctx, view, []string{"peers", "interface"}, backend.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Set(ctx, view, map[string]any{"interface": "eth0"}); err != nil {
		t.Fatal(err)
	}
	nothing := func(map[string]any) (map[string]any, error) { return nil, nil }
	if err := b.(backend.Updater).Update(ctx, view, nil, nothing); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	refuse := func(map[string]any) (map[string]any, error) { return map[string]any{"x": 1}, refused }
	if err := b.(backend.Updater).Update(ctx, view, nil, refuse); !errors.Is(err, refused) {
		t.Fatalf("update = %v, want %v", err, refused)
	}
	something := func(map[string]any) (map[string]any, error) { return map[string]any{"interface": "wlan0"}, nil }
	if err := b.(backend.Updater).Update(ctx, view, []string{"interface"}, something); err != nil {
		t.Fatal(err)
	}
	other := backend.ViewID{Account: "acc", Schema: "network", View: "control-device"}
	changes := []backend.Change{
		{View: view, Values: map[string]any{"peers": nil}}, {View: other, Values: map[string]any{"id": "x"}},
	}
	if err := b.(backend.MultiSetter).SetAll(ctx, changes); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Watch(ctx, view); err != nil {
		t.Fatal(err)
	}
	if status, err := b.Status(ctx); err != nil || status.Backend != "recorder" {
		t.Fatalf("status = %v, %v: not that of the backend below", status, err)
	}

	want := registrytest.Counts{Get: 1, Set: 1, SetAll: 1, Update: 3, UpdateWrote: 1, Watch: 1, Status: 1}
	if diff := cmp.Diff(want, counter.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if got := counter.Counts(); got.Reads() != 4 || got.Writes() != 3 {
		t.Errorf("reads, writes = %d, %d; want 4, 3", got.Reads(), got.Writes())
	}
	first := registrytest.Operation{Op: "get", View: view, Requests: []string{"interface", "peers"}}
	if diff := cmp.Diff(first, counter.Operations()[0]); diff != "" {
		t.Errorf("first operation (-want +got):\n%s", diff)
	}
	several := counter.Operations()[5]
	if several.View.View != "" || several.View.Schema != "network" || !several.Wrote {
		t.Errorf("set-all noted as %+v", several)
	}
	counter.Reset()
	if diff := cmp.Diff(registrytest.Counts{}, counter.Counts()); diff != "" {
		t.Errorf("counts after Reset (-want +got):\n%s", diff)
	}
}

func TestCountingCountsFailures(t *testing.T) {
	failure := errors.New("away")
	counter := registrytest.Counting(&recorder{err: failure})
	b := counter.Backend()
	if _, err := b.Get(t.Context(), backend.ViewID{}, nil, backend.GetOptions{}); !errors.Is(err, failure) {
		t.Errorf("get = %v, want %v", err, failure)
	}
	if err := b.Set(t.Context(), backend.ViewID{}, map[string]any{"x": true}); !errors.Is(err, failure) {
		t.Errorf("set = %v, want %v", err, failure)
	}
	if err := b.Close(); !errors.Is(err, failure) {
		t.Errorf("close = %v, want %v", err, failure)
	}
	if got := counter.Counts(); got.Get != 1 || got.Set != 1 {
		t.Errorf("counts = %+v", got)
	}
	for _, operation := range counter.Operations() {
		if !errors.Is(operation.Err, failure) {
			t.Errorf("%s noted with %v, want %v", operation.Op, operation.Err, failure)
		}
	}
}
