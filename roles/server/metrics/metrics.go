// Package metrics exports the fleet server's metrics to Prometheus: requests, devices by state, held polls, and
// durations of store calls. Metrics is the main type. Names begin with "aspects_poc_"; durations are in seconds.
package metrics

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"aspects-poc/roles/internal/exposition"
	"aspects-poc/roles/server/fleet"
)

const namespace = "aspects_poc_"

const (
	// summaryTimeout is the longest time for the count of devices in a scrape.
	summaryTimeout = 5 * time.Second
	mostScrapes    = 4 // at a time
)

// Metrics has the measurements of a server. It is safe for concurrent use.
type Metrics struct {
	requests *exposition.Histograms
	store    *exposition.Histograms
	failures *exposition.Counters
	fleet    Fleet // nil before Watch
	scrapes  chan struct{}
	begun    time.Time
	log      *slog.Logger
}

// New returns empty metrics. Errors of a scrape go to the log; nil means no log.
func New(log *slog.Logger) *Metrics {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Metrics{
		requests: exposition.NewHistograms(namespace+"request_duration_seconds",
			"Requests by route and status. Polls that wait for a change are not among them, nor are streams of events.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}, "method", "route", "status"),
		store: exposition.NewHistograms(namespace+"store_duration_seconds",
			"Calls of the store that go past its caches, by what was asked.",
			[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}, "call"),
		failures: exposition.NewCounters(namespace+"store_failures_total",
			"Calls of the store that failed for its own reasons, by what was asked.", "call"),
		scrapes: make(chan struct{}, mostScrapes),
		begun:   time.Now(),
		log:     log,
	}
}

// Request records an answered request. route is the pattern, such as "/devices/:uuid/"; "" means no route.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		method = "other" // callers must not be able to create series
	}
	if route == "" {
		route = "none"
	}
	m.requests.Observe(took.Seconds(), method, route, strconv.Itoa(status))
}

// A Fleet counts devices.
type Fleet interface {
	Summary(ctx context.Context) (fleet.Summary, error)
	Waiting() int
	Releases(ctx context.Context, below int64, limit int) ([]fleet.Release, error)
}

// Watch adds the counts of a fleet's devices. Call it once, before the first scrape.
func (m *Metrics) Watch(of Fleet) { m.fleet = of }

// Handler answers scrapes. It answers 503 while as many scrapes as it takes are under way.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case m.scrapes <- struct{}{}:
			defer func() { <-m.scrapes }()
		default:
			http.Error(w, "too many scrapes at a time; try again later", http.StatusServiceUnavailable)
			return
		}
		var text bytes.Buffer
		m.requests.Write(&text)
		m.store.Write(&text)
		m.failures.Write(&text)
		if m.fleet != nil {
			m.devices(context.WithoutCancel(r.Context()), &text)
		}
		writeProcess(&text, m.begun)
		w.Header().Set("Content-Type", exposition.ContentType)
		_, _ = w.Write(text.Bytes()) // the client may be gone
	})
}

func gauge(name, help string, labels ...string) exposition.Family {
	return exposition.Family{Name: namespace + name, Kind: exposition.Gauge, Help: help, Labels: labels}
}

var (
	devices = gauge("devices", "Devices by state.", "state")
	silent  = gauge("devices_silent", "Devices that were not seen for three poll intervals.")
	cloned  = gauge("devices_cloned", "Devices as which two machines report.")
	waiting = gauge("polls_waiting", "Polls that this server holds back.")
	since   = gauge("release_since_seconds", "When the last release reached its phase, in seconds since 1970.", "phase")
	target  = gauge("target_revision", "The revision of the last change of a target.")
)

// devices counts the devices for a scrape, and writes the counts. A series that cannot be counted is absent: a zero would
// be wrong.
func (m *Metrics) devices(ctx context.Context, text *bytes.Buffer) {
	ctx, cancel := context.WithTimeout(ctx, summaryTimeout)
	defer cancel()
	waiting.Write(text, exposition.Sample{Value: exposition.Count(m.fleet.Waiting())})
	summary, err := m.fleet.Summary(ctx)
	if err != nil {
		m.log.Error("devices cannot be counted for a scrape", "error", err)
		return
	}
	var states []exposition.Sample
	for state, count := range summary.States {
		states = append(states, exposition.Sample{Labels: []string{state.String()}, Value: exposition.Count(count)})
	}
	devices.Write(text, states...)
	silent.Write(text, exposition.Sample{Value: exposition.Count(summary.Silent)})
	cloned.Write(text, exposition.Sample{Value: exposition.Count(summary.Cloned)})
	target.Write(text, exposition.Sample{Value: exposition.Count(summary.Revision)})
	last, err := m.fleet.Releases(ctx, 0, 1)
	if err != nil {
		m.log.Error("releases cannot be read for a scrape", "error", err)
	}
	for _, release := range last {
		since.Write(text, exposition.Sample{Labels: []string{string(release.Progress.Phase)}, Value: exposition.Count(release.Progress.Since.Unix())})
	}
}
