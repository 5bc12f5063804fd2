package registrytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
	"aspects-poc/registry/registrytest"
	"aspects-poc/registry/registrytest/testschema"
)

func memory(t *testing.T) *embedded.Backend {
	t.Helper()
	b, err := embedded.OpenMemory(t.Context(), embedded.Options{Documents: []json.RawMessage{testschema.Document()}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A faulty backend is the embedded one with one promise broken.
type faulty struct {
	*embedded.Backend
	get    func(ctx context.Context, view backend.ViewID, requests []string, o backend.GetOptions) (map[string]any, error)
	set    func(ctx context.Context, view backend.ViewID, values map[string]any) error
	update func(ctx context.Context, view backend.ViewID, requests []string, change changeFunc) error
	watch  func(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error)
	close  func() error
}

type changeFunc = func(map[string]any) (map[string]any, error)

func (f *faulty) Get(
	ctx context.Context, view backend.ViewID, requests []string, o backend.GetOptions,
) (map[string]any, error) {
	if f.get != nil {
		return f.get(ctx, view, requests, o)
	}
	return f.Backend.Get(ctx, view, requests, o)
}

func (f *faulty) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	if f.set != nil {
		return f.set(ctx, view, values)
	}
	return f.Backend.Set(ctx, view, values)
}

func (f *faulty) Update(ctx context.Context, view backend.ViewID, requests []string, change changeFunc) error {
	if f.update != nil {
		return f.update(ctx, view, requests, change)
	}
	return f.Backend.Update(ctx, view, requests, change)
}

func (f *faulty) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	if f.watch != nil {
		return f.watch(ctx, view)
	}
	return f.Backend.Watch(ctx, view)
}

func (f *faulty) Close() error {
	if f.close != nil {
		return f.close()
	}
	return f.Backend.Close()
}

// The case that states a promise must fail for a backend that breaks it.
func TestSuiteNoticesBrokenPromises(t *testing.T) {
	tests := []struct {
		promise  string
		sabotage func(f *faulty)
		noticing string
	}{
		{"no data is an error", func(f *faulty) {
			f.get = func(ctx context.Context, v backend.ViewID, r []string, o backend.GetOptions) (map[string]any, error) {
				values, err := f.Backend.Get(ctx, v, r, o)
				if errors.Is(err, backend.ErrNoData) {
					return map[string]any{}, nil
				}
				return values, err
			}
		}, "read/no data"},
		{"numbers are json.Number", func(f *faulty) {
			f.get = func(ctx context.Context, v backend.ViewID, r []string, o backend.GetOptions) (map[string]any, error) {
				values, err := f.Backend.Get(ctx, v, r, o)
				if number, ok := values["sample-rate"].(json.Number); ok {
					values["sample-rate"], _ = strconv.ParseFloat(string(number), 64)
				}
				return values, err
			}
		}, "read/one request"},
		{"an answer has what was asked for", func(f *faulty) {
			f.get = func(ctx context.Context, v backend.ViewID, _ []string, o backend.GetOptions) (map[string]any, error) {
				return f.Backend.Get(ctx, v, nil, o)
			}
		}, "read/one request"},
		{"values are copies", func(f *faulty) {
			var mu sync.Mutex
			kept := map[string]map[string]any{}
			f.get = func(ctx context.Context, v backend.ViewID, r []string, o backend.GetOptions) (map[string]any, error) {
				mu.Lock()
				defer mu.Unlock()
				if values, ok := kept[v.View]; ok && len(r) == 0 {
					return values, nil
				}
				values, err := f.Backend.Get(ctx, v, r, o)
				if err == nil && len(r) == 0 {
					kept[v.View] = values
				}
				return values, err
			}
		}, "read/values are copies"},
		{"constraints are obeyed", func(f *faulty) {
			f.get = func(ctx context.Context, v backend.ViewID, r []string, _ backend.GetOptions) (map[string]any, error) {
				return f.Backend.Get(ctx, v, r, backend.GetOptions{})
			}
		}, "read/constraints choose entries of a placeholder"},
		{"contexts are honoured", func(f *faulty) {
			f.get = func(ctx context.Context, v backend.ViewID, r []string, o backend.GetOptions) (map[string]any, error) {
				return f.Backend.Get(context.WithoutCancel(ctx), v, r, o)
			}
		}, "refuse/cancelled contexts"},
		{"a set is one transaction", func(f *faulty) {
			f.set = func(ctx context.Context, v backend.ViewID, values map[string]any) error {
				var failed error
				for key, value := range values {
					failed = errors.Join(failed, f.Backend.Set(ctx, v, map[string]any{key: value}))
				}
				return failed
			}
		}, "refuse/a violation among several values"},
		{"nil unsets", func(f *faulty) {
			f.set = func(ctx context.Context, v backend.ViewID, values map[string]any) error {
				kept := maps.Clone(values)
				maps.DeleteFunc(kept, func(_ string, value any) bool { return value == nil })
				if len(kept) == 0 {
					return nil
				}
				return f.Backend.Set(ctx, v, kept)
			}
		}, "unset/nil beside values"},
		{"kinds tell apart", func(f *faulty) {
			f.get = func(ctx context.Context, v backend.ViewID, r []string, o backend.GetOptions) (map[string]any, error) {
				values, err := f.Backend.Get(ctx, v, r, o)
				var refusal *backend.Error
				if errors.As(err, &refusal) && errors.Is(err, backend.ErrNoMatch) {
					refusal.Kind = backend.ErrNoData
				}
				return values, err
			}
		}, "refuse/requests without a rule"},
		{"a violation tells the path", func(f *faulty) {
			f.set = func(ctx context.Context, v backend.ViewID, values map[string]any) error {
				err := f.Backend.Set(ctx, v, values)
				var refusal *backend.Error
				if errors.As(err, &refusal) {
					refusal.Path = ""
				}
				return err
			}
		}, "refuse/violation: below the minimum"},
		{"no update is lost", func(f *faulty) {
			f.update = func(ctx context.Context, v backend.ViewID, r []string, change changeFunc) error {
				current, err := f.Get(ctx, v, r, backend.GetOptions{})
				if errors.Is(err, backend.ErrNoData) {
					current, err = map[string]any{}, nil
				}
				if err != nil {
					return err
				}
				values, err := change(current)
				if err != nil || len(values) == 0 {
					return err
				}
				return f.Backend.Set(ctx, v, values)
			}
			var mu sync.Mutex // two readers at a time, so that both see the same
			waiting := make(chan struct{})
			f.get = func(ctx context.Context, v backend.ViewID, r []string, o backend.GetOptions) (map[string]any, error) {
				values, err := f.Backend.Get(ctx, v, r, o)
				mu.Lock()
				mine := waiting
				select {
				case mine <- struct{}{}:
					mu.Unlock()
					return values, err
				default:
				}
				mu.Unlock()
				timer := time.NewTimer(2 * time.Millisecond)
				defer timer.Stop()
				select {
				case <-mine:
				case <-timer.C:
				}
				return values, err
			}
		}, "update/none is lost where that is promised"},
		{"changes are told", func(f *faulty) {
			f.watch = func(ctx context.Context, _ backend.ViewID) (<-chan backend.Event, error) {
				events := make(chan backend.Event)
				context.AfterFunc(ctx, func() { close(events) })
				return events, nil
			}
		}, "watch/own changes"},
		{"only changes are told", func(f *faulty) {
			f.watch = func(ctx context.Context, v backend.ViewID) (<-chan backend.Event, error) {
				below, err := f.Backend.Watch(ctx, v)
				if err != nil {
					return nil, err
				}
				events := make(chan backend.Event, 100)
				events <- backend.Event{View: v}
				go func() {
					defer close(events)
					for event := range below {
						events <- event
					}
				}()
				return events, nil
			}
		}, "watch/no event when refused"},
		{"close ends the watches", func(f *faulty) { f.close = func() error { return nil } },
			"watch/ends when the registry is closed"},
		{"a closed registry is of no use", func(f *faulty) { f.close = func() error { return nil } },
			"life/use after close fails"},
	}
	for _, test := range tests {
		t.Run(test.promise, func(t *testing.T) {
			open := func(t *testing.T) *registry.Registry {
				f := &faulty{Backend: memory(t)}
				test.sabotage(f)
				t.Cleanup(func() { _ = f.Backend.Close() })
				return registry.New(f, registry.ViewID{Account: testschema.AccountID, Schema: testschema.Name})
			}
			options := registrytest.Options{Timeout: 500 * time.Millisecond}
			if text := registrytest.Failure(t, open, options, test.noticing); text == "" {
				t.Errorf("%q did not notice it", test.noticing)
			}
		})
	}
}

func TestCasesAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range registrytest.Cases() {
		if seen[name] {
			t.Errorf("two cases are called %q", name)
		}
		seen[name] = true
	}
}
