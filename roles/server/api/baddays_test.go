package api_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/parking"

	"github.com/google/uuid"
)

// A badDay is a server on a network, with all timeouts as they are in production but shorter where a test has to see them
// end, and what it had in use before anybody came.
type badDay struct {
	rules      *fleet.Fleet
	address    string
	goroutines int
	heap       uint64
}

func newBadDay(t *testing.T, timeout time.Duration) *badDay {
	t.Helper()
	rules, err := fleet.Open(t.Context(), open(t), fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rules.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &badDay{rules: rules}
	server := httptest.NewUnstartedServer(nil)
	lot := parking.New(server.Listener)
	server.Listener, server.Config.Handler = lot, api.New(rules, api.Options{MaxBody: 1 << 20, Lot: lot, AtWork: 4})
	server.Config.ReadHeaderTimeout, server.Config.ReadTimeout = timeout, timeout
	server.Config.MaxHeaderBytes = 32 << 10
	server.Start()
	t.Cleanup(server.Close)
	d.address = server.Listener.Addr().String()
	for range 20 { // what is made once and kept, such as buffers and the store's connections
		d.ask(t, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	d.goroutines, d.heap = runtime.NumGoroutine(), heapInUse()
	return d
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what a first one has finalized
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// A little more than before is the runtime's, the store's and the test's own.
const (
	moreGoroutines = 10
	moreHeap       = 4 << 20
)

// recovers waits until everything that the server had taken on is gone.
func (d *badDay) recovers(t *testing.T) {
	t.Helper()
	for runtime.NumGoroutine() > d.goroutines+moreGoroutines || d.rules.Waiting() > 0 || heapInUse() > d.heap+moreHeap {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
		runtime.Gosched()
	}
}

func (d *badDay) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	connection, err := net.Dial("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	return connection.(*net.TCPConn)
}

// say sends text and nothing after it, not even silence, and returns the statuses of all answers.
func (d *badDay) say(t *testing.T, text string) (statuses []int) {
	t.Helper()
	return d.speak(t, text, true)
}

// ask sends a whole request and listens. Who ends its half of the connection before the answer has gone, for the server.
func (d *badDay) ask(t *testing.T, text string) (statuses []int) {
	t.Helper()
	return d.speak(t, strings.Replace(text, "Host: x\r\n", "Host: x\r\nConnection: close\r\n", 1), false)
}

func (d *badDay) speak(t *testing.T, text string, end bool) (statuses []int) {
	t.Helper()
	connection := d.dial(t)
	defer connection.Close() //nolint:errcheck // all was read
	// The server may answer, and hang up, before it has read all.
	_, _ = io.WriteString(connection, text)
	if end {
		_ = connection.CloseWrite()
	}
	reader := bufio.NewReader(connection)
	for {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		statuses = append(statuses, response.StatusCode)
	}
}

// TestVanishingPolls has devices leave while their polls are held back: nothing stays of them.
func TestVanishingPolls(t *testing.T) {
	d := newBadDay(t, time.Minute)
	const crowd = 100
	var bodies []string
	for i := range crowd { // the server holds one poll of each
		device, err := d.rules.Register(t.Context(), fleet.Identity{PublicKeyRSA: fmt.Sprint("PEM ", i)}, nil, fleet.Active)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, fmt.Sprintf(`{"uuid":"%s","config":{}}`, device.ID))
	}
	for round := range 3 {
		var gone []*net.TCPConn
		for _, body := range bodies {
			connection := d.dial(t)
			gone = append(gone, connection)
			_, err := fmt.Fprintf(connection, "POST /poll/ HTTP/1.1\r\nHost: x\r\nPrefer: wait=300\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			if err != nil {
				t.Fatal(err)
			}
		}
		for d.rules.Waiting() < crowd {
			runtime.Gosched()
		}
		for i, connection := range gone {
			if (i+round)%2 == 0 {
				_ = connection.SetLinger(0) // a reset rather than an orderly end
			}
			if err := connection.Close(); err != nil {
				t.Error(err)
			}
		}
		d.recovers(t)
	}
}

// TestSlowloris has many clients begin a request and say no more: before the end of the line, of the headers, of the body.
// Each is hung up on, the last kind with a word, and others are served meanwhile.
func TestSlowloris(t *testing.T) {
	d := newBadDay(t, 200*time.Millisecond)
	var wait sync.WaitGroup
	for i, text := range []string{"P", "POST /poll/ HTTP/1.1\r\nHost: x\r\nX-Slow: ", "POST /register/ HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{"} {
		for range 50 {
			connection := d.dial(t)
			if _, err := io.WriteString(connection, text); err != nil {
				t.Fatal(err)
			}
			wait.Go(func() {
				answer, err := io.ReadAll(connection)
				if _, reset := err.(*net.OpError); err != nil && !reset {
					t.Error(err)
				}
				if i == 2 && !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
					t.Errorf("to half a body the answer is %.200q", answer)
				}
				_ = connection.Close()
			})
		}
	}
	if got := d.ask(t, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"); len(got) != 1 || got[0] != 200 {
		t.Errorf("others are answered %v", got)
	}
	wait.Wait()
	d.recovers(t)
}

// TestSlowBodies has more requests whose bodies do not come than there are turns: they take none, and others are answered.
func TestSlowBodies(t *testing.T) {
	d := newBadDay(t, time.Minute)
	for i := range 12 { // turns: 4
		path := []string{"/register/", "/poll/", "/keys/"}[i%3]
		connection := d.dial(t)
		defer connection.Close() //nolint:errcheck // it has no answer
		if _, err := fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", path); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // until the server reads them
	body := fmt.Sprintf(`{"uuid":"%s","config":{}}`, uuid.New())
	got := d.ask(t, fmt.Sprintf("POST /poll/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if len(got) != 1 || got[0] != http.StatusBadRequest { // nobody has registered
		t.Errorf("beside slow bodies a poll is answered %v", got)
	}
}

// TestTruncated ends a request after each of its bytes. What arrives whole is answered as ever; the rest never with the
// server's failure.
func TestTruncated(t *testing.T) {
	d := newBadDay(t, time.Minute)
	body := `{"ip-address":"::1","public-key-rsa":"PEM","arch":"amd64"}`
	for _, request := range []string{
		fmt.Sprintf("POST /register/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		fmt.Sprintf("POST /register/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		for end := range len(request) {
			for _, status := range d.say(t, request[:end]) {
				if status != 400 {
					t.Errorf("%q is answered %d", request[:end], status)
				}
			}
		}
		if got := d.ask(t, request); len(got) != 1 || got[0] != 200 {
			t.Errorf("%q is answered %v", request, got)
		}
	}
	if n, err := d.rules.Count(t.Context()); n != 1 || err != nil {
		t.Errorf("%d devices are registered, %v", n, err)
	}
	d.recovers(t)
}

// TestHuge sends what is far too large, in each place, and noise. The server says so, and keeps none of it.
func TestHuge(t *testing.T) {
	d := newBadDay(t, time.Minute)
	huge := strings.Repeat("x", 8<<20)
	for name, test := range map[string]struct {
		text   string
		status int
	}{
		"a path":          {"GET /" + huge + " HTTP/1.1\r\nHost: x\r\n\r\n", 431},
		"a header":        {"GET /devices/ HTTP/1.1\r\nHost: x\r\nX-Huge: " + huge + "\r\n\r\n", 431},
		"many headers":    {"GET /devices/ HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Many: x\r\n", 100_000) + "\r\n", 431},
		"a promise":       {"POST /poll/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000000\r\n\r\n{", 413},
		"an odd promise":  {"POST /poll/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{", 400},
		"two promises":    {"POST /poll/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400},
		"a body":          {fmt.Sprintf("POST /poll/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(huge), huge), 413},
		"a chunk":         {fmt.Sprintf("POST /poll/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(huge), huge), 413},
		"an endless size": {"POST /poll/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("f", 10_000), 400},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				// Where the server hangs up on who still sends, the answer may be lost on the way.
				for _, status := range d.say(t, test.text) {
					if status != test.status {
						t.Errorf("answered %d, want %d", status, test.status)
					}
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		noise := make([]byte, random.IntN(2000))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		for _, text := range []string{string(noise), "POST /poll/ HTTP/1.1\r\n" + string(noise), "PUT /targets/everyone/ HTTP/1.1\r\nHost: x\r\n" +
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(noise), noise)} {
			for _, status := range d.say(t, text) {
				if status < 400 || status >= 500 {
					t.Errorf("%q is answered %d", text, status)
				}
			}
		}
	}
	d.recovers(t)
}
