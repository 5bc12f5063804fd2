// Package registrytest checks that a backend meets the contract of the registry, and helps to test programs that use the
// registry. Its main functions are Run and Counting. Run is the contract suite: each backend runs it in its own tests, against
// a real or an imitated snapd. Counting counts the operations of a program. The backends themselves have the tests of what
// only they do.
package registrytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/registrytest/testschema"
)

// Names that no confdb-schema of a test has. A backend that needs an entry for each view, such as a plug, has one for
// these too, so that the store refuses them and not the backend.
const (
	UnknownView   = "no-such-view"   // a view of testschema
	UnknownSchema = "no-such-schema" // with the view UnknownView
)

// Options are options of Run. The zero value runs all cases that need one Registry only.
type Options struct {
	// Again opens another Registry with the same data, as another process would. If it is nil, cases with two are
	// left out.
	Again func(t *testing.T, first *registry.Registry) *registry.Registry

	// Skip maps cases that this backend cannot meet to the reason. A name without a case, or a case that the backend
	// does meet, fails the suite.
	Skip map[string]string

	// Prepare writes the data at the start of a case: view -> request -> value. Nil means one Set for each view. Set
	// it if writes are expensive and there is a faster way.
	Prepare func(ctx context.Context, reg *registry.Registry, values registry.Changes) error

	// Dear reduces the repetitions in cases. Set it for backends whose writes take seconds, such as a snapd on an
	// emulated processor.
	Dear bool

	// Timeout is how long one case may take; 0 means a minute.
	Timeout time.Duration
}

// Run runs the contract suite. Each case calls open once, for a registry without data and with the views and defaults
// of package testschema; the suite closes it. The capabilities in Status decide which promises the suite checks.
func Run(t *testing.T, open func(t *testing.T) *registry.Registry, options ...Options) {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	cases := slices.Concat(readCases, writeCases, refusalCases, updateCases, applyCases, watchCases, lifeCases)
	known := map[string]bool{}
	for _, c := range cases {
		if known[c.name] {
			t.Errorf("internal error: two cases are called %q", c.name)
		}
		known[c.name] = true
	}
	for name := range o.Skip {
		if !known[name] {
			t.Errorf("no case is called %q: remove it from Skip", name)
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.twice && o.Again == nil {
				t.Skip("the backend's data cannot be opened twice")
			}
			reason, skip := o.Skip[c.name]
			if !skip {
				c.run(newSuite(t, t, open, o))
				return
			}
			met, text := try(t, o, open, c)
			if met {
				t.Errorf("listed as a case that the backend cannot meet (%s), but it does: remove it from Skip", reason)
			}
			t.Skipf("this backend cannot: %s (%s)", reason, text)
		})
	}
}

// Cases returns the names of all cases in the order in which they run.
func Cases() []string {
	var names []string
	for _, c := range slices.Concat(readCases, writeCases, refusalCases, updateCases, applyCases, watchCases, lifeCases) {
		names = append(names, c.name)
	}
	return names
}

type contractCase struct {
	name  string
	twice bool // needs Options.Again
	run   func(s *suite)
}

// A suite is the environment of a case.
type suite struct {
	testing.TB
	ctx   context.Context
	reg   *registry.Registry
	again func() *registry.Registry
	caps  registry.Capabilities
	dear  bool

	prepare func(ctx context.Context, reg *registry.Registry, values registry.Changes) error
}

func newSuite(t *testing.T, tb testing.TB, open func(t *testing.T) *registry.Registry, o Options) *suite {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), o.Timeout)
	t.Cleanup(cancel)
	reg := open(t)
	t.Cleanup(func() { _ = reg.Close() })
	status, err := reg.Status(ctx)
	if err != nil {
		tb.Fatalf("status: %v", err)
	}
	again := func() *registry.Registry {
		other := o.Again(t, reg)
		t.Cleanup(func() { _ = other.Close() })
		return other
	}
	prepare := o.Prepare
	if prepare == nil {
		prepare = viewByView
	}
	return &suite{TB: tb, ctx: ctx, reg: reg, again: again, caps: status.Capabilities, dear: o.Dear, prepare: prepare}
}

// few returns all, or the first n if the backend is Dear.
func few[T any](s *suite, n int, all ...T) []T {
	if s.dear {
		return all[:n]
	}
	return all
}

// times returns n, or dear if the backend is Dear.
func (s *suite) times(n, dear int) int {
	if s.dear {
		return dear
	}
	return n
}

func viewByView(ctx context.Context, reg *registry.Registry, values registry.Changes) error {
	for _, view := range slices.Sorted(maps.Keys(values)) {
		if err := reg.View(view).Set(ctx, values[view]); err != nil {
			return fmt.Errorf("through %s: %w", view, err)
		}
	}
	return nil
}

// try runs a case without failing the test. It returns whether the backend meets the case, and otherwise the
// failures.
func try(t *testing.T, o Options, open func(t *testing.T) *registry.Registry, c contractCase) (bool, string) {
	p := &probe{TB: t}
	done := make(chan struct{})
	go func() { // a case that fails may end its goroutine
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				p.Errorf("panic: %v", r)
			}
		}()
		c.run(newSuite(t, p, open, o))
	}()
	<-done
	failed, text := p.result()
	return !failed, text
}

// A probe records the failures of a case without failing the test.
type probe struct {
	testing.TB
	mu     sync.Mutex // guards what follows
	failed bool
	text   []string
}

func (p *probe) result() (bool, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed, strings.Join(p.text, "; ")
}

func (p *probe) record(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = true
	p.text = append(p.text, text)
}

func (p *probe) Error(args ...any)                 { p.record(fmt.Sprint(args...)) }
func (p *probe) Errorf(format string, args ...any) { p.record(fmt.Sprintf(format, args...)) }
func (p *probe) Fail()                             { p.record("failed") }
func (p *probe) FailNow()                          { p.record("failed"); runtime.Goexit() }
func (p *probe) Fatal(args ...any)                 { p.record(fmt.Sprint(args...)); runtime.Goexit() }
func (p *probe) Fatalf(format string, args ...any) {
	p.record(fmt.Sprintf(format, args...))
	runtime.Goexit()
}
func (p *probe) Skip(args ...any) { p.record(fmt.Sprint(args...)); runtime.Goexit() }
func (p *probe) Skipf(format string, args ...any) {
	p.record(fmt.Sprintf(format, args...))
	runtime.Goexit()
}
func (p *probe) SkipNow() { p.record("skipped"); runtime.Goexit() }

func (p *probe) Failed() bool {
	failed, _ := p.result()
	return failed
}

// view returns a view of the schema.
func (s *suite) view(name string) *registry.View { return s.reg.View(name) }

// set writes and expects success.
func (s *suite) set(view string, values any) {
	s.Helper()
	if err := s.view(view).Set(s.ctx, values); err != nil {
		s.Fatalf("set %v through %s: %v", values, view, err)
	}
}

// wantGet reads and compares. want has Go values as registry.Values takes them.
func (s *suite) wantGet(view string, want any, requests ...string) {
	s.Helper()
	s.wantGetFrom(s.reg, view, want, requests...)
}

func (s *suite) wantGetFrom(reg *registry.Registry, view string, want any, requests ...string) {
	s.Helper()
	got, err := reg.View(view).Get(s.ctx, requests...)
	if err != nil {
		s.Fatalf("get %q through %s: %v", requests, view, err)
	}
	s.same("get "+strings.Join(requests, " ")+" through "+view, want, got)
}

// wantNoData reads and expects ErrNoData.
func (s *suite) wantNoData(view string, requests ...string) {
	s.Helper()
	got, err := s.view(view).Get(s.ctx, requests...)
	s.wantKind(registry.ErrNoData, err, "get %q through %s, which gave %v", requests, view, got)
	if got != nil {
		s.Errorf("get %q through %s: values %v beside an error", requests, view, got)
	}
}

// wantKind checks that err is a *registry.Error with a text, of this kind and no other.
func (s *suite) wantKind(kind, err error, format string, args ...any) {
	s.Helper()
	what := fmt.Sprintf(format, args...)
	if !errors.Is(err, kind) {
		s.Fatalf("%s: error %v, want one of kind %q", what, err, kind)
	}
	var refusal *registry.Error
	if !errors.As(err, &refusal) {
		s.Fatalf("%s: error %v is no *registry.Error", what, err)
	}
	if err.Error() == "" {
		s.Errorf("%s: the error has no text", what)
	}
	for _, other := range registryKinds {
		if other != kind && errors.Is(err, other) {
			s.Errorf("%s: error %v is %q as well as %q", what, err, other, kind)
		}
	}
}

// fullName returns the full name of a view in another schema.
func fullName(schema, view string) string {
	return testschema.AccountID + "/" + schema + "/" + view
}
