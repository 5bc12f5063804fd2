package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"aspects-poc/roles/server/swagger"

	"github.com/labstack/echo/v4"
)

// documentation serves the description of the API and the page that shows it, all of it from the binary.
func documentation(app *echo.Echo) {
	files := swagger.UI()
	app.GET("/openapi.json", func(c echo.Context) error {
		return serveFile(c, "application/json", false, []byte(swagger.Description()))
	})
	app.GET("/docs", func(c echo.Context) error {
		return serveAsset(c, files, "index.html")
	})
	app.GET("/docs/:name", func(c echo.Context) error {
		if name := c.Param("name"); name != "index.html" {
			return serveAsset(c, files, name)
		}
		return c.Redirect(http.StatusTemporaryRedirect, "../docs")
	})
	app.GET("/docs/", func(c echo.Context) error { return c.Redirect(http.StatusTemporaryRedirect, "../docs") })
	app.GET("/", func(c echo.Context) error { return c.Redirect(http.StatusTemporaryRedirect, "docs") })
}

// serveAsset serves a file of the page, of which the large ones are kept compressed.
func serveAsset(c echo.Context, files fs.FS, name string) error {
	// The page may load from here and nowhere else. Swagger UI sets styles from scripts, and has pictures in its own.
	c.Response().Header().Set("Content-Security-Policy",
		"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'")
	kind := mime.TypeByExtension(path.Ext(name))
	content, err := fs.ReadFile(files, name)
	if err == nil && strings.HasSuffix(name, ".gz") {
		return echo.ErrNotFound
	}
	if err == nil {
		return serveFile(c, kind, false, content)
	}
	if content, err = fs.ReadFile(files, name+".gz"); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return echo.ErrNotFound
	} else if err != nil {
		return err
	}
	return serveFile(c, kind, true, content)
}

func serveFile(c echo.Context, kind string, compressed bool, content []byte) error {
	header := c.Response().Header()
	sum := sha256.Sum256(content)
	header.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	header.Set(echo.HeaderCacheControl, "no-cache") // that is: ask whether it has changed
	if strings.Contains(c.Request().Header.Get("If-None-Match"), hex.EncodeToString(sum[:8])) {
		return c.NoContent(http.StatusNotModified)
	}
	if !compressed {
		return c.Blob(http.StatusOK, kind, content)
	}
	header.Set(echo.HeaderVary, echo.HeaderAcceptEncoding)
	if strings.Contains(c.Request().Header.Get(echo.HeaderAcceptEncoding), "gzip") {
		header.Set(echo.HeaderContentEncoding, "gzip")
		return c.Blob(http.StatusOK, kind, content)
	}
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, kind, plain)
}
