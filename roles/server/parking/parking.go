// Package parking holds requests of HTTP/1 whose answers have to wait, at little cost. Its main type is Lot.
//
// A request that a handler holds costs some 40 kB: buffers, headers, and the handler's stack. A Lot takes the
// connection from the http.Server (http.Hijacker), which releases all of this, and holds only the connection and one
// small goroutine, which listens to the client. The Lot is also the listener of that server: after the answer the
// connection waits for the device's next request, and goes back to the server when that request's first byte arrives.
//
//	lot := parking.New(listener)
//	go server.Serve(lot)
//	// in a handler, which returns afterwards:
//	if parked := lot.Park(w, r, gone); parked != nil {
//		later(func() { parked.Answer(write) })
//		return
//	}
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

// A Lot holds connections. It is the net.Listener of the server whose connections it parks. It is safe for concurrent
// use.
type Lot struct {
	net.Listener
	accepted chan accepted // from the inner listener, and connections that go back to the server
	closing  chan struct{}
	once     sync.Once // of closing
	ctx      context.Context
	cancel   context.CancelFunc // ends when Shutdown ends

	mu      sync.Mutex // guards the fields below
	parked  map[*Parked]bool
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
	l := &Lot{Listener: listener, accepted: make(chan accepted), closing: make(chan struct{}), parked: map[*Parked]bool{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	go l.accept()
	return l
}

// accept passes connections from the inner listener on, until the lot is closed.
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

// Close implements net.Listener. Parked requests are still answered, and their connections are closed then.
func (l *Lot) Close() error {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.once.Do(func() { close(l.closing) })
	return l.Listener.Close()
}

// Shutdown waits until all parked requests are answered, and closes their connections. If ctx ends first, it closes the
// other connections without an answer, and returns the error of ctx. Make the answers end before you call it.
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
	l.cancel()
	l.mu.Lock()
	left := slices.Collect(maps.Keys(l.parked))
	l.mu.Unlock()
	for _, p := range left {
		p.end()
		_ = p.conn.Close()
	}
	return err
}

// Park takes the connection of a request. The handler must have read the body and written nothing, and must return at
// once after the call. Call Answer of the result once, when the answer is known. If the client leaves before that, Park
// calls gone, which must not wait. The lot holds nothing else of the request.
//
// An answer may park its own request again, instead of writing: the result is then for a later answer.
//
// Park returns nil, and does nothing, if it cannot take the connection: the request is of HTTP/2, or the server stops.
func (l *Lot) Park(w http.ResponseWriter, request *http.Request, gone func()) *Parked {
	if again, ok := w.(*response); ok {
		again.later = true
		again.parked.park(gone)
		return again.parked
	}
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil
	}
	l.waiting++ // Shutdown waits for it
	l.mu.Unlock()
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.answered()
		return nil
	}
	// The connection also closes after an answer to HTTP/1.0, because this server would have to agree to a second
	// request.
	last := request.Close || !request.ProtoAtLeast(1, 1)
	p := &Parked{lot: l, conn: conn, minor: request.ProtoMinor, last: last, gone: gone}
	if n := buffer.Reader.Buffered(); n > 0 {
		ahead, _ := buffer.Peek(n) // it is buffered, so Peek does not fail
		p.heard, p.ahead = true, append([]byte(nil), ahead...)
	}
	l.mu.Lock()
	l.parked[p] = true
	l.mu.Unlock()
	if !p.heard {
		go p.listen()
	}
	return p
}

// answered removes a request from the count of waiting ones. The caller holds the lock.
func (l *Lot) answered() {
	if l.waiting--; l.waiting == 0 && l.none != nil {
		close(l.none)
	}
}

// A Parked is a connection whose request waits for its answer, or that waits for its next request.
type Parked struct {
	lot   *Lot
	conn  net.Conn
	minor int  // version of HTTP
	last  bool // the connection is closed after the answer

	// The lot's lock guards the fields below.
	gone     func() // nil when it has been called, and after the answer
	heard    bool   // listen is over: ahead is the beginning of the next request, or the client has left
	ahead    []byte
	answered bool
	left     bool // the client has left, or the connection is closed
}

// park parks a request again whose answer has begun.
func (p *Parked) park(gone func()) {
	p.lot.mu.Lock()
	p.gone = gone
	left := p.left
	p.lot.mu.Unlock()
	if left {
		p.end()
	}
}

// end records that the client has left.
func (p *Parked) end() {
	p.lot.mu.Lock()
	gone := p.gone
	p.left, p.gone = true, nil
	p.lot.mu.Unlock()
	if gone != nil {
		gone()
	}
}

// listen waits for the first byte of the next request, or the client's end.
func (p *Parked) listen() {
	var first [1]byte
	n, _ := p.conn.Read(first[:]) // 0 with an error
	if n == 0 {
		p.end()
	}
	p.lot.mu.Lock()
	p.heard, p.ahead = true, first[:n]
	answered := p.answered
	p.lot.mu.Unlock()
	if answered {
		p.leave()
	}
}

// Answer has a function write the answer, as a handler does, and sends it. It returns when the answer is sent. The context
// of the function ends when Shutdown does.
func (p *Parked) Answer(write func(context.Context, http.ResponseWriter)) {
	w := &response{parked: p}
	write(p.lot.ctx, w)
	if w.later {
		return
	}
	p.lot.mu.Lock()
	p.gone = nil
	left, last := p.left, p.last || p.lot.ended
	p.lot.mu.Unlock()
	failed := left || p.send(w, last) != nil || last
	p.lot.mu.Lock()
	heard := p.heard
	p.answered = true
	p.left = p.left || failed
	p.lot.answered()
	if !heard { // otherwise the server may already read from it
		failed = failed || p.conn.SetReadDeadline(time.Now().Add(idleTime)) != nil
	}
	p.lot.mu.Unlock()
	if failed {
		_ = p.conn.Close() // listen returns if it still waits
	}
	if heard {
		p.leave()
	}
}

// leave ends the parking: the connection goes back to the server with the beginning of the next request, or is closed.
// The later one of listen and Answer calls it, once.
func (p *Parked) leave() {
	p.lot.mu.Lock()
	delete(p.lot.parked, p)
	left := p.left || p.lot.ended
	p.lot.mu.Unlock()
	if left || p.conn.SetDeadline(time.Time{}) != nil || !p.lot.offer(accepted{conn: returning(p.conn, p.ahead)}) {
		_ = p.conn.Close() // the client has left, or the server stops
	}
}

func (p *Parked) send(w *response, last bool) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	out := bufio.NewWriterSize(p.conn, 1<<10)
	if err := w.http(p.minor, last).Write(out); err != nil {
		return err
	}
	return out.Flush()
}

// A returned is a connection that was parked. Its next request begins with ahead.
type returned struct {
	net.Conn
	ahead []byte
}

// A returnedTLS is a returned connection of HTTPS.
type returnedTLS struct{ returned }

// ConnectionState returns the state of the TLS connection.
func (r *returnedTLS) ConnectionState() tls.ConnectionState {
	return r.Conn.(*tls.Conn).ConnectionState()
}

func returning(conn net.Conn, ahead []byte) net.Conn {
	switch before := conn.(type) { // a connection that is parked often is wrapped once
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
