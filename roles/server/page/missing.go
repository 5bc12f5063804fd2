package page

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"aspects-poc/internal/nearest"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// places maps words that people try as an address to the address that they probably mean.
var places = map[string]string{
	"devices": list, "device": list, "fleet": "", "page": "", "index.html": "", "home": "", "ui": "", "dashboard": "",
	"layers": "page/layers/", "layer": "page/layers/", "secrets": "page/secrets/",
	"history": "page/history/", "changes": "page/history/",
	"docs": "docs/", "documentation": "docs/", "api": "docs/", "swagger": "docs/", "redoc": "docs/", "help": "docs/",
	"metrics": "metrics", "summary": "summary/", "targets": "targets/", "target-config": "target-config/", "openapi.json": "openapi.json",
}

var anyUUID = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)

// Trouble answers a browser with a page instead of a problem.
func (p *Page) Trouble(c echo.Context, problem serverapi.Problem) error {
	if problem.Status == http.StatusNotFound && c.Path() == "" {
		return p.missing(c)
	}
	return p.problemWith(c, problem.Status, rootOf(c), capital(problem.Detail), "", "")
}

// missing answers at an unknown address with a page that suggests the probable address.
func (p *Page) missing(c echo.Context) error {
	path, root := c.Request().URL.Path, rootOf(c)
	detail := fmt.Sprintf("There is nothing at %s.", path)
	place, found := meant(path)
	if !found {
		return p.problem(c, root, detail)
	}
	shown := *c.Request().URL
	shown.Scheme, shown.Host, shown.Path, shown.RawPath, shown.RawQuery = c.Scheme(), c.Request().Host, "/"+place, "", ""
	return p.problemWith(c, http.StatusNotFound, root, detail, root+place, shown.String())
}

// meant returns the address that a reader of a path probably means, relative to the server's root.
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
