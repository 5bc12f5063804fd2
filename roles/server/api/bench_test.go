package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/postgres"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// BenchmarkPoll measures polls over 64 connections, with the load on the same cores: of a bare Echo handler, which reads
// the body and answers 204; of devices that report what they reported before; and of devices that report something new,
// which is on disk when they are answered; the last two on the embedded store and on a PostgreSQL on the same cores, for
// which processor time is that of this process alone. "of-bare" is the share of the bare handler's polls in the same run, and
// "cpu-of-bare" the share of polls by processor time, client's part included, which other load on the machine does not
// falsify.
func BenchmarkPoll(b *testing.B) {
	var bare, bareCPU float64
	b.Run("bare", func(b *testing.B) {
		app := echo.New()
		app.POST("/poll/", func(c echo.Context) error {
			if _, err := io.Copy(io.Discard, c.Request().Body); err != nil {
				return err
			}
			return c.NoContent(http.StatusNoContent)
		})
		bare, bareCPU = polls(b, app, []string{exampleID}, func(int64) int64 { return 0 })
	})
	for _, kind := range []struct {
		name   string
		report func(int64) int64
	}{
		{"unchanged", func(int64) int64 { return 0 }},
		{"changed", func(n int64) int64 { return n }},
	} {
		for _, place := range []struct {
			name string
			open func(*testing.B) (fleet.Store, error)
		}{
			{"embedded", func(b *testing.B) (fleet.Store, error) {
				return sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "server.db"))
			}},
			{"PostgreSQL", func(b *testing.B) (fleet.Store, error) {
				cluster := postgrestest.Start(b, postgrestest.Options{Durable: true})
				return postgres.Open(b.Context(), cluster.URL(b), postgres.Options{})
			}},
		} {
			b.Run(kind.name+"/"+place.name, func(b *testing.B) {
				store, err := place.open(b)
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = store.Close() }() // a benchmark's own
				rate, cpu := pollsOn(b, store, kind.report)
				if bare > 0 {
					b.ReportMetric(rate/bare, "of-bare")
					b.ReportMetric(bareCPU/cpu, "cpu-of-bare")
				}
			})
		}
	}
}

// pollsOn runs polls of a thousand devices on a store.
func pollsOn(b *testing.B, store fleet.Store, report func(n int64) int64) (rate, cpu float64) {
	b.Helper()
	rules, err := fleet.Open(b.Context(), store, fleet.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rules.Close() }() // a benchmark's own
	ids := make([]string, 1000)
	for i := range ids {
		device, err := rules.Register(b.Context(), fleet.Identity{PublicKeyRSA: fmt.Sprintf("%0450d", i)}, nil, fleet.Active)
		if err != nil {
			b.Fatal(err)
		}
		ids[i] = device.ID.String()
	}
	app := api.New(rules, api.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	return polls(b, app, ids, report)
}

// polls runs b.N polls and returns how many that were a second, and the processor time of each in microseconds.
func polls(b *testing.B, app http.Handler, ids []string, report func(n int64) int64) (rate, cpu float64) {
	b.Helper()
	started := httptest.NewServer(app)
	defer started.Close()
	var count atomic.Int64
	b.SetParallelism(32) // times GOMAXPROCS, 2 where the figures in the documentation were taken
	before := processorTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		connection, err := net.Dial("tcp", started.Listener.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = connection.Close() }() // nothing is lost
		reader := bufio.NewReader(connection)
		for pb.Next() {
			n := count.Add(1)
			body := fmt.Sprintf(`{"uuid":"%s","config":{"control-telemetry":{"sample-rate":2,"monitor-peers":true},`+
				`"control-tunnel":{"interface":"eth0","peers":["192.168.21.3","192.168.151.225","192.168.21.7"]},`+
				`"observe-interfaces":{"packets-sent":{"eth0":%d,"wlan0":131}}}}`, ids[n%int64(len(ids))], report(n))
			_, err := fmt.Fprintf(connection, "POST /poll/ HTTP/1.1\r\nHost: fleet\r\nContent-Type: application/json\r\n"+
				"Content-Length: %d\r\n\r\n%s", len(body), body)
			if err != nil {
				b.Error(err)
				return
			}
			response, err := http.ReadResponse(reader, nil)
			if err != nil || response.StatusCode != http.StatusNoContent {
				b.Error(response, err)
				return
			}
		}
	})
	b.StopTimer()
	rate = float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "polls/s")
	cpu = float64((processorTime(b) - before).Microseconds()) / float64(b.N)
	b.ReportMetric(cpu, "cpu-µs")
	return rate, cpu
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkRequest measures what requests cost the server beside its connections, on the embedded store, in processor
// time: a thousand devices poll, are read, and each read is of another one than the read before; and devices register, 64
// at a time, each with a key of its own, which is on disk when they are answered. "of-poll" is how many times a poll that
// reports what the one before it did.
func BenchmarkRequest(b *testing.B) {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "server.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }() // a benchmark's own
	rules, err := fleet.Open(b.Context(), store, fleet.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rules.Close() }() // a benchmark's own
	app := api.New(rules, api.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ask := func(method, path, body string) []byte {
		request := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{}, ContentLength: int64(len(body)),
			Body: io.NopCloser(strings.NewReader(body)), RemoteAddr: "192.0.2.1:1234", Host: "fleet"}
		answer := &written{header: http.Header{}}
		app.ServeHTTP(answer, request)
		if answer.status != http.StatusOK && answer.status != http.StatusNoContent {
			b.Error(method, path, answer.status, string(answer.body))
		}
		return answer.body
	}
	var registered atomic.Int64
	register := func(int64) []byte {
		return ask("POST", "/register/", fmt.Sprintf(`{"ip-address":"192.0.2.1","public-key-rsa":"%0450d","arch":"amd64"}`, registered.Add(1)))
	}
	ids := make([]string, 1000)
	id := func(n int64) string { return ids[n%int64(len(ids))] }
	poll := func(n int64) []byte {
		return ask("POST", "/poll/", `{"uuid":"`+id(n)+`","config":{"control-telemetry":{"sample-rate":2,"monitor-peers":true},`+
			`"control-tunnel":{"interface":"eth0","peers":["192.168.21.3","192.168.151.225","192.168.21.7"]},`+
			`"observe-interfaces":{"packets-sent":{"eth0":137,"wlan0":131}}}}`)
	}
	each := func(do func(n int)) {
		var all sync.WaitGroup
		for n := range ids {
			all.Go(func() { do(n) })
		}
		all.Wait()
	}
	ask("PUT", "/target-config/", `{"config":{"control-telemetry":{"sample-rate":2,"monitor-peers":true}}}`)
	each(func(n int) {
		var device serverapi.RegisterResponse
		if err := json.Unmarshal(register(0), &device); err != nil {
			b.Error(err)
		}
		ids[n] = device.UUID.String()
	})
	for range 3 { // until all are known
		each(func(n int) { poll(int64(n)) })
	}
	polled := 0.0
	for _, kind := range []struct {
		name     string
		together int // times GOMAXPROCS
		ask      func(n int64) []byte
	}{
		{"poll", 1, poll},
		{"state", 1, func(n int64) []byte { return ask("GET", "/state/"+id(n)+"/", "") }},
		{"target-config", 1, func(int64) []byte { return ask("GET", "/target-config/", "") }},
		{"device-target", 1, func(n int64) []byte { return ask("GET", "/devices/"+id(n)+"/target/", "") }},
		{"register", 32, register},
	} {
		b.Run(kind.name, func(b *testing.B) {
			var count atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(kind.together)
			before := processorTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					kind.ask(count.Add(1))
				}
			})
			cpu := float64((processorTime(b) - before).Microseconds()) / float64(b.N)
			b.ReportMetric(cpu, "cpu-µs")
			if kind.name == "poll" {
				polled = cpu
			} else if polled > 0 {
				b.ReportMetric(cpu/polled, "of-poll")
			}
		})
	}
}

// A written is what a handler wrote.
type written struct {
	header http.Header
	status int
	body   []byte
}

func (a *written) Header() http.Header { return a.header }

func (a *written) Write(text []byte) (int, error) {
	a.body = append(a.body, text...)
	return len(text), nil
}

func (a *written) WriteHeader(status int) { a.status = status }

// BenchmarkInStep is the decision alone, with the parsing of the report.
func BenchmarkInStep(b *testing.B) {
	target, err := fleet.ParseConfig([]byte(`{"control-telemetry":{"sample-rate":2,"monitor-peers":true,"x":null}}`))
	if err != nil {
		b.Fatal(err)
	}
	demanded, err := target.Tree()
	if err != nil {
		b.Fatal(err)
	}
	report := []byte(`{"control-telemetry":{"sample-rate":2,"monitor-peers":true},"observe-interfaces":{"eth0":137}}`)
	for b.Loop() {
		config, err := fleet.ParseConfig(report)
		if err != nil {
			b.Fatal(err)
		}
		tree, err := config.Tree()
		if err != nil || !fleet.InStep(demanded, tree) {
			b.Fatal(err)
		}
	}
}
