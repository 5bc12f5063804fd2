package page

import (
	"aspects-poc/roles/server/access"

	"github.com/labstack/echo/v4"
)

// The rights that the acts of the page need: those of the API's routes for the same.
const (
	mayAdmit  = access.Write // approve, revoke
	mayWrite  = access.Write // labels, layers, and the like
	mayForAll = access.Write // what concerns all devices
	mayRule   = access.Write // named secrets
)

// may returns whether the caller has a right. The gate decides: what a page offers follows it.
func may(c echo.Context, right access.Right) bool {
	return right == access.Read || !access.From(c.Request().Context()).ReadOnly
}

// author returns the caller's name for the history.
func author(c echo.Context) string { return access.From(c.Request().Context()).Author() }

// who describes the caller for the head of a page.
func who(c echo.Context) string {
	caller := access.From(c.Request().Context())
	switch {
	case caller.Kind == access.Loopback:
		return "this machine, without a token"
	case caller.ReadOnly:
		return caller.Name + ", read-only"
	}
	return caller.Name
}
