// Package parking holds HTTP/1.1 requests whose answers have to wait, at little cost. Its main type is Lot.
//
// A request that a handler holds costs some 40 kB: buffers, headers, and the handler's stack. A Lot takes the
// connection from the http.Server (http.Hijacker), which releases all of this, and holds only the connection and two
// small goroutines. The Lot is also the listener of that server: after the answer the connection waits for the device's
// next request, and goes back to the server when that request's first byte arrives.
//
//	lot := parking.New(listener)
//	go server.Serve(lot)
//	// in a handler, which returns afterwards:
//	if lot.Park(w, r, later) { return }
//
// The http.Server does not know the parked connections. When it stops, stop the Lot, too: see Shutdown.
package parking

import (
	"bufio"
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// answerTime is the longest time to send an answer.
	answerTime = 10 * time.Second
	// idleTime is the longest time that a connection stays after an answer without a further request.
	idleTime = 2 * time.Minute
)

// A Lot holds connections. It is the net.Listener of the server that they come from, and is safe for concurrent use.
type Lot struct {
	net.Listener
	accepted chan accepted // by the listener inside, and connections that go back to the server
	closing  chan struct{}
	once     sync.Once // of closing

	mu      sync.Mutex // guards what follows
	parked  map[*parked]bool
	waiting int           // parked connections without an answer
	ended   bool          // no connection is parked or goes back any more
	none    chan struct{} // closed when ended and waiting is 0; nil without Shutdown
}

type accepted struct {
	conn net.Conn
	err  error
}

// New returns a lot around a listener.
func New(listener net.Listener) *Lot {
	l := &Lot{Listener: listener, accepted: make(chan accepted), closing: make(chan struct{}), parked: map[*parked]bool{}}
	go l.accept()
	return l
}

// accept passes on what the listener accepts, until the lot is closed.
func (l *Lot) accept() {
	for {
		conn, err := l.Listener.Accept()
		if !l.offer(accepted{conn, err}) {
			if err == nil {
				_ = conn.Close() // nobody will use it
			}
			return
		}
	}
}

func (l *Lot) offer(next accepted) bool {
	select {
	case l.accepted <- next:
		return true
	case <-l.closing:
		return false
	}
}

// Accept implements net.Listener.
func (l *Lot) Accept() (net.Conn, error) {
	select {
	case next := <-l.accepted:
		return next.conn, next.err
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Parked requests are still answered.
func (l *Lot) Close() error {
	l.once.Do(func() { close(l.closing) })
	return l.Listener.Close()
}

// Shutdown waits until all parked requests are answered, and closes their connections. If ctx ends first, it closes the rest
// without an answer, and returns the error of ctx. Before the call, the answers must have been told to end.
func (l *Lot) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	l.ended = true
	l.none = make(chan struct{})
	if l.waiting == 0 {
		close(l.none)
	}
	none := l.none
	l.mu.Unlock()
	var err error
	select {
	case <-none:
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	left := slices.Collect(maps.Keys(l.parked))
	l.mu.Unlock()
	for _, p := range left {
		p.cancel()
		_ = p.conn.Close()
	}
	return err
}

// An Answer writes the answer to a parked request. Its context ends when the client has gone.
type Answer func(context.Context, http.ResponseWriter)

// Park takes the connection of a request, and returns true. The handler must then return at once. It must have read the body, and
// written nothing. A goroutine of its own runs answer, which may take long and writes the answer as a handler does. It gets nothing
// of the request: it has to keep what it needs.
//
// An answer may park its own request again, instead of writing: it then goes on later on another goroutine.
//
// Park returns false, and does nothing, if it cannot take the connection: the request is not of HTTP/1.1, the connection closes
// after it, or the server stops.
func (l *Lot) Park(w http.ResponseWriter, request *http.Request, answer Answer) bool {
	if again, ok := w.(*response); ok {
		again.next = answer
		return true
	}
	if request.ProtoMajor != 1 || request.ProtoMinor != 1 || request.Close {
		return false
	}
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.waiting++ // so that Shutdown waits for it
	l.mu.Unlock()
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.answered()
		return false
	}
	p := &parked{lot: l, conn: conn}
	if n := buffer.Reader.Buffered(); n > 0 {
		ahead, _ := buffer.Peek(n) // what is buffered is there
		p.ahead = append([]byte(nil), ahead...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	l.mu.Lock()
	l.parked[p] = true
	l.mu.Unlock()
	if p.ahead == nil {
		go p.listen()
	}
	go p.wait(ctx, answer)
	return true
}

// answered counts a request that waits no longer. The caller holds the lock.
func (l *Lot) answered() {
	if l.waiting--; l.waiting == 0 && l.none != nil {
		close(l.none)
	}
}

// A parked is a connection whose request waits for its answer, or that waits for its next request.
type parked struct {
	lot    *Lot
	conn   net.Conn
	cancel context.CancelFunc

	// The lot's lock guards what follows.
	ahead    []byte // of the next request
	answered bool
	gone     bool
}

// listen waits for the first byte of the next request, or the client's end.
func (p *parked) listen() {
	var first [1]byte
	n, err := p.conn.Read(first[:])
	p.lot.mu.Lock()
	if n > 0 {
		p.ahead = first[:n]
	} else if err != nil {
		p.gone = true
		p.cancel()
	}
	answered := p.answered
	p.lot.mu.Unlock()
	if answered {
		p.leave()
	}
}

// wait has the request answered, and sends the answer.
func (p *parked) wait(ctx context.Context, answer Answer) {
	w := &response{}
	answer(ctx, w)
	if w.next != nil {
		go p.wait(ctx, w.next) // on a small stack again
		return
	}
	left := ctx.Err() != nil
	p.cancel()
	p.lot.mu.Lock()
	last := p.lot.ended
	p.lot.mu.Unlock()
	failed := left || p.send(w, last) != nil || last
	p.lot.mu.Lock()
	arrived := p.ahead != nil || p.gone
	p.answered = true
	p.gone = p.gone || failed
	p.lot.answered()
	if !arrived { // else the server may read it already
		failed = failed || p.conn.SetReadDeadline(time.Now().Add(idleTime)) != nil
	}
	p.lot.mu.Unlock()
	if failed {
		_ = p.conn.Close() // listen returns, if it still waits
	}
	if arrived {
		p.leave()
	}
}

// leave ends the parking: the connection goes back to the server with the beginning of the next request, or is closed.
// It is called once, by the later one of listen and wait.
func (p *parked) leave() {
	p.lot.mu.Lock()
	delete(p.lot.parked, p)
	gone := p.gone || p.lot.ended
	p.lot.mu.Unlock()
	if gone || p.conn.SetDeadline(time.Time{}) != nil || !p.lot.offer(accepted{conn: returning(p.conn, p.ahead)}) {
		_ = p.conn.Close() // the client has gone, or the server ends
	}
}

func (p *parked) send(w *response, last bool) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	out := bufio.NewWriterSize(p.conn, 1<<10)
	if err := w.http(last).Write(out); err != nil {
		return err
	}
	return out.Flush()
}

// A returned is a connection that has been parked. Its next request begins with ahead.
type returned struct {
	net.Conn
	ahead []byte
}

// A returnedTLS tells the server that it is one of HTTPS.
type returnedTLS struct{ returned }

// ConnectionState returns the state of the TLS connection.
func (r *returnedTLS) ConnectionState() tls.ConnectionState {
	return r.Conn.(*tls.Conn).ConnectionState()
}

func returning(conn net.Conn, ahead []byte) net.Conn {
	switch before := conn.(type) { // one that is parked often is wrapped once
	case *returned:
		before.ahead = ahead
		return before
	case *returnedTLS:
		before.ahead = ahead
		return before
	case *tls.Conn:
		return &returnedTLS{returned{conn, ahead}}
	}
	return &returned{conn, ahead}
}

// Read implements net.Conn.
func (r *returned) Read(into []byte) (int, error) {
	if len(r.ahead) == 0 {
		return r.Conn.Read(into)
	}
	n := copy(into, r.ahead)
	r.ahead = r.ahead[n:]
	return n, nil
}
