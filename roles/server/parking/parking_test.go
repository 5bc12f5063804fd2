package parking_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"aspects-poc/roles/server/parking"
)

// A place is a server whose requests to /wait are parked until the test says what to answer.
type place struct {
	t       *testing.T
	lot     *parking.Lot
	server  *httptest.Server
	answers chan string
	parked  chan bool // one element for each parked request
	gone    chan bool // the same, of those whose client has gone
}

func newPlace(t *testing.T, https bool) *place {
	p := &place{t: t, answers: make(chan string), parked: make(chan bool, 100), gone: make(chan bool, 100)}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		address, secure := r.RemoteAddr, r.TLS != nil
		if r.URL.Path != "/wait" {
			fmt.Fprintf(w, "at once %v", r.TLS != nil) //nolint:errcheck // the client sees
			return
		}
		gone := make(chan struct{})
		parked := p.lot.Park(w, r, func() { close(gone) })
		if parked == nil {
			t.Error("a request is not parked")
			return
		}
		go func() {
			p.parked <- true
			select {
			case answer := <-p.answers:
				parked.Answer(func(_ context.Context, w http.ResponseWriter) {
					w.Header().Set("X-Client", address)
					fmt.Fprintf(w, "%s %s %v", body, answer, secure) //nolint:errcheck // it is a buffer
				})
			case <-gone:
				parked.Answer(func(context.Context, http.ResponseWriter) {})
				p.gone <- true
			}
		}()
	}))
	if https {
		p.server.StartTLS() // which listens with TLS
		p.server.Close()
		config := p.server.TLS
		config.NextProtos = []string{"http/1.1"}
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		handler := p.server.Config.Handler
		p.server = &httptest.Server{Config: &http.Server{Handler: handler}} //nolint:gosec // a test
		p.lot = parking.New(tls.NewListener(inner, config))
		p.server.Listener = p.lot
		p.server.Start()
	} else {
		p.lot = parking.New(p.server.Listener)
		p.server.Listener = p.lot
		p.server.Start()
	}
	t.Cleanup(p.server.Close)
	return p
}

func (p *place) dial(https bool) (net.Conn, *bufio.Reader) {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.lot.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	if https {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return conn, bufio.NewReader(conn)
}

// request is one to a path, with a body.
func request(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

func (p *place) say(conn net.Conn, text string) {
	p.t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		p.t.Fatal(err)
	}
}

// hear returns an answer, and whether the server closes the connection afterwards.
func (p *place) hear(reader *bufio.Reader) (text string, last bool) {
	p.t.Helper()
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Date") == "" {
		p.t.Errorf("%s %v", response.Status, response.Header)
	}
	return string(body), response.Close
}

// TestPark parks several requests on a connection, among others, and one that follows before the answer to the last.
func TestPark(t *testing.T) {
	for _, https := range []bool{false, true} {
		t.Run(fmt.Sprintf("https %v", https), func(t *testing.T) {
			p := newPlace(t, https)
			conn, reader := p.dial(https)
			for i := range 3 {
				p.say(conn, request("/wait", fmt.Sprint(i)))
				p.answers <- "first"
				if got, _ := p.hear(reader); got != fmt.Sprint(i, " first ", https) {
					t.Error(got)
				}
				p.say(conn, request("/", ""))
				if got, _ := p.hear(reader); got != fmt.Sprint("at once ", https) {
					t.Error(got)
				}
			}
			p.say(conn, request("/wait", "a")+request("/wait", "b")+request("/", ""))
			p.answers <- "first"
			p.answers <- "second"
			for _, want := range []string{"a first ", "b second ", "at once "} {
				if got, _ := p.hear(reader); got != fmt.Sprint(want, https) {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
}

// TestGone has clients leave while their requests are parked: nothing stays of them.
func TestGone(t *testing.T) {
	p := newPlace(t, false)
	before := runtime.NumGoroutine()
	for i := range 10 {
		conn, _ := p.dial(false)
		p.say(conn, request("/wait", ""))
		<-p.parked
		if i%2 == 0 {
			_ = conn.(*net.TCPConn).SetLinger(0) // a reset
		}
		_ = conn.Close()
		<-p.gone
	}
	for runtime.NumGoroutine() > before {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
		runtime.Gosched()
	}
}

// TestLast parks requests after whose answers the connection ends.
func TestLast(t *testing.T) {
	p := newPlace(t, false)
	for _, text := range []string{
		"GET /wait HTTP/1.0\r\n\r\n",
		"GET /wait HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	} {
		conn, reader := p.dial(false)
		p.say(conn, text)
		<-p.parked
		p.answers <- "last"
		got, last := p.hear(reader)
		if _, err := reader.ReadByte(); got != " last false" || !last || err != io.EOF {
			t.Errorf("%q is answered %q, %t, then %v", text, got, last, err)
		}
	}
}

// TestShutdown ends a lot with a request that is answered in time, one that is not, and an idle connection.
func TestShutdown(t *testing.T) {
	p := newPlace(t, false)
	idle, idleReader := p.dial(false)
	p.say(idle, request("/wait", ""))
	p.answers <- "first"
	p.hear(idleReader)
	<-p.parked
	heard := make(chan error, 2)
	for range 2 {
		conn, reader := p.dial(false)
		p.say(conn, request("/wait", ""))
		<-p.parked
		go func() {
			response, err := http.ReadResponse(reader, nil)
			if err == nil && !response.Close {
				t.Error("the last answer does not say that the connection ends")
			}
			heard <- err
		}()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- p.lot.Shutdown(ctx) }()
	for p.lot.Parks() {
		runtime.Gosched()
	}
	p.answers <- "in time"
	if err := <-heard; err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		t.Errorf("it ended with a request left: %v", err)
	default:
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("it ended in order, with a request left")
	}
	<-p.gone
	if err := <-heard; err == nil {
		t.Error("a request is answered that was cut off")
	}
	if _, err := idleReader.ReadByte(); err == nil {
		t.Error("an idle connection is kept")
	}
	if err := p.lot.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
