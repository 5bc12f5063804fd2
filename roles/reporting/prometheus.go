package reporting

import (
	"bytes"
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

	"aspects-poc/roles/internal/exposition"
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
	deviceInfo = exposition.Family{Name: "aspects_device_info", Kind: exposition.Gauge,
		Help: "The device, by the UUID that it is registered under.", Labels: []string{"uuid"}}
	received = exposition.Family{Name: "aspects_interface_received_packets_total", Kind: exposition.Counter,
		Help: "Packets that an interface has received, as control counts them.", Labels: []string{"interface"}}
	sent = exposition.Family{Name: "aspects_interface_sent_packets_total", Kind: exposition.Counter,
		Help: "Packets that an interface has sent, as control counts them.", Labels: []string{"interface"}}
	reportMissing = exposition.Family{Name: "aspects_report_missing", Kind: exposition.Gauge,
		Help: "1 for each figure that control-telemetry asks for and that is not there.", Labels: []string{"figure"}}
	reportTime = exposition.Family{Name: "aspects_report_timestamp_seconds", Kind: exposition.Gauge,
		Help: "When the figures were read, in seconds since 1970."}
	peers = exposition.Family{Name: "aspects_tunnel_peers", Kind: exposition.Gauge, Help: "Peers of the tunnel."}
)

// serve answers GET /metrics.
func (o *outlet) serve(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	if report := o.last.Load(); report != nil {
		report.page(&page)
	}
	w.Header().Set("Content-Type", exposition.ContentType)
	_, _ = w.Write(page.Bytes()) // the client may be gone
}

// page writes the report as metrics.
func (r *Report) page(page *bytes.Buffer) {
	if r.DeviceID != "" {
		deviceInfo.Write(page, labelled(r.DeviceID, 1))
	}
	received.Write(page, counters(r.PacketsReceived)...)
	sent.Write(page, counters(r.PacketsSent)...)
	var missing []exposition.Sample
	noPeers := false
	for _, figure := range r.Missing {
		if figure == "tunnel-peers" {
			noPeers = true // no peers are 0 peers
			continue
		}
		missing = append(missing, labelled(figure, 1))
	}
	reportMissing.Write(page, missing...)
	reportTime.Write(page, exposition.Sample{Value: exposition.Number(float64(r.Time.UnixMilli()) / 1000)})
	if r.TunnelPeers != nil || noPeers {
		peers.Write(page, exposition.Sample{Value: exposition.Count(len(r.TunnelPeers))})
	}
}

func labelled(label string, count uint64) exposition.Sample {
	return exposition.Sample{Labels: []string{label}, Value: exposition.Count(count)}
}

// counters returns a sample for each interface.
func counters(byInterface map[string]uint64) []exposition.Sample {
	var samples []exposition.Sample
	for name, count := range byInterface {
		samples = append(samples, labelled(name, count))
	}
	return samples
}
