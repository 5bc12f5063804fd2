package access

import (
	"bytes"
	"io"

	"github.com/labstack/echo/v4"
)

// Require returns what lets only callers of a right through to a handler, which finds them with From. read reads a
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

func (g *Gate) ask(c echo.Context, right Right, read func(echo.Context) ([]byte, error)) (Caller, error) {
	switch right {
	case Register:
		return g.Applicant(c.Request())
	case Poll:
		return g.Device(c.Request(), func() ([]byte, error) {
			body, err := read(c)
			if err == nil {
				c.Request().Body = io.NopCloser(bytes.NewReader(body))
			}
			return body, err
		})
	case Read, Write:
		return g.Operator(c.Request(), right == Write)
	}
	return Caller{}, nil
}
