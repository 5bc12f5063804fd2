package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"aspects-poc/roles/server/swagger"

	"github.com/labstack/echo/v4"
	echoSwagger "github.com/swaggo/echo-swagger"
)

// documentation serves the description of the API and Swagger UI, which shows it, all of it from the binary. A query makes
// no difference here and is not refused: these are files, and readers of files are sent with ?v=2 and the like.
func documentation(app *echo.Echo) {
	sum := sha256.Sum256([]byte(swagger.Description()))
	// HEAD is answered as GET is, but for the body, which net/http leaves out.
	get := func(path string, handle echo.HandlerFunc) {
		app.GET(path, handle)
		app.HEAD(path, handle)
	}
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	get("/openapi.json", func(c echo.Context) error {
		c.Response().Header().Set("ETag", tag)
		c.Response().Header().Set(echo.HeaderCacheControl, "no-cache") // that is: ask whether it has changed
		if strings.Contains(c.Request().Header.Get("If-None-Match"), tag) {
			return c.NoContent(http.StatusNotModified)
		}
		return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, []byte(swagger.Description()))
	})
	page := echoSwagger.EchoWrapHandler(func(config *echoSwagger.Config) {
		config.URLs = []string{"../openapi.json"} // beside the page, wherever a proxy puts both
		config.DocExpansion = "list"
	})
	get("/docs/:name", func(c echo.Context) error {
		name := c.Param("name")
		if name != "index.html" && !slices.Contains(swagger.UIFiles(), name) {
			return echo.ErrNotFound
		}
		// The page may load from here and nowhere else. It starts itself by a script of its own, and Swagger UI sets
		// styles from scripts and has pictures in its own.
		c.Response().Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline'; "+
			"style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'")
		// The page has its own request, as it looks at the URI for the name, trips over a query, and knows no HEAD. The
		// one given stays: net/http asks it whether there is to be a body.
		given := c.Request()
		asked := given.WithContext(given.Context())
		asked.Method, asked.RequestURI = http.MethodGet, "/docs/"+name
		c.SetRequest(asked)
		defer c.SetRequest(given)
		return page(c)
	})
	get("/docs", redirectTo("docs/index.html"))
	get("/docs/", redirectTo("index.html"))
}

// redirectTo sends to a place that is relative to the path.
func redirectTo(location string) echo.HandlerFunc {
	return func(c echo.Context) error { return c.Redirect(http.StatusTemporaryRedirect, location) }
}
