package access

import (
	"io"

	"github.com/labstack/echo/v4"
)

// Require returns the middleware that refuses callers without a right. The handler gets the caller from From. Read reads a
// request's body; the handler can read it again.
func (g *Gate) Require(right Right, read func(echo.Context) ([]byte, error)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			caller, err := g.ask(c, right, read)
			if err != nil {
				return err
			}
			c.SetRequest(c.Request().WithContext(With(c.Request().Context(), caller)))
			return next(c)
		}
	}
}

func (g *Gate) ask(c echo.Context, right Right, read func(echo.Context) ([]byte, error)) (caller Caller, err error) {
	keep := func() ([]byte, error) {
		body, err := read(c)
		if err == nil {
			c.Request().Body = &leftover{body}
		}
		return body, err
	}
	if right == Register || right == Poll {
		if err := g.ownPage(c.Request()); err != nil {
			return Caller{}, err
		}
	}
	switch right {
	case Register:
		if caller, err = g.Applicant(c.Request()); err == nil && caller.Kind == Applicant {
			caller.body, err = keep()
		}
		return caller, err
	case Poll:
		return g.Device(c.Request(), keep)
	case Read, Write:
		return g.Operator(c.Request(), right == Write)
	}
	return Caller{}, nil
}

// A leftover is a body that was read before the handler reads it. It releases its memory when it has been read, because a poll
// may be held for minutes afterwards.
type leftover struct{ content []byte }

// Read implements io.Reader.
func (l *leftover) Read(into []byte) (n int, err error) {
	if len(l.content) == 0 {
		return 0, io.EOF
	}
	n = copy(into, l.content)
	if l.content = l.content[n:]; len(l.content) == 0 {
		l.content = nil
	}
	return n, nil
}

// Close implements io.Closer.
func (l *leftover) Close() error {
	l.content = nil
	return nil
}
