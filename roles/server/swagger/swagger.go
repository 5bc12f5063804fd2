// Package swagger has the description of the server's API (OpenAPI 3), which is generated from the annotations of the
// handlers (go generate ./roles/server/api). Its main function is Description. Package api serves the description and
// the Swagger UI.
package swagger

import _ "embed"

//go:embed openapi.json
var description string

// Description returns the description as JSON.
func Description() string { return description }

// UIFiles returns the names of the files that the page of Swagger UI loads. The server serves no others, and
// packaging/compile leaves the others out of the binary.
func UIFiles() []string {
	return []string{"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-16x16.png", "favicon-32x32.png"}
}
