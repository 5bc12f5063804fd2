package backend

import (
	"fmt"
	"regexp"
	"strings"
)

// ViewID names a view of a confdb-schema.
type ViewID struct {
	Account string // account ID of the confdb-schema
	Schema  string
	View    string
}

// ParseViewID parses "VIEW", "SCHEMA/VIEW" or "ACCOUNT/SCHEMA/VIEW". Missing parts come from defaults. It returns an
// error for text that cannot name a view.
func ParseViewID(text string, defaults ViewID) (ViewID, error) {
	id := defaults
	parts := strings.Split(text, "/")
	switch len(parts) {
	case 1:
		id.View = parts[0]
	case 2:
		id.Schema, id.View = parts[0], parts[1]
	case 3:
		id.Account, id.Schema, id.View = parts[0], parts[1], parts[2]
	default:
		return ViewID{}, fmt.Errorf("cannot parse view %q: want VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW", text)
	}
	for _, part := range parts {
		if part == "" {
			return ViewID{}, fmt.Errorf("cannot parse view %q: want VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW", text)
		}
	}
	if reason := id.fault(); reason != "" {
		return ViewID{}, fmt.Errorf("cannot parse view %q: %s", text, reason)
	}
	return id, nil
}

// Check returns an *Error of kind ErrBadRequest, without the request, if the ID cannot name a view or lacks the
// account or the confdb-schema.
func (v ViewID) Check() error {
	reason := v.fault()
	switch {
	case reason != "":
	case v.Account == "" || v.Schema == "":
		return &Error{Kind: ErrBadRequest, Reason: fmt.Sprintf("view %q is named without account and confdb-schema", v.View),
			Remedy: "name it ACCOUNT/SCHEMA/VIEW, or open the registry with Account and Schema"}
	default:
		return nil
	}
	return &Error{Kind: ErrBadRequest, Reason: reason}
}

// CheckName is Check for backends that reach a view by its own name: account and confdb-schema may be empty.
func (v ViewID) CheckName() error {
	if reason := v.fault(); reason != "" {
		return &Error{Kind: ErrBadRequest, Reason: reason}
	}
	return nil
}

// validName matches what snapd accepts as the name of a view or confdb-schema; validAccount matches the letters of
// account IDs. Other text must not reach a URL, a command line or a file, where it would mean something else.
var (
	validName    = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*$`)
	validAccount = regexp.MustCompile(`^[-a-zA-Z0-9]+$`)
)

// fault returns why the ID cannot name a view, or "". Account and confdb-schema may be empty.
func (v ViewID) fault() string {
	switch {
	case v.Account != "" && !validAccount.MatchString(v.Account):
		return fmt.Sprintf("%q cannot be an account ID", v.Account)
	case v.Schema != "" && !validName.MatchString(v.Schema):
		return fmt.Sprintf("%q cannot be the name of a confdb-schema", v.Schema)
	case !validName.MatchString(v.View):
		return fmt.Sprintf("%q cannot be the name of a view", v.View)
	}
	return ""
}

// String returns ACCOUNT/SCHEMA/VIEW, as snapd writes it.
func (v ViewID) String() string {
	if v.Account == "" && v.Schema == "" {
		return v.View
	}
	return v.Account + "/" + v.Schema + "/" + v.View
}
