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

// documentation serves the description of the API, and Swagger UI, from the binary. It ignores queries, because links to
// files often have one, such as ?v=2.
func documentation(app *echo.Echo) {
	sum := sha256.Sum256([]byte(swagger.Description()))
	// net/http removes the body from an answer to HEAD.
	get := func(path string, handle echo.HandlerFunc) {
		app.GET(path, handle)
		app.HEAD(path, handle)
	}
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	get("/openapi.json", func(c echo.Context) error {
		c.Response().Header().Set("ETag", tag)
		c.Response().Header().Set(echo.HeaderCacheControl, "no-cache") // browsers ask whether it has changed
		if strings.Contains(c.Request().Header.Get("If-None-Match"), tag) {
			return c.NoContent(http.StatusNotModified)
		}
		return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, []byte(swagger.Description()))
	})
	page := echoSwagger.EchoWrapHandler(func(config *echoSwagger.Config) {
		config.URLs = []string{"../openapi.json"} // relative to the page, so that a proxy may serve both under any path
		config.DocExpansion = "list"
	})
	get("/docs/:name", func(c echo.Context) error {
		name := c.Param("name")
		if name != "index.html" && !slices.Contains(swagger.UIFiles(), name) {
			return echo.ErrNotFound
		}
		// The page loads only files of this server. It has an inline script, and Swagger UI sets styles in scripts and
		// has pictures in its styles.
		c.Response().Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline'; "+
			"style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'")
		// echo-swagger takes the name of the file from the URI, fails on a query, and does not support HEAD. So it gets
		// a copy of the request. The original is restored, because net/http reads from it whether to send a body.
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

// redirectTo redirects to a location relative to the path.
func redirectTo(location string) echo.HandlerFunc {
	return func(c echo.Context) error { return c.Redirect(http.StatusTemporaryRedirect, location) }
}
