package access_test

import (
	"slices"
	"strings"
	"testing"

	"aspects-poc/roles/server/access"
)

// TestRoles asks for each right with each role, with and without a scope.
func TestRoles(t *testing.T) {
	w := newWorld(t, access.Options{})
	for right, want := range map[access.Right]string{
		access.Read:           "viewer operator operator/scope approver approver/scope admin",
		access.Write:          "operator admin",
		access.WriteInScope:   "operator operator/scope admin",
		access.Approve:        "approver admin",
		access.ApproveInScope: "approver approver/scope admin",
		access.Administer:     "admin",
	} {
		var got []string
		for _, role := range access.Roles() {
			for _, scope := range []access.Scope{nil, {"site": "berlin"}} {
				name := string(role)
				if scope != nil {
					name += "/scope"
				}
				token := access.Token{Name: name + strings.Repeat("x", int(right)), Purpose: access.Operate, Role: role, Scope: scope}
				if token.Check() != nil {
					continue
				}
				request := w.request("PUT", "/target/", "{}")
				request.Header.Set("Authorization", "Bearer "+w.token(token))
				caller, err := w.gate.Operator(request, right)
				if err == nil {
					got = append(got, name)
				} else if !strings.Contains(err.Error(), "needs") {
					t.Errorf("%s: the refusal does not say what is needed: %s", name, err)
				}
				if err == nil && (caller.Role != role || caller.Scope.String() != scope.String()) {
					t.Errorf("%s: %+v", name, caller)
				}
			}
		}
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("right %d: %v, want %s", right, got, want)
		}
	}
	// A token whose role the server does not know may do nothing.
	request := w.request("GET", "/target/", "")
	request.Header.Set("Authorization", "Bearer "+w.token(access.Token{Name: "odd", Purpose: access.Operate, Role: "owner"}))
	if _, err := w.gate.Operator(request, access.Read); err == nil {
		t.Error("an unknown role reads")
	}
}

func TestTokensThatMakeNoSense(t *testing.T) {
	for name, token := range map[string]access.Token{
		"no role":            {Purpose: access.Operate},
		"another role":       {Purpose: access.Operate, Role: "owner"},
		"viewer with scope":  {Purpose: access.Operate, Role: access.RoleViewer, Scope: access.Scope{"a": "b"}},
		"admin with scope":   {Purpose: access.Operate, Role: access.RoleAdmin, Scope: access.Scope{"a": "b"}},
		"operator's labels":  {Purpose: access.Operate, Role: access.RoleOperator, Labels: map[string]string{"a": "b"}},
		"operator's uses":    {Purpose: access.Operate, Role: access.RoleOperator, Limit: 1},
		"device with role":   {Purpose: access.Enrol, Role: access.RoleViewer},
		"device with scope":  {Purpose: access.Enrol, Scope: access.Scope{"a": "b"}},
		"less than no uses":  {Purpose: access.Enrol, Limit: -1},
		"over before it was": {Purpose: access.Operate, Role: access.RoleAdmin, Created: noon, Expires: noon},
	} {
		token.Name = "anna"
		if token.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
