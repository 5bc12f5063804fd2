package reporting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An outlet serves the figures of the last report to Prometheus: GET /metrics on a loopback address. Its methods
// accept a nil outlet, which serves nothing.
type outlet struct {
	address string
	log     *slog.Logger
	last    atomic.Pointer[Report]
	handler http.Handler

	server        *http.Server // nil while it cannot listen
	serving       sync.WaitGroup
	failureLogged bool // the log has the failure to listen
}

func newOutlet(address string, log *slog.Logger) *outlet {
	o := &outlet{address: address, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", o.serve)
	o.handler = mux
	return o
}

// parseLoopback returns an error unless the address is on the loopback interface: the figures are for this machine
// only.
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

// show makes a report the served one. It listens if it does not listen yet. A failure to listen does not stop the role.
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
		if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() { // localhost may resolve to any address
			err = errors.Join(fmt.Errorf("%v is no loopback address", listener.Addr()), listener.Close())
		}
	}
	if err != nil {
		if !o.failureLogged && ctx.Err() == nil {
			o.failureLogged = true
			o.log.Warn("cannot serve the figures to Prometheus; trying again with each report", "error", err)
		}
		return
	}
	o.failureLogged = false
	o.log.Info("the figures are served to Prometheus", "url", "http://"+listener.Addr().String()+"/metrics")
	o.server = &http.Server{
		Handler: o.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelDebug),
	}
	server := o.server
	o.serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.log.Error("the figures are no longer served to Prometheus", "error", err)
		}
	})
}

// close closes the listener and its connections.
func (o *outlet) close() {
	if o == nil || o.server == nil {
		return
	}
	if err := o.server.Close(); err != nil {
		o.log.Warn("closing the listener for Prometheus failed", "error", err)
	}
	o.serving.Wait()
}

// The metrics in the order of the page. The page leaves out figures that are not asked for or missing, so that it never
// shows an old figure as a new one.
var (
	deviceInfo = metric{"aspects_device_info", "gauge", "The device, by the UUID that it is registered under.", "uuid"}
	received   = metric{"aspects_interface_received_packets_total", "counter",
		"Packets that an interface has received, as control counts them.", "interface"}
	sent = metric{"aspects_interface_sent_packets_total", "counter",
		"Packets that an interface has sent, as control counts them.", "interface"}
	reportMissing = metric{"aspects_report_missing", "gauge",
		"1 for each figure that control-telemetry asks for and that is not there.", "figure"}
	reportTime = metric{"aspects_report_timestamp_seconds", "gauge", "When the figures were read, in seconds since 1970.", ""}
	peers      = metric{"aspects_tunnel_peers", "gauge", "Peers of the tunnel.", ""}
)

// serve answers GET /metrics in Prometheus' text format, version 0.0.4. Prometheus' client library would be a quarter
// of a device's binary.
func (o *outlet) serve(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	if report := o.last.Load(); report != nil {
		report.page(&page)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(page.Bytes()) // the client may be gone
}

// page writes the report as metrics.
func (r *Report) page(page *bytes.Buffer) {
	if r.DeviceID != "" {
		deviceInfo.write(page, map[string]string{r.DeviceID: "1"})
	}
	received.write(page, decimals(r.PacketsReceived))
	sent.write(page, decimals(r.PacketsSent))
	missing, noPeers := map[string]string{}, false
	for _, figure := range r.Missing {
		if figure == "tunnel-peers" {
			noPeers = true // no peers are 0 peers
			continue
		}
		missing[figure] = "1"
	}
	reportMissing.write(page, missing)
	reportTime.write(page, map[string]string{"": strconv.FormatFloat(float64(r.Time.UnixMilli())/1000, 'f', -1, 64)})
	if r.TunnelPeers != nil || noPeers {
		peers.write(page, map[string]string{"": strconv.Itoa(len(r.TunnelPeers))})
	}
}

func decimals(counts map[string]uint64) map[string]string {
	texts := map[string]string{}
	for name, count := range counts {
		texts[name] = strconv.FormatUint(count, 10)
	}
	return texts
}

// A metric has at most one label. label is its name, or "".
type metric struct{ name, kind, help, label string }

// escaped escapes a label's value for the text format.
var escaped = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// write writes the metric with its values, by the value of the label. It writes nothing if there are none.
func (m metric) write(page *bytes.Buffer, values map[string]string) {
	if len(values) == 0 {
		return
	}
	fmt.Fprintf(page, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
	for _, value := range slices.Sorted(maps.Keys(values)) {
		label := ""
		if m.label != "" {
			label = "{" + m.label + `="` + escaped.Replace(value) + `"}`
		}
		fmt.Fprintf(page, "%s%s %s\n", m.name, label, values[value])
	}
}
