// Package swagger holds the description of the server's API (OpenAPI 3) and the page that shows it. The description is
// generated from the annotations of the handlers (go generate ./roles/server); the page is Swagger UI, see ui/README.md.
package swagger

import (
	"embed"
	"io/fs"
)

//go:embed openapi.json
var description string

//go:embed ui/index.html ui/page.css ui/page.js ui/favicon-32x32.png ui/swagger-ui.css.gz ui/swagger-ui-bundle.js.gz
var ui embed.FS

// Description returns the description, a JSON document.
func Description() string { return description }

// UI returns the files of the page. Those with names in .gz are to be served under the name without it.
func UI() fs.FS {
	sub, err := fs.Sub(ui, "ui")
	if err != nil {
		return ui // not reached: the name is valid
	}
	return sub
}
