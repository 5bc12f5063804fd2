// Package metrics exports the fleet server's metrics to Prometheus: requests, devices by state, held polls, and
// durations of store calls. Metrics is the main type. Names begin with "aspects_poc_"; durations are in seconds.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "aspects_poc"

// summaryTimeout is the longest time for the count of devices in a scrape.
const summaryTimeout = 5 * time.Second

// Metrics has the measurements of a server. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	store    *prometheus.HistogramVec
	failures *prometheus.CounterVec
	log      *slog.Logger
}

// New returns empty metrics. Errors of a scrape go to the log; nil means no log.
func New(log *slog.Logger) *Metrics {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds",
			Help:    "Requests by route and status. Polls that wait for a change are not among them, nor are streams of events.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method", "route", "status"}),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "store_duration_seconds",
			Help:    "Calls of the store that go past its caches, by what was asked.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"call"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "store_failures_total",
			Help: "Calls of the store that failed for its own reasons, by what was asked.",
		}, []string{"call"}),
		log: log,
	}
	m.registry.MustRegister(m.requests, m.store, m.failures, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
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
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// A Fleet counts devices.
type Fleet interface {
	Summary(ctx context.Context) (fleet.Summary, error)
	Waiting() int
	Releases(ctx context.Context, below int64, limit int) ([]fleet.Release, error)
}

// Watch adds the counts of a fleet's devices. Call it once.
func (m *Metrics) Watch(of Fleet) { m.registry.MustRegister(&devices{fleet: of, log: m.log}) }

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: errorLog{m.log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
}

// errorLog logs the errors of scrapes. It ignores the error of a client that leaves during the answer, which promhttp
// reports once for each metric.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(words ...any) {
	for _, word := range words {
		if err, is := word.(error); is && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
			return
		}
	}
	l.log.Error(strings.TrimSuffix(fmt.Sprintln(words...), "\n"))
}

// devices is the collector that counts the devices at each scrape.
type devices struct {
	fleet Fleet
	log   *slog.Logger
}

var (
	devicesDesc = prometheus.NewDesc(namespace+"_devices", "Devices by state.", []string{"state"}, nil)
	silentDesc  = prometheus.NewDesc(namespace+"_devices_silent", "Devices that were not seen for three poll intervals.", nil, nil)
	clonedDesc  = prometheus.NewDesc(namespace+"_devices_cloned", "Devices as which two machines report.", nil, nil)
	waitingDesc = prometheus.NewDesc(namespace+"_polls_waiting", "Polls that this server holds back.", nil, nil)
	releaseDesc = prometheus.NewDesc(namespace+"_release_since_seconds", "When the last release reached its phase, in seconds since 1970.",
		[]string{"phase"}, nil)
	targetDesc = prometheus.NewDesc(namespace+"_target_revision", "The revision of the last change of a target.", nil, nil)
)

func (d *devices) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{devicesDesc, silentDesc, clonedDesc, waitingDesc, releaseDesc, targetDesc} {
		out <- desc
	}
}

func (d *devices) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(waitingDesc, int64(d.fleet.Waiting()))
	ctx, cancel := context.WithTimeout(context.Background(), summaryTimeout)
	defer cancel()
	summary, err := d.fleet.Summary(ctx)
	if err != nil {
		d.log.Error("devices cannot be counted for a scrape", "error", err)
		return // an absent series is right, and a zero would be wrong
	}
	for state, count := range summary.States {
		gauge(devicesDesc, int64(count), state.String())
	}
	gauge(silentDesc, int64(summary.Silent))
	gauge(clonedDesc, int64(summary.Cloned))
	gauge(targetDesc, summary.Revision)
	last, err := d.fleet.Releases(ctx, 0, 1)
	if err != nil {
		d.log.Error("releases cannot be read for a scrape", "error", err)
	}
	for _, release := range last {
		gauge(releaseDesc, release.Progress.Since.Unix(), string(release.Progress.Phase))
	}
}
