package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/server/metrics"

	"github.com/google/uuid"
)

// A store answers one call, with an error.
type store struct {
	fleet.Store
	err error
}

func (s store) Device(context.Context, uuid.UUID) (fleet.Device, error) { return fleet.Device{}, s.err }

type counted struct{ err error }

func (c counted) Waiting() int { return 7 }

func (c counted) Summary(context.Context) (fleet.Summary, error) {
	return fleet.Summary{Devices: 3, States: map[fleet.State]int{fleet.StateInSync: 2, fleet.StateRefused: 1}, Silent: 1, Cloned: 2, Revision: 12}, c.err
}

func (c counted) Releases(context.Context, int64, int) ([]fleet.Release, error) {
	return []fleet.Release{{Progress: release.Progress{Phase: release.Halted, Since: time.Unix(1732480000, 0)}}}, c.err
}

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("%d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func TestMetrics(t *testing.T) {
	m := metrics.New(nil)
	m.Watch(counted{})
	m.Request(http.MethodPost, "/poll/", 204, 3*time.Millisecond)
	m.Request("BREW", "", 405, time.Millisecond)
	refusals := []error{fleet.ErrUnknownDevice, fleet.ErrRevoked, &fleet.ReleaseError{Text: "release 1 is active"}, &fleet.ScopeError{}, context.Canceled}
	for _, err := range append(refusals, nil, errors.New("disk on fire")) {
		if _, got := m.Store(store{err: err}).Device(t.Context(), uuid.Nil); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	text := scrape(t, m)
	for _, want := range []string{
		`aspects_poc_request_duration_seconds_bucket{method="POST",route="/poll/",status="204",le="0.0025"} 0`,
		`aspects_poc_request_duration_seconds_bucket{method="POST",route="/poll/",status="204",le="0.005"} 1`,
		`aspects_poc_request_duration_seconds_count{method="other",route="none",status="405"} 1`,
		`aspects_poc_store_duration_seconds_count{call="device"} 7`,
		`aspects_poc_store_failures_total{call="device"} 1`,
		`aspects_poc_devices{state="in-sync"} 2`,
		`aspects_poc_devices{state="refused"} 1`,
		"aspects_poc_devices_silent 1",
		"aspects_poc_devices_cloned 2",
		`aspects_poc_release_since_seconds{phase="halted"} 1732480000`,
		"aspects_poc_polls_waiting 7",
		"aspects_poc_target_revision 12",
		"go_goroutines ",
		"process_resident_memory_bytes ",
		"process_open_fds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Devices that cannot be counted are not there, rather than none.
func TestDevicesThatCannotBeCounted(t *testing.T) {
	m := metrics.New(nil)
	m.Watch(counted{errors.New("the database is gone")})
	text := scrape(t, m)
	if strings.Contains(text, "aspects_poc_devices") || !strings.Contains(text, "aspects_poc_polls_waiting 7") {
		t.Error(text)
	}
}

// A held fleet counts its devices when it may.
type held struct {
	counted
	begun, may chan struct{}
}

func (h held) Summary(ctx context.Context) (fleet.Summary, error) {
	h.begun <- struct{}{}
	<-h.may
	return h.counted.Summary(ctx)
}

// Four scrapes at a time are answered, and the next is told to come later.
func TestScrapesAtATime(t *testing.T) {
	m := metrics.New(nil)
	h := held{begun: make(chan struct{}), may: make(chan struct{})}
	m.Watch(h)
	codes := make(chan int, 4)
	get := func() int {
		answer := httptest.NewRecorder()
		m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		return answer.Code
	}
	for range 4 {
		go func() { codes <- get() }()
		<-h.begun
	}
	if code := get(); code != http.StatusServiceUnavailable {
		t.Errorf("the fifth: %d", code)
	}
	close(h.may)
	for range 4 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one of the four: %d", code)
		}
	}
	go func() { codes <- get() }()
	<-h.begun
	if code := <-codes; code != http.StatusOK {
		t.Errorf("the next: %d", code)
	}
}
