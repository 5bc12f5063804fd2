package calls_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/synctest"

	"aspects-poc/internal/calls"
	"aspects-poc/registry/backend"
)

var about = calls.About{Op: "get", View: backend.ViewID{Account: "acme", Schema: "lamp", View: "control"}, Requests: []string{"x"}}

// Close ends the contexts of calls and of goroutines that outlast them, and waits for both.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := calls.NewLife()
		ctx, call, err := life.Begin(t.Context(), about)
		if err != nil {
			t.Fatal(err)
		}
		watching, done := life.Watch(t.Context())
		went := false
		life.Go(func(ctx context.Context) { <-ctx.Done(); went = true })
		closed := false
		go func() { life.Close(); closed = true }()
		synctest.Wait()
		if ctx.Err() == nil || watching.Err() == nil || !went {
			t.Error("Close does not end what runs")
		}
		if _, _, err := life.Begin(t.Context(), about); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a call after Close: %v", err)
		}
		call.End()
		synctest.Wait()
		if closed {
			t.Error("Close does not wait for a watch")
		}
		done()
		synctest.Wait()
		if !closed {
			t.Error("Close does not end")
		}
		if life.Close() {
			t.Error("the second Close is the first")
		}
	})
}

func TestExplain(t *testing.T) {
	busy := &backend.Error{Kind: backend.ErrBusy, Reason: "busy: a.lock is held", Remedy: "fuser a.lock"}
	unknown := &backend.Error{Op: "set", Kind: backend.ErrUnknown, Err: context.Canceled}
	noData := &backend.Error{Kind: backend.ErrNoData}
	const prefix = `cannot get "x" through acme/lamp/control: `
	for _, c := range []struct {
		name          string
		cancel, close bool
		err           error
		kind          error
		text          string
	}{
		{"nothing", true, true, nil, nil, ""},
		{"an answer", false, false, noData, backend.ErrNoData, prefix + "no data"},
		{"an answer that came with the end", true, false, noData, backend.ErrNoData, prefix + "no data"},
		{"cancelled, deep down", true, false, fmt.Errorf("dial: %w", context.Canceled), backend.ErrInterrupted, prefix + "context canceled"},
		{"cancelled while others held it", true, false, withCause(busy), backend.ErrInterrupted,
			prefix + "context canceled: busy: a.lock is held (try: fuser a.lock)"},
		{"a write whose answer was lost", true, false, unknown, backend.ErrUnknown, "cannot set: outcome unknown: context canceled"},
		{"closed", false, true, context.Canceled, fs.ErrClosed, prefix + "the registry is closed"},
		{"a limit of our own", false, false, &backend.Error{Kind: backend.ErrUnreachable, Err: context.DeadlineExceeded},
			backend.ErrUnreachable, prefix + "unreachable: context deadline exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			life := calls.NewLife()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, call, err := life.Begin(ctx, about)
			if err != nil {
				t.Fatal(err)
			}
			if c.cancel {
				cancel()
			}
			ended := make(chan bool)
			if c.close {
				go func() { ended <- life.Close() }()
				<-life.Closed()
			}
			got := call.Explain(c.err)
			call.End()
			if c.close {
				<-ended
			}
			switch {
			case c.err == nil && got != nil, c.err != nil && !errors.Is(got, c.kind):
				t.Errorf("error %v, want %v", got, c.kind)
			case c.err != nil && got.Error() != c.text:
				t.Errorf("text %q\nwant %q", got, c.text)
			}
		})
	}
}

func withCause(e *backend.Error) error {
	copied := *e
	copied.Err = context.Canceled
	return &copied
}
