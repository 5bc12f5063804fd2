package reporting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// An outlet has the figures of the last report where Prometheus scrapes them: GET /metrics on a loopback address. A nil
// outlet is one that nobody asked for.
type outlet struct {
	address string
	log     *slog.Logger
	last    atomic.Pointer[Report]
	handler http.Handler

	server  *http.Server // nil while it cannot listen
	serving sync.WaitGroup
	told    bool // that it cannot listen
}

func newOutlet(address string, log *slog.Logger) *outlet {
	o := &outlet{address: address, log: log}
	figures := prometheus.NewRegistry()
	figures.MustRegister(collector{o})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(figures, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	o.handler = mux
	return o
}

// parseLoopback refuses what is no address on this machine's loopback: figures are for those who look at this device, on
// this device.
func parseLoopback(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("want HOST:PORT, such as 127.0.0.1:9100")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is no port", port)
	}
	if host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is no loopback address: want 127.0.0.1, [::1] or localhost", host)
	}
	return nil
}

// show makes a report the last one, and listens if that was not possible before: the role reports without as well.
func (o *outlet) show(ctx context.Context, report *Report) {
	if o == nil {
		return
	}
	o.last.Store(report)
	if o.server != nil {
		return
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.address)
	if err == nil {
		if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() { // localhost may be anything
			err = errors.Join(fmt.Errorf("%v is no loopback address", listener.Addr()), listener.Close())
		}
	}
	if err != nil {
		if !o.told && ctx.Err() == nil {
			o.told = true
			o.log.Warn("figures cannot be offered to Prometheus; trying again with each report", "error", err)
		}
		return
	}
	o.told = false
	o.log.Info("figures are offered to Prometheus", "url", "http://"+listener.Addr().String()+"/metrics")
	o.server = &http.Server{
		Handler: o.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelDebug),
	}
	server := o.server
	o.serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.log.Error("figures are not offered to Prometheus any more", "error", err)
		}
	})
}

// close ends the listener and the connections to it.
func (o *outlet) close() {
	if o == nil || o.server == nil {
		return
	}
	if err := o.server.Close(); err != nil {
		o.log.Warn("closing the listener for Prometheus failed", "error", err)
	}
	o.serving.Wait()
}

// A collector turns the last report into metrics. What nobody asked for, and what is missing, is not there, so that an
// old figure never passes for a new one.
type collector struct{ *outlet }

var (
	deviceInfo = prometheus.NewDesc("aspects_device_info", "The device, by the UUID that it is registered under.",
		[]string{"uuid"}, nil)
	packetsSent = prometheus.NewDesc("aspects_interface_sent_packets_total",
		"Packets that an interface has sent, as control counts them.", []string{"interface"}, nil)
	packetsReceived = prometheus.NewDesc("aspects_interface_received_packets_total",
		"Packets that an interface has received, as control counts them.", []string{"interface"}, nil)
	tunnelPeers = prometheus.NewDesc("aspects_tunnel_peers", "Peers of the tunnel.", nil, nil)
	reportTime  = prometheus.NewDesc("aspects_report_timestamp_seconds",
		"When the figures were read, in seconds since 1970.", nil, nil)
	reportMissing = prometheus.NewDesc("aspects_report_missing",
		"1 for each figure that control-telemetry asks for and that is not there.", []string{"figure"}, nil)
)

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{deviceInfo, packetsSent, packetsReceived, tunnelPeers, reportTime,
		reportMissing} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	report := c.last.Load()
	if report == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(reportTime, float64(report.Time.UnixMilli())/1000)
	if report.DeviceID != "" {
		gauge(deviceInfo, 1, report.DeviceID)
	}
	for desc, counts := range map[*prometheus.Desc]map[string]uint64{
		packetsSent: report.PacketsSent, packetsReceived: report.PacketsReceived,
	} {
		for name, count := range counts {
			to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(count), name)
		}
	}
	if report.TunnelPeers != nil {
		gauge(tunnelPeers, float64(len(report.TunnelPeers)))
	}
	for _, name := range report.Missing {
		if name == "tunnel-peers" {
			gauge(tunnelPeers, 0) // a tunnel without peers shows none
			continue
		}
		gauge(reportMissing, 1, name)
	}
}
