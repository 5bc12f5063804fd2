package access

import "github.com/labstack/echo/v4"

// Require returns the middleware that refuses callers without a right. The handler gets the caller from From. read
// reads a request's body and preserves it for the handler.
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
	if right == Register || right == Poll {
		if err := g.ownPage(c.Request()); err != nil {
			return Caller{}, err
		}
	}
	switch right {
	case Register:
		if caller, err = g.Applicant(c.Request()); err == nil && caller.Kind == Applicant {
			caller.body, err = read(c)
		}
		return caller, err
	case Poll:
		return g.Device(c.Request(), func() ([]byte, error) { return read(c) })
	case Anyone:
		return Caller{}, nil
	}
	return g.Operator(c.Request(), right)
}
