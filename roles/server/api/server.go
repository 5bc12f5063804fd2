package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/wire"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// summary counts devices.
//
//	@Summary		Count the devices by state
//	@Description	In a large fleet the counts may be some seconds old.
//	@Tags			server
//	@ID				get-summary
//	@Param			limit	query	int	false	"No effect; accepted so that scripts can use one form for all lists"
//	@Success		200		{object}	serverapi.Summary	"The counts"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		503	{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/summary/ [get]
func (h *handlers) summary(c echo.Context) error {
	q := query{c: c}
	q.limit() // checked, although a summary has no limit
	if err := q.done(); err != nil {
		return err
	}
	counted, err := h.fleet.Summary(c.Request().Context())
	if err != nil {
		return err
	}
	return answerJSON(c, wire.Summary(counted))
}

// The limits of streams of events.
const (
	mostStreams   = 256                    // at a time
	gatherTime    = 200 * time.Millisecond // the events of this time are sent together
	mostGathered  = 500                    // events; more are replaced by one of kind "lost"
	keepAliveTime = 15 * time.Second
	recheckTime   = 3 * time.Second  // between two checks of the caller's right
	streamWrite   = 10 * time.Second // of one write
)

// events streams changes.
//
//	@Summary		Follow changes
//	@Description	A stream of server-sent events. The event target means that a layer has changed; device, that a device
//	@Description	has changed or reported; lost, that there were too many events to send each. The data is an Event. The stream
//	@Description	ends within seconds when the caller's token is revoked or expires.
//	@Tags			server
//	@ID				get-events
//	@Produce		text/event-stream
//	@Success		200	{object}	serverapi.Event		"Events"
//	@Failure		401	{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		503	{object}	serverapi.Problem	"Too many clients follow the events; Retry-After says when to try again"
//	@Router			/events/ [get]
func (h *handlers) events(c echo.Context) error {
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		refused := newProblem(http.StatusServiceUnavailable, fmt.Sprintf("%d listen already", mostStreams))
		refused.retryAfter = 30
		return refused
	}
	ctx := c.Request().Context()
	notices, err := h.fleet.Events(ctx)
	if err != nil {
		return err
	}
	response := c.Response()
	response.Header().Set(echo.HeaderContentType, "text/event-stream")
	response.Header().Set(echo.HeaderCacheControl, "no-store")
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	stream := stream{response: response, control: http.NewResponseController(response)}
	if err := stream.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if err := stream.write("retry: 3000\n\n"); err != nil {
		return nil // the client has left
	}
	alive := time.NewTicker(keepAliveTime)
	defer alive.Stop()
	recheck := time.NewTicker(recheckTime)
	defer recheck.Stop()
	gathered := time.NewTimer(time.Hour)
	defer gathered.Stop()
	waiting := newGathering()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.stopping.Done():
			return nil
		case <-recheck.C:
			if !h.mayStill(c, access.Read) {
				return nil
			}
		case <-alive.C:
			err = stream.write(":\n\n")
		case notice, open := <-notices:
			if !open {
				return nil
			}
			if waiting.empty() {
				gathered.Reset(gatherTime)
			}
			waiting.add(notice)
		case <-gathered.C:
			err = stream.write(waiting.text())
			waiting = newGathering()
		}
		if err != nil {
			return nil // the client has left
		}
	}
}

// mayStill reports whether the caller of a long request still has a right: its token was neither revoked nor has it
// expired. If the store does not answer, the last answer counts, at most until the token expires.
func (h *handlers) mayStill(c echo.Context, right access.Right) bool {
	if h.gate == nil {
		return true
	}
	_, err := h.gate.Operator(c.Request(), right)
	if refused := (*access.Refusal)(nil); errors.As(err, &refused) {
		return false
	}
	expires := access.From(c.Request().Context()).Expires
	return err == nil || expires.IsZero() || h.now().Before(expires)
}

// A stream writes parts of an answer, each within streamWrite.
type stream struct {
	response *echo.Response
	control  *http.ResponseController
}

func (s stream) write(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := s.response.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// A gathering has the events that are sent together, without repetitions.
type gathering struct {
	seen map[serverapi.Event]bool
	list []serverapi.Event
}

func newGathering() *gathering { return &gathering{seen: map[serverapi.Event]bool{}} }

func (g *gathering) empty() bool { return len(g.list) == 0 }

func (g *gathering) add(notice fleet.Notice) {
	for _, event := range wire.Events(notice) {
		if len(g.list) > mostGathered {
			return
		}
		if len(g.list) == mostGathered {
			event = serverapi.Event{Kind: "lost"}
		}
		if !g.seen[event] {
			g.seen[event] = true
			g.list = append(g.list, event)
		}
	}
}

func (g *gathering) text() string {
	text := ""
	for _, event := range g.list {
		data, err := json.Marshal(event)
		if err == nil { // strings and numbers always encode
			text += "event: " + event.Kind + "\ndata: " + string(data) + "\n\n"
		}
	}
	return text
}

// healthz answers while the server runs.
//
//	@Summary	Check that the server runs
//	@Tags		server
//	@ID			healthz
//	@Success	200	{object}	Health	"The server runs"
//	@Router		/healthz [get]
func (h *handlers) healthz(c echo.Context) error { return answerJSON(c, Health{Status: "ok"}) }

// readyz answers whether the store works and the clock is right.
//
//	@Summary		Check that the server is ready
//	@Description	The server is ready if its store takes a write now, and its clock is right. Polls of devices go on
//	@Description	while the clock is wrong.
//	@Tags			server
//	@ID				readyz
//	@Success		200	{object}	Health				"The server is ready"
//	@Failure		503	{object}	serverapi.Problem	"The server is not ready; Retry-After says when to ask again"
//	@Router			/readyz [get]
func (h *handlers) readyz(c echo.Context) error {
	ctx := c.Request().Context()
	// The check writes, and anybody may call it. So concurrent requests share one check.
	checked := h.checks.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
		defer cancel()
		return nil, h.fleet.Check(ctx)
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case result := <-checked:
		if result.Err != nil {
			return result.Err
		}
	}
	if h.doubt != nil {
		if err := h.doubt(); err != nil {
			doubtful := newProblem(http.StatusServiceUnavailable, "No new device can register: "+err.Error())
			doubtful.retryAfter = 60
			return doubtful
		}
	}
	return answerJSON(c, Health{Status: "ready"})
}

// checkTime is the longest time of a check of the store.
const checkTime = 10 * time.Second

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status string `json:"status" example:"ok"`
}
