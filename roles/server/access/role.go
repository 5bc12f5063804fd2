package access

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A Role is a set of rights of an operator's token.
type Role string

// The roles. Stores contain the values.
const (
	RoleViewer   Role = "viewer"   // reads
	RoleOperator Role = "operator" // reads, and changes layers, labels and the like
	RoleApprover Role = "approver" // reads, and admits and revokes devices
	RoleAdmin    Role = "admin"    // has all rights
)

// Roles lists the roles.
func Roles() []Role { return []Role{RoleViewer, RoleOperator, RoleApprover, RoleAdmin} }

// ParseRole parses a role.
func ParseRole(text string) (Role, error) {
	if role := Role(text); slices.Contains(Roles(), role) {
		return role, nil
	}
	return "", fmt.Errorf("%q is no role; want viewer, operator, approver or admin", text)
}

// Scoped reports whether a token of the role may be limited to some devices.
func (r Role) Scoped() bool { return r == RoleOperator || r == RoleApprover }

// roles has the roles for each right. A right that is not in it is not for operators.
var roles = map[Right][]Role{
	Read:           Roles(),
	Write:          {RoleOperator, RoleAdmin},
	WriteInScope:   {RoleOperator, RoleAdmin},
	Approve:        {RoleApprover, RoleAdmin},
	ApproveInScope: {RoleApprover, RoleAdmin},
	Administer:     {RoleAdmin},
}

// Roles lists the roles that have a right. scoped reports whether a token with a scope has the right, too. A right that
// is not for operators has no roles.
func (r Right) Roles() (list []Role, scoped bool) {
	return slices.Clone(roles[r]), r == Read || r == WriteInScope || r == ApproveInScope
}

// Changes reports whether operators with the right change something.
func (r Right) Changes() bool { return roles[r] != nil && r != Read }

// A Scope has the labels of the devices for which a token is valid. The empty scope is all devices.
type Scope map[string]string

// String returns the scope as a selector, such as "line=2,site=berlin".
func (s Scope) String() string {
	var terms []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		terms = append(terms, name+"="+s[name])
	}
	return strings.Join(terms, ",")
}

// May reports whether an operator has a right, as far as the route decides.
func (c Caller) May(right Right) bool { return c.Lacks(right) == nil }

// Lacks returns nil if an operator has a right, and otherwise a *Refusal.
func (c Caller) Lacks(right Right) error {
	if c.Kind == Nobody {
		return nil
	}
	return c.permit(right)
}

// permit returns nil if an operator has a right, and otherwise a refusal.
func (c Caller) permit(right Right) error {
	refuse := func(detail string) error {
		return &Refusal{Status: http.StatusForbidden, Detail: detail, Challenge: operatorChallenge + `, error="insufficient_scope"`, Caller: c}
	}
	allowed, scoped := right.Roles()
	if !slices.Contains(allowed, c.Role) {
		names := make([]string, len(allowed))
		for i, role := range allowed {
			names[i] = string(role)
		}
		return refuse(fmt.Sprintf("The token of %s has the role %s, and this needs the role %s", c.Name, c.Role, strings.Join(names, " or ")))
	}
	if len(c.Scope) > 0 && !scoped {
		return refuse(fmt.Sprintf("The token of %s is for devices with %s, and this concerns more than those; it needs a token without a scope",
			c.Name, c.Scope))
	}
	return nil
}
