package page

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"aspects-poc/internal/nearest"

	"github.com/labstack/echo/v4"
)

// places maps words that people try as an address to the place that they probably mean.
var places = map[string]string{
	"devices": "", "device": "", "fleet": "", "page": "", "index.html": "", "home": "", "ui": "", "dashboard": "",
	"history": "page/history/", "changes": "page/history/",
	"docs": "docs/", "documentation": "docs/", "api": "docs/", "swagger": "docs/", "redoc": "docs/", "help": "docs/",
	"metrics": "metrics", "summary": "summary/", "targets": "targets/", "target-config": "target-config/", "openapi.json": "openapi.json",
}

var anyUUID = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)

// Missing answers a browser at an unknown address with a page that suggests the address that the reader probably meant.
func (p *Page) Missing(c echo.Context) error {
	path := c.Request().URL.Path
	root := strings.Repeat("../", max(0, strings.Count(path, "/")-1))
	detail := fmt.Sprintf("There is nothing at %s.", path)
	place, found := meant(path)
	if !found {
		return p.problem(c, root, detail)
	}
	shown := *c.Request().URL
	shown.Scheme, shown.Host, shown.Path, shown.RawPath, shown.RawQuery = c.Scheme(), c.Request().Host, "/"+place, "", ""
	return p.problemWith(c, http.StatusNotFound, root, detail, root+place, shown.String())
}

// meant returns the place that a reader of a path probably meant, relative to the server's root.
func meant(path string) (place string, found bool) {
	if id := anyUUID.FindString(path); id != "" {
		return "page/devices/" + strings.ToLower(id) + "/", true
	}
	words := make([]string, 0, len(places))
	for word := range places {
		words = append(words, word)
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i := len(segments) - 1; i >= 0; i-- {
		if place, found := places[segments[i]]; found {
			return place, true
		}
		if near := nearest.Names(segments[i], words); len(near) > 0 {
			return places[near[0]], true
		}
	}
	return "", false
}
