// Package swagger holds the description of the server's API (OpenAPI 3), generated from the annotations of the handlers
// (go generate ./roles/server/api).
package swagger

import _ "embed"

//go:embed openapi.json
var description string

// Description returns the description, a JSON document.
func Description() string { return description }
