package access

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A Role says which rights an operator's token gives.
type Role string

// The roles. The values are kept in stores.
const (
	RoleViewer   Role = "viewer"   // reads
	RoleOperator Role = "operator" // reads, and changes layers, labels and the like
	RoleApprover Role = "approver" // reads, and admits and revokes devices
	RoleAdmin    Role = "admin"    // has all rights
)

// Roles lists the roles.
func Roles() []Role { return []Role{RoleViewer, RoleOperator, RoleApprover, RoleAdmin} }

// ParseRole reads a role.
func ParseRole(text string) (Role, error) {
	if role := Role(text); slices.Contains(Roles(), role) {
		return role, nil
	}
	return "", fmt.Errorf("%q is no role; want viewer, operator, approver or admin", text)
}

// Scoped returns whether a token of the role may be limited to some devices.
func (r Role) Scoped() bool { return r == RoleOperator || r == RoleApprover }

// roles lists who has a right; other rights than these are not for operators.
var roles = map[Right][]Role{
	Read:           Roles(),
	Write:          {RoleOperator, RoleAdmin},
	WriteInScope:   {RoleOperator, RoleAdmin},
	Approve:        {RoleApprover, RoleAdmin},
	ApproveInScope: {RoleApprover, RoleAdmin},
	Administer:     {RoleAdmin},
}

// Roles lists the roles that have a right, and whether a token with a scope has it, too. Rights that are not for operators have
// no roles.
func (r Right) Roles() (list []Role, scoped bool) {
	return slices.Clone(roles[r]), r == Read || r == WriteInScope || r == ApproveInScope
}

// Changes returns whether the right is one of operators to change something.
func (r Right) Changes() bool { return roles[r] != nil && r != Read }

// A Scope is the labels that all devices have which a token is for. The empty scope is all devices.
type Scope map[string]string

// String returns the scope as a selector, such as "line=2,site=berlin".
func (s Scope) String() string {
	var terms []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		terms = append(terms, name+"="+s[name])
	}
	return strings.Join(terms, ",")
}

// May returns whether an operator has a right, as far as the route decides.
func (c Caller) May(right Right) bool { return c.Lacks(right) == nil }

// Lacks returns the *Refusal of an operator who does not have a right; nil if the operator has it.
func (c Caller) Lacks(right Right) error {
	if c.Kind == Nobody {
		return nil
	}
	return c.permit(right)
}

// permit returns the refusal of an operator who does not have a right; nil if the operator has it.
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
