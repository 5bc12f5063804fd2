package api_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"

	"github.com/google/uuid"
)

// BenchmarkFleetPlan plans a change of everyone's layer and of two layers of labels, over HTTP. In "alike" devices report counters
// of their own, and configurations that some of them share; in "each its own" no two configurations are equal, so that the engine
// decides for each device.
func BenchmarkFleetPlan(b *testing.B) {
	for _, devices := range []int{10_000, 100_000} {
		for _, own := range []bool{false, true} {
			name := map[bool]string{false: "alike", true: "each its own"}[own]
			b.Run(fmt.Sprintf("%d devices, %s", devices, name), func(b *testing.B) { benchPlan(b, devices, own) })
		}
	}
}

// BenchmarkFleetPlanLayers plans thousands of layers at once, for 1,000 devices: of labels, each for a site of its own or for all sites,
// and of single devices.
func BenchmarkFleetPlanLayers(b *testing.B) {
	const layers, devices = 7000, 1000
	for _, kind := range []string{"each for a site", "each for all", "each for a device"} {
		b.Run(kind, func(b *testing.B) {
			rules := benchFleet(b)
			ids := benchDevices(b, rules, devices, false)
			var changes []string
			for n := range layers {
				change := fmt.Sprintf(`"layer":"labels/a%d","selector":"site=%d"`, n, n)
				switch kind {
				case "each for all":
					change = fmt.Sprintf(`"layer":"labels/a%d","selector":"site!=%d"`, n, n)
				case "each for a device":
					if n >= devices {
						continue
					}
					change = fmt.Sprintf(`"layer":"devices/%s"`, ids[n])
				}
				changes = append(changes, fmt.Sprintf(`{%s,"config":{"control-telemetry":{"sample-rate":%d}}}`, change, 3+n%50))
			}
			benchDryRun(b, rules, `{"changes":[`+strings.Join(changes, ",")+`]}`, `"refusing":0`)
		})
	}
}

func benchPlan(b *testing.B, devices int, own bool) {
	rules := benchFleet(b)
	benchDevices(b, rules, devices, own)
	body := `{"changes":[{"layer":"everyone","config":{"control-telemetry":{"sample-rate":4}}},` +
		`{"layer":"labels/a","selector":"site=3","config":{"control-telemetry":{"monitor-peers":false}}},` +
		`{"layer":"labels/b","selector":"stage=1","priority":5,"config":{"control-telemetry":{"sample-rate":6}}}]}`
	benchDryRun(b, rules, body, fmt.Sprintf(`"devices":%d,"refusing":0`, devices))
}

func benchFleet(b *testing.B) *fleet.Fleet {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "server.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() }) // a benchmark's own
	rules, err := fleet.Open(b.Context(), store, fleet.Options{Schema: network.Document("")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = rules.Close() }) // a benchmark's own
	return rules
}

func benchDevices(b *testing.B, rules *fleet.Fleet, devices int, own bool) []uuid.UUID {
	ids := make([]uuid.UUID, devices)
	var all sync.WaitGroup
	turns := make(chan struct{}, 512)
	for n := range devices {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			device, err := rules.Register(b.Context(), fleet.Identity{IPAddress: "192.0.2.1", Arch: "amd64", PublicKeyRSA: uuid.NewString()},
				fleet.Labels{"site": fmt.Sprint(n % 20), "stage": fmt.Sprint(n % 7)}, fleet.Active)
			if err != nil {
				b.Error(err)
				return
			}
			ids[n] = device.ID
			peer := n % 50
			if own {
				peer = n
			}
			config, err := fleet.ParseConfig(fmt.Appendf(nil, `{"control-telemetry":{"sample-rate":2,"monitor-peers":true},`+
				`"control-tunnel":{"peers":["10.%d.%d.%d"]},"observe-interfaces":{"packets-sent":{"eth0":%d}}}`, peer>>16, peer>>8&255, peer&255, n))
			if err == nil {
				_, err = rules.Poll(b.Context(), device.ID, fleet.Poll{Config: config, Report: true, Sequence: 1})
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	return ids
}

func benchDryRun(b *testing.B, rules *fleet.Fleet, body, want string) {
	server := httptest.NewServer(api.New(rules, api.Options{Log: slog.New(slog.DiscardHandler)}))
	defer server.Close()
	begun := processorTime(b)
	for b.Loop() {
		response, err := http.Post(server.URL+"/targets/?dry-run", "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close() // it has been read
		if err != nil || !strings.Contains(string(answer), want) {
			b.Fatalf("%v %.300s", err, answer)
		}
	}
	b.ReportMetric((processorTime(b)-begun).Seconds()/float64(b.N), "processor-s/op") // when other programs keep the processors busy
}
