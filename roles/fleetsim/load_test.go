package fleetsim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/fleetsim"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"
)

// fleetSize is how many devices the scenarios have: ASPECTS_BENCH_DEVICES, or 100,000.
func fleetSize(b *testing.B) int {
	text := os.Getenv("ASPECTS_BENCH_DEVICES")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 100 {
		b.Fatalf("ASPECTS_BENCH_DEVICES=%s: want a number from 100 on", text)
	}
	return n
}

// atOnce makes as many polls be due in the same moment.
func atOnce(config fleetsim.Config, polls int) fleetsim.Config {
	config.Rate = 1e7
	config.Duration = time.Duration(float64(polls) / config.Rate * float64(time.Second))
	return config
}

// BenchmarkFleet is a fleet's days, good and bad, on the same processors as its server. Each scenario is bounded, and
// talks to this machine only.
func BenchmarkFleet(b *testing.B) {
	b.Run("minute", minute)
	b.Run("highest", highest)
	b.Run("waiting", waiting)
	b.Run("outage", outage)
	b.Run("kill", killed)
	b.Run("crowded", crowded)
	b.Run("released", released)
	b.Run("looked", looked)
}

// minute: every device polls once in a minute.
func minute(b *testing.B) {
	for b.Loop() {
		under := serve(b, filepath.Join(b.TempDir(), "server.db"), "127.0.0.1:0")
		n := fleetSize(b)
		summary := simulate(b, fleetsim.Config{Server: under.url, Devices: n, Interval: time.Minute, Duration: time.Minute,
			Lines: 256, Seed: 1, Timeout: time.Minute})
		b.ReportMetric(float64(n)/summary.Registration*1000, "registrations/s")
		b.ReportMetric(summary.Rate, "polls/s")
		b.ReportMetric(summary.P50, "p50-ms")
		b.ReportMetric(summary.P99, "p99-ms")
		b.ReportMetric(under.memory(), "server-MiB")
		under.kill()
	}
}

// highest: as many polls as the server bears, signed (on a PostgreSQL too), unsigned and changed ones, beside a bare Echo
// handler that reads the body and answers 204.
func highest(b *testing.B) {
	const polls = 40_000
	config := fleetsim.Config{Devices: 1000, Lines: 64, Seed: 1, Timeout: time.Minute}
	var bare float64
	for _, test := range []struct {
		name   string
		change func(*fleetsim.Config)
	}{
		{"bare", func(c *fleetsim.Config) { c.Unsigned = true }},
		{"unsigned", func(c *fleetsim.Config) { c.Unsigned = true }},
		{"signed", func(*fleetsim.Config) {}},
		{"signed-PostgreSQL", func(*fleetsim.Config) {}},
		{"changed", func(c *fleetsim.Config) { c.Unsigned, c.Changed = true, true }},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				config := atOnce(config, polls)
				test.change(&config)
				flags := []string{"--allow-unsigned"}
				switch test.name {
				case "bare":
					config.Server = start(b, "ASPECTS_TEST_BARE=1").url
				case "signed-PostgreSQL": // where servers share their nonces
					cluster := postgrestest.Start(b, postgrestest.Options{Durable: true})
					flags = append(flags, "--database", cluster.URL(b))
					fallthrough
				default:
					config.Server = serve(b, filepath.Join(b.TempDir(), "server.db"), "127.0.0.1:0", flags...).url
				}
				summary := simulate(b, config)
				b.ReportMetric(summary.Rate, "polls/s")
				if test.name == "bare" {
					bare = summary.Rate
				} else if bare > 0 {
					b.ReportMetric(summary.Rate/bare, "of-bare")
				}
			}
		})
	}
}

// bare is a server that does as little as can be, in a process of its own as the real one.
func bare() error {
	app := echo.New()
	app.HideBanner, app.HidePort = true, true
	app.POST("/register/", func(c echo.Context) error {
		return c.JSON(http.StatusOK, serverapi.RegisterResponse{UUID: uuid.New(), Status: serverapi.Active})
	})
	app.POST("/poll/", func(c echo.Context) error {
		if _, err := io.Copy(io.Discard, c.Request().Body); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("Listening on http://%s, bare\n", listener.Addr())
	return (&http.Server{Handler: app}).Serve(listener)
}

// heldBudget is the most memory, in MiB, that a server with 10,000 held polls may have had: as long as they wait, while all
// are told of a change and wait again, and at the end.
const heldBudget = 250

// waiting: devices that wait are told of a change, wait again, and are answered when the server stops.
func waiting(b *testing.B) {
	for b.Loop() {
		n := min(fleetSize(b), 10_000)
		under := serve(b, filepath.Join(b.TempDir(), "server.db"), "127.0.0.1:0")
		ctx, leave := context.WithTimeout(b.Context(), 10*time.Minute)
		registered := make(chan struct{})
		var changed time.Time
		var operator sync.WaitGroup
		operator.Go(func() {
			defer leave()
			select {
			case <-registered:
			case <-ctx.Done():
				return
			}
			all := func(reports int) { // all wait, and have reported
				for ctx.Err() == nil && (under.waiting() < n || under.metric("store_duration_seconds_count{call=\"report\"}") < reports) {
					time.Sleep(100 * time.Millisecond)
				}
			}
			all(n)
			b.ReportMetric(under.status("VmRSS"), "held-MiB") // while all wait
			changed = time.Now()
			under.setTarget(5)
			all(2 * n)
			b.ReportMetric(time.Since(changed).Seconds(), "s-until-all-held-again")
			took, most := under.stop()
			b.ReportMetric(took.Seconds(), "s-to-stop")
			b.ReportMetric(most, "server-MiB")
			if most > heldBudget {
				b.Errorf("%d held polls took %.0f MiB of memory; the budget is %d", n, most, heldBudget)
			}
		})
		summary, err := fleetsim.Run(ctx, fleetsim.Config{Server: under.url, Devices: n, Wait: 5 * time.Minute, Duration: time.Hour,
			Lines: 64, Seed: 1, Timeout: time.Minute, Progress: func(phase string, done, of int) {
				if phase == "registered" && done == of {
					close(registered)
				}
			}})
		leave()
		operator.Wait()
		if err != nil {
			b.Fatal(err)
		}
		for text, times := range summary.Errors {
			if !strings.Contains(text, "connection refused") { // the server has stopped
				b.Errorf("%d polls failed: %s", times, text)
			}
		}
		if summary.Offers != n || summary.Polls != 2*n {
			b.Errorf("%d polls of %d devices were answered, %d with a change", summary.Polls, n, summary.Offers)
		}
		b.ReportMetric(summary.LastOffer.Sub(changed).Seconds(), "s-until-all-told")
	}
}

// outage: the server is killed and started again, and all devices poll at once on new connections.
func outage(b *testing.B) {
	for b.Loop() {
		n := fleetSize(b)
		state := filepath.Join(b.TempDir(), "server.db")
		under := serve(b, state, "127.0.0.1:0")
		config := fleetsim.Config{Server: under.url, Devices: n, Lines: 256, Seed: 1, Timeout: time.Minute}
		simulate(b, atOnce(config, n))
		address := under.url[len("http://"):]
		under.kill()
		begin := time.Now()
		again := serve(b, state, address)
		b.ReportMetric(time.Since(begin).Seconds(), "s-start")
		summary := simulate(b, atOnce(config, n)) // which registers them again first, as who has lost an answer
		b.ReportMetric(summary.Seconds, "s-until-all-polled")
		b.ReportMetric(float64(summary.Failed), "failed")
		again.kill()
	}
}

// killed: the server is killed under load; what it acknowledged is there when it is back.
func killed(b *testing.B) {
	for b.Loop() {
		n := min(fleetSize(b), 1000)
		state := filepath.Join(b.TempDir(), "server.db")
		under := serve(b, state, "127.0.0.1:0", "--allow-unsigned")
		var mu sync.Mutex // guards acknowledged
		acknowledged := map[uuid.UUID]int64{}
		under.setTarget(6)
		timer := time.AfterFunc(5*time.Second, func() { _ = under.process.Process.Kill() })
		summary, err := fleetsim.Run(b.Context(), fleetsim.Config{Server: under.url, Devices: n, Rate: 2000,
			Duration: 8 * time.Second, Lines: 64, Seed: 1, Changed: true, Unsigned: true, Timeout: 5 * time.Second,
			Acknowledged: func(device uuid.UUID, number int64) {
				mu.Lock()
				defer mu.Unlock()
				acknowledged[device] = number
			}})
		timer.Stop()
		if err != nil {
			b.Fatal(err)
		}
		under.kill()
		again := serve(b, state, "127.0.0.1:0", "--allow-unsigned")
		if got := again.devices(""); got != n {
			b.Errorf("%d devices were acknowledged, %d are there", n, got)
		}
		client, err := serverapi.NewClient(again.url, serverapi.Options{})
		if err != nil {
			b.Fatal(err)
		}
		target, err := client.Target(b.Context())
		if err != nil || fmt.Sprint(target) != "map[control-telemetry:map[sample-rate:6]]" {
			b.Errorf("the target is %v, %v", target, err)
		}
		lost := 0
		for device, number := range acknowledged {
			known, err := client.State(b.Context(), device)
			if err != nil || reported(known.Config) < number {
				lost++
			}
		}
		if lost > 0 {
			b.Errorf("of %d devices with acknowledged reports, %d lost theirs", len(acknowledged), lost)
		}
		b.ReportMetric(float64(summary.Polls), "acknowledged")
		b.ReportMetric(float64(lost), "lost")
		client.CloseIdleConnections()
		again.kill()
	}
}

// crowded: a server whose store has ten times as many devices, a million where nothing else is said, is started, and some
// of them, wherever they are in it, report something new with each poll, which is on disk when it is answered.
func crowded(b *testing.B) {
	for b.Loop() {
		state := filepath.Join(b.TempDir(), "server.db")
		all, active := 10*fleetSize(b), fleetSize(b)/5
		crowd(b, state, all)
		info, err := os.Stat(state)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/float64(all), "B/device")
		begin := time.Now()
		under := serve(b, state, "127.0.0.1:0", "--allow-unsigned")
		b.ReportMetric(time.Since(begin).Seconds(), "s-start")
		b.ReportMetric(under.memory(), "start-MiB")
		config := fleetsim.Config{Server: under.url, Devices: active, Lines: 64, Seed: 1, Timeout: time.Minute, Unsigned: true}
		simulate(b, atOnce(config, active)) // the first report is new of each of them
		config.Changed = true
		summary := simulate(b, atOnce(config, 3*active))
		b.ReportMetric(summary.Rate, "changed-polls/s")
		config.Changed = false
		summary = simulate(b, atOnce(config, 3*active))
		b.ReportMetric(summary.Rate, "unchanged-polls/s")
		begin = time.Now()
		if got := under.devices(""); got != all+active {
			b.Errorf("the server counts %d devices, it has %d", got, all+active)
		}
		b.ReportMetric(time.Since(begin).Seconds(), "s-to-count")
		b.ReportMetric(under.memory(), "server-MiB")
		under.kill()
	}
}

// crowd fills a store with devices that have reported.
func crowd(b *testing.B, state string, devices int) {
	b.Helper()
	store, err := sqlite.Open(b.Context(), state)
	if err != nil {
		b.Fatal(err)
	}
	config, err := fleet.ParseConfig([]byte(`{"control-telemetry":{"monitor-peers":true,"sample-rate":2},"control-tunnel":` +
		`{"interface":"eth0","peers":["192.168.21.3","192.168.151.225","192.168.21.7"]},"control-interfaces":{"config":{"eth0":` +
		`{"interface-type":"ethernet","ip-address":"172.16.0.3"}}}}`))
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var all errgroup.Group
	for range 256 { // who come together are committed together
		all.Go(func() error {
			for n := next.Add(1); n <= int64(devices); n = next.Add(1) {
				now := time.Now()
				device, err := store.Add(b.Context(), fleet.Device{ID: uuid.New(), Registered: now,
					Identity: fleet.Identity{PublicKeyRSA: fmt.Sprintf("%0450d", n)}, KeyID: fmt.Sprintf("%043d", n)}, 0)
				if err == nil {
					_, err = store.Report(b.Context(), device.ID, fleet.Report{Config: config, Sequence: 1, At: now,
						Verdict: fleet.Verdict{State: fleet.StateInSync}})
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := errors.Join(all.Wait(), store.Close()); err != nil {
		b.Fatal(err)
	}
}

// reported is the number that a device of Changed reports.
func reported(config serverapi.Config) int64 {
	text, err := json.Marshal(config)
	if err != nil {
		return math.MinInt64
	}
	var shape struct {
		Interfaces struct {
			Sent map[string]int64 `json:"packets-sent"`
		} `json:"observe-interfaces"`
	}
	if json.Unmarshal(text, &shape) != nil {
		return math.MinInt64
	}
	return shape.Interfaces.Sent["eth0"]
}
