package api_test

import (
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// TestEveryRouteIsDescribed compares the route table with the description: neither has what the other has not.
func TestEveryRouteIsDescribed(t *testing.T) {
	started := newServer(t, io.Discard)
	var served []string
	for _, route := range started.Config.Handler.(*echo.Echo).Routes() {
		undocumented := route.Path == "/" || route.Path == "/openapi.json" || strings.HasPrefix(route.Path, "/docs")
		if !undocumented && (strings.HasSuffix(route.Path, "/") || strings.HasSuffix(route.Path, "z")) {
			path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}")
			served = append(served, strings.ToLower(route.Method)+" "+path)
		}
	}
	slices.Sort(served)
	if described := describedRoutes(t, started.URL); !slices.Equal(served, described) {
		t.Errorf("served %q\ndescribed %q", served, described)
	}
}

// An operation is what the description says of one.
type operation struct {
	ID        string         `json:"operationId"`
	Tags      []string       `json:"tags"`
	Responses map[string]any `json:"responses"`
}

// description returns the operations that the server describes: path -> method -> operation.
func description(t *testing.T, base string) map[string]map[string]operation {
	t.Helper()
	var whole struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal([]byte(call(t, base, "GET", "/openapi.json", "").body), &whole); err != nil {
		t.Fatal(err)
	}
	return whole.Paths
}

// described returns the IDs of operations and their tags.
func described(t *testing.T, base string) map[string]string {
	t.Helper()
	operations := map[string]string{}
	for _, path := range description(t, base) {
		for _, operation := range path {
			operations[operation.ID] = operation.Tags[0]
		}
	}
	return operations
}

func describedRoutes(t *testing.T, base string) (routes []string) {
	t.Helper()
	for path, methods := range description(t, base) {
		for method := range methods {
			routes = append(routes, method+" "+path)
		}
	}
	slices.Sort(routes)
	return routes
}
