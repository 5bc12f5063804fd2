package backend

import (
	"fmt"
	"strings"
)

// ViewID names a view of a confdb-schema.
type ViewID struct {
	Account string // account ID of the confdb-schema
	Schema  string
	View    string
}

// ParseViewID reads "VIEW", "SCHEMA/VIEW" or "ACCOUNT/SCHEMA/VIEW"; what is left out comes from defaults.
func ParseViewID(text string, defaults ViewID) (ViewID, error) {
	id := defaults
	parts := strings.Split(text, "/")
	for _, part := range parts {
		if part == "" {
			return ViewID{}, fmt.Errorf("cannot parse view %q: want VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW", text)
		}
	}
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
	return id, nil
}

// String returns ACCOUNT/SCHEMA/VIEW, as snapd writes it.
func (v ViewID) String() string { return v.Account + "/" + v.Schema + "/" + v.View }
