package reporting_test

import (
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/network"
	"aspects-poc/roles/reporting"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

var offered = regexp.MustCompile(`url=(http://\S+/metrics)`)

// scraped starts the role and returns it with the address at which figures are.
func scraped(t *testing.T, store *rolestest.Store, words ...string) (*rolestest.Run, string) {
	t.Helper()
	words = append([]string{"reporting", "run", "--prometheus", "127.0.0.1:0"}, words...)
	run := store.Start(reporting.Role, rolestest.Options{}, words...)
	t.Cleanup(func() { run.Stop() })
	rolestest.Await(t, "an outlet", func() bool { return offered.MatchString(run.Err.String()) })
	return run, offered.FindStringSubmatch(run.Err.String())[1]
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	return string(body)
}

var (
	remarks = regexp.MustCompile(`(?m)^#.*\n`)
	moment  = regexp.MustCompile(`(?m)^(aspects_report_timestamp_seconds) .*$`)
)

func TestPrometheus(t *testing.T) {
	store := device(t)
	store.Set(network.ControlTelemetryView, map[string]any{"sample-rate": 600})
	run, url := scraped(t, store)
	text := scrape(t, url)
	got := moment.ReplaceAllString(remarks.ReplaceAllString(text, ""), "$1 …")
	want := `aspects_device_info{uuid="ca155b32-2472-4650-afb0-c6f967328afe"} 1
aspects_interface_sent_packets_total{interface="eth0"} 137
aspects_interface_sent_packets_total{interface="wlan0"} 141
aspects_report_timestamp_seconds …
aspects_tunnel_peers 3
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	// What is reported next is there next; what nobody asks for any more is gone.
	store.Set(network.ControlTunnelView, map[string]any{"peers": nil})
	store.Set(network.ControlInterfacesView, map[string]any{"stats": nil})
	store.Set(network.ControlTelemetryView, map[string]any{"monitor-packets-received": true, "monitor-packets-sent": nil})
	want = `aspects_device_info{uuid="ca155b32-2472-4650-afb0-c6f967328afe"} 1
aspects_report_missing{figure="packets-received"} 1
aspects_report_timestamp_seconds …
aspects_tunnel_peers 0
`
	rolestest.Await(t, "the next figures", func() bool {
		return moment.ReplaceAllString(remarks.ReplaceAllString(scrape(t, url), ""), "$1 …") == want
	})
	if code := run.Stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if response, err := http.Get(url); err == nil {
		_ = response.Body.Close()
		t.Error("it still listens")
	}
}

// TestPrometheusNames has Prometheus' own parser read names that the text format has to escape, and counts of 64 bits.
func TestPrometheusNames(t *testing.T) {
	names := []string{`quo"ted`, `back\\slash`, "two\nlines", `\n`, "é"}
	counts := map[string]uint64{}
	for i, name := range names {
		counts[name] = uint64(1)<<53 + uint64(i)*2
	}
	page := reporting.Page(&reporting.Report{PacketsSent: counts, TunnelPeers: []string{}, Time: time.UnixMilli(1719407517999)})
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatalf("%v in\n%s", err, page)
	}
	got := map[string]uint64{}
	for _, metric := range families["aspects_interface_sent_packets_total"].GetMetric() {
		got[metric.GetLabel()[0].GetValue()] = uint64(metric.GetCounter().GetValue())
	}
	if diff := cmp.Diff(counts, got); diff != "" || len(families) != 3 {
		t.Errorf("(-want +got)\n%s\n%s", diff, page)
	}
	if at := families["aspects_report_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue(); at != 1719407517.999 {
		t.Errorf("reported at %f", at)
	}
}

// TestPrometheusPortInUse: the role reports all the same, says so once, and offers the figures when it can.
func TestPrometheusPortInUse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store := device(t)
	store.Set(network.ControlTelemetryView, map[string]any{"sample-rate": 6000}) // ten a second
	run := store.Start(reporting.Role, rolestest.Options{}, "reporting", "run", "--prometheus", other.Addr().String())
	t.Cleanup(func() { run.Stop() })
	rolestest.Await(t, "three reports", func() bool { return strings.Count(run.Out.String(), "network stats") >= 3 })
	if told := strings.Count(run.Err.String(), "cannot serve the figures"); told != 1 {
		t.Errorf("told %d times: %s", told, run.Err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	rolestest.Await(t, "an outlet", func() bool { return offered.MatchString(run.Err.String()) })
	scrape(t, offered.FindStringSubmatch(run.Err.String())[1])
}

func TestPrometheusElsewhere(t *testing.T) {
	for address, want := range map[string]string{
		"0.0.0.0:9100":       `"0.0.0.0" is no loopback address`,
		":9100":              `"" is no loopback address`,
		"192.0.2.1:9100":     `"192.0.2.1" is no loopback address`,
		"fleet.example:9100": `"fleet.example" is no loopback address`,
		"[::]:9100":          `"::" is no loopback address`,
		"127.0.0.1":          "want HOST:PORT",
		"127.0.0.1:http":     `"http" is no port`,
		"127.0.0.1:99999":    `"99999" is no port`,
	} {
		run := device(t).Start(reporting.Role, rolestest.Options{}, "reporting", "run", "--prometheus", address)
		if code := run.Wait(); code != 2 || !strings.Contains(run.Err.String(), want) {
			t.Errorf("%s: exit status %d: %s", address, code, run.Err)
		}
	}
	for _, address := range []string{"localhost:0", "[::1]:0", "127.0.0.2:0"} {
		run := device(t).Start(reporting.Role, rolestest.Options{}, "reporting", "run", "--once", "--prometheus", address)
		if code := run.Wait(); code != 0 || strings.Contains(run.Err.String(), "Prometheus") {
			t.Errorf("%s: exit status %d: %s", address, code, run.Err)
		}
	}
}
