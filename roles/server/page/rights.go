package page

import (
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// The rights that the acts of the page need: those of the API's routes for the same.
const (
	mayAdmit  = access.ApproveInScope // approve, revoke
	mayWrite  = access.WriteInScope   // labels, layers, and the like
	mayGo     = access.Approve        // go of a release
	mayForAll = access.Write          // what concerns all devices
	mayName   = access.Write          // names of devices, which are those of the whole fleet
	mayRule   = access.Administer     // named secrets
)

// may returns whether the caller has a right. The gate decides: what a page offers follows it.
func may(c echo.Context, right access.Right) bool {
	return access.From(c.Request().Context()).May(right)
}

// within returns the caller's scope.
func within(c echo.Context) fleet.Scope { return fleet.Scope(access.From(c.Request().Context()).Scope) }

// mayFor returns whether the caller has a right for a device with these labels.
func mayFor(c echo.Context, right access.Right, labels fleet.Labels) bool {
	return may(c, right) && within(c).Device(labels) == nil
}

// mayChange returns whether the caller may change a layer, as far as the layer itself says.
func mayChange(c echo.Context, layer fleet.Layer) bool {
	return may(c, rightFor(layer.Name)) && (!layer.Name.IsLabels() || layer.Revision == 0 || within(c).Selector(layer.Selector) == nil)
}

// author returns the caller's name for the history.
func author(c echo.Context) string { return access.From(c.Request().Context()).Author() }

// who describes the caller for the head of a page.
func who(c echo.Context) string {
	caller := access.From(c.Request().Context())
	switch {
	case caller.Kind == access.Loopback:
		return "this machine, without a token"
	case caller.Kind != access.Operator:
		return ""
	case len(caller.Scope) > 0:
		return caller.Author() + ", " + string(caller.Role) + " of " + caller.Scope.String()
	}
	return caller.Author() + ", " + string(caller.Role)
}
