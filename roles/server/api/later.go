package api

import (
	"container/list"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/parking"

	"github.com/labstack/echo/v4"
)

// errLater is the error of a handler whose request is answered later.
var errLater = errors.New("the request is answered later")

// Keys of values in a request's context.
const (
	beginKey = "begin" // when it came
	turnKey  = "turn"  // the *turn that it has: see inTurn
)

// A wait is an event for which a request waits.
type wait interface {
	// Then calls answer once, when the wait is over, on a goroutine of its own.
	Then(answer func())
	// End ends the wait, because the client has left. It does not block.
	End(error)
}

// later answers a request with answer when a wait is over. It holds only the parts of the request that the answer and
// the access log need. answer gets another context, whose request has no headers and no body.
//
// Without a lot, or if the lot cannot take the connection, the handler itself waits.
func (h *handlers) later(c echo.Context, waits wait, answer echo.HandlerFunc) error {
	// Copies, because the texts may be parts of larger ones.
	method, path, client := strings.Clone(c.Request().Method), strings.Clone(c.Request().URL.Path), c.Request().RemoteAddr
	return h.park(c, waits, answer, func() *http.Request {
		return &http.Request{Method: method, URL: &url.URL{Path: path}, RemoteAddr: client, Proto: "HTTP/1.1", ProtoMajor: 1,
			ProtoMinor: 1}
	})
}

// park is later with the request for answer.
func (h *handlers) park(c echo.Context, waits wait, answer echo.HandlerFunc, request func() *http.Request) error {
	app, path, begin := c.Echo(), c.Path(), c.Get(beginKey)
	header := make([]string, 0, 2*len(c.Response().Header())) // names and values: a map would be larger
	for name, values := range c.Response().Header() {
		for _, value := range values {
			header = append(header, name, value)
		}
	}
	caller := access.From(c.Request().Context())
	var parked *parking.Parked
	if h.lot != nil {
		parked = h.lot.Park(c.Response().Writer, c.Request(), func() { waits.End(context.Canceled) })
	}
	if parked == nil {
		return h.wait(c, waits, answer)
	}
	write := func(ctx context.Context, w http.ResponseWriter) {
		for field := range slices.Chunk(header, 2) {
			w.Header().Add(field[0], field[1])
		}
		c := app.NewContext(request().WithContext(access.With(ctx, caller)), w)
		h.date(c.Response())
		c.SetPath(path)
		c.Set(beginKey, begin)
		if err := h.guard(answer)(c); !errors.Is(err, errLater) {
			h.finish(c, begin.(time.Time), err)
		}
	}
	waits.Then(func() { parked.Answer(write) })
	return errLater
}

// wait is park without a lot.
func (h *handlers) wait(c echo.Context, waits wait, answer echo.HandlerFunc) error {
	if turn, ok := c.Get(turnKey).(*turn); ok {
		turn.pass() // a waiting request does not work
	}
	ctx, over := c.Request().Context(), make(chan struct{})
	defer context.AfterFunc(ctx, func() { waits.End(ctx.Err()) })()
	waits.Then(func() { close(over) })
	<-over
	return answer(c)
}

const (
	// defaultAtWork is enough for the stores, which write concurrent changes in one transaction.
	defaultAtWork = 256
	// mostQueued is the largest body, in bytes, of a request that is parked until its turn.
	mostQueued = 64 << 10
	// turnTime is the longest wait for a turn. Devices wait longer for an answer.
	turnTime = 20 * time.Second
)

// inTurn returns the middleware that limits the memory of devices' requests that come together, such as after a change
// of the target: a request needs several times as much memory during its work as during its wait. The check of the
// caller counts as work. A large body is read only after that check, and waits for its turn afterwards.
func (h *handlers) inTurn(check echo.MiddlewareFunc) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		checked := check(next)
		large := check(func(c echo.Context) error { return h.queue(c, next) })
		return func(c echo.Context) error {
			if size := c.Request().ContentLength; size < 0 || size > mostQueued {
				return large(c)
			}
			return h.queue(c, checked)
		}
	}
}

// queue handles a request in its turn.
func (h *handlers) queue(c echo.Context, next echo.HandlerFunc) error {
	body, err := h.readAll(c) // before its turn, because a body may come slowly
	if err != nil {
		return err
	}
	turn := h.turns.request()
	work := func(c echo.Context) error {
		defer turn.pass()
		if turn.err != nil {
			return turn.err
		}
		c.Set(turnKey, turn)
		return next(c)
	}
	switch {
	case turn.given:
		return work(c)
	case len(body) > mostQueued:
		return h.wait(c, turn, work)
	}
	request := c.Request().WithContext(context.Background()) // without the server's values in the old context
	return h.park(c, turn, work, func() *http.Request { return request })
}

// turns gives requests their turn in the order of their arrival.
type turns struct {
	mu    sync.Mutex // guards the fields below, and the turns
	free  int
	queue list.List // of *turn
}

// A turn is first the wait for the right to work, and then that right.
type turn struct {
	of *turns

	// The lock of turns guards the fields below.
	given  bool
	passed bool
	err    error         // why the turn will not be given
	then   func()        // nil before Then
	place  *list.Element // in the queue, after Then
	late   *time.Timer
}

// request returns a turn. If the turn is not given yet, call Then.
func (t *turns) request() *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := &turn{of: t}
	next.try()
	return next
}

// try gives the turn if one is free. The caller holds the lock.
func (t *turn) try() {
	if t.of.free > 0 {
		t.of.free--
		t.given = true
	}
}

// Then implements wait.
func (t *turn) Then(work func()) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.err == nil {
		t.try()
	}
	if t.given || t.err != nil {
		go work()
		return
	}
	t.then, t.place = work, t.of.queue.PushBack(t)
	t.late = time.AfterFunc(turnTime, func() { t.End(context.DeadlineExceeded) })
}

// End implements wait.
func (t *turn) End(err error) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.given || t.err != nil {
		return
	}
	t.err = err
	if t.place != nil {
		t.begin()
	}
}

// begin removes the turn from the queue. The caller holds the lock.
func (t *turn) begin() {
	t.of.queue.Remove(t.place)
	t.late.Stop()
	go t.then()
}

// pass gives the turn to the next one. Further calls do nothing.
func (t *turn) pass() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if !t.given || t.passed {
		return
	}
	t.passed = true
	if front := t.of.queue.Front(); front != nil {
		next := front.Value.(*turn)
		next.given = true
		next.begin()
		return
	}
	t.of.free++
}
