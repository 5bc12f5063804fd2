package page

import (
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"

	"github.com/labstack/echo/v4"
)

// The rights for the acts of the page. They are the rights of the same routes of the API.
const (
	mayAdmit  = access.ApproveInScope // approve, revoke
	mayWrite  = access.WriteInScope   // labels, layers and similar
	mayGo     = access.Approve        // go for a release
	mayForAll = access.Write          // changes that concern all devices
	mayName   = access.Write          // names of devices, which are those of the whole fleet
	mayRule   = access.Administer     // named secrets
)

// may reports whether the caller has a right. The page offers only what the gate will permit.
func may(c echo.Context, right access.Right) bool {
	return access.From(c.Request().Context()).May(right)
}

// within returns the caller's scope.
func within(c echo.Context) fleet.Scope { return fleet.Scope(access.From(c.Request().Context()).Scope) }

// mayFor reports whether the caller has a right for a device with these labels.
func mayFor(c echo.Context, right access.Right, labels fleet.Labels) bool {
	return may(c, right) && within(c).Device(labels) == nil
}

// mayChange reports whether the caller may change a layer, as far as the layer itself decides.
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
