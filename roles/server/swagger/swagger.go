// Package swagger holds the description of the server's API (OpenAPI 3), generated from the annotations of the handlers
// (go generate ./roles/server/api).
package swagger

import _ "embed"

//go:embed openapi.json
var description string

// Description returns the description, a JSON document.
func Description() string { return description }

// UIFiles are the files of Swagger UI that its page loads, by their names beside the page. Others are not served, and
// packaging/compile leaves them out of the binary.
func UIFiles() []string {
	return []string{"swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-16x16.png", "favicon-32x32.png"}
}
