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

func benchPlan(b *testing.B, devices int, own bool) {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "server.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }() // a benchmark's own
	rules, err := fleet.Open(b.Context(), store, fleet.Options{Schema: network.Document("")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rules.Close() }() // a benchmark's own
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
	server := httptest.NewServer(api.New(rules, api.Options{Log: slog.New(slog.DiscardHandler)}))
	defer server.Close()
	body := `{"changes":[{"layer":"everyone","config":{"control-telemetry":{"sample-rate":4}}},` +
		`{"layer":"labels/a","selector":"site=3","config":{"control-telemetry":{"monitor-peers":false}}},` +
		`{"layer":"labels/b","selector":"stage=1","priority":5,"config":{"control-telemetry":{"sample-rate":6}}}]}`
	begun := processorTime(b)
	for b.Loop() {
		response, err := http.Post(server.URL+"/targets/?dry-run", "application/json", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close() // it has been read
		if err != nil || !strings.Contains(string(answer), fmt.Sprintf(`"devices":%d,"refusing":0`, devices)) {
			b.Fatalf("%v %.300s", err, answer)
		}
	}
	b.ReportMetric((processorTime(b)-begun).Seconds()/float64(b.N), "processor-s/op") // when other programs keep the processors busy
}
