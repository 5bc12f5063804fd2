package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// The conditions of RFC 9110, section 13.1, over ETags.
const (
	ifMatch     = "If-Match"
	ifNoneMatch = "If-None-Match"
)

// tagOf returns the ETag of a layer at a revision.
func tagOf(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// setTag sets the ETag of an answer to a layer's revision.
func setTag(c echo.Context, revision int64) { c.Response().Header().Set("ETag", tagOf(revision)) }

// tags returns the ETags in a condition's header.
func tags(header http.Header, name string) (list []string) {
	for tag := range strings.SplitSeq(strings.Join(header.Values(name), ","), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			list = append(list, tag)
		}
	}
	return list
}

// unchanged reports whether the reader already has the revision.
func unchanged(c echo.Context, revision int64) bool {
	return slices.ContainsFunc(tags(c.Request().Header, ifNoneMatch), func(tag string) bool {
		return tag == "*" && revision > 0 || strings.TrimPrefix(tag, "W/") == tagOf(revision)
	})
}

// failing returns the header whose condition is false; "" for none. revision is the layer's; 0 if there is no layer.
func failing(c echo.Context, revision int64) (name string) {
	wanted := tags(c.Request().Header, ifMatch)
	switch {
	case wanted != nil && !slices.ContainsFunc(wanted, func(tag string) bool {
		return tag == "*" && revision > 0 || tag == tagOf(revision)
	}):
		return ifMatch
	case unchanged(c, revision):
		return ifNoneMatch
	}
	return ""
}

// condition sets the conditions of a request in its change.
func (h *handlers) condition(c echo.Context, change *fleet.Change) error {
	match, err := matching(c, "layer", func() (int64, error) {
		present, err := h.fleet.Layer(c.Request().Context(), change.Name)
		if errors.Is(err, fleet.ErrUnknownLayer) {
			err = nil
		}
		return present.Revision, err
	})
	if match != nil {
		change.Match = match
	}
	return err
}

// matching returns the revision that the conditions of a request demand; nil for any. present returns the present
// revision.
func matching(c echo.Context, what string, present func() (int64, error)) (*int64, error) {
	header := c.Request().Header
	if tags(header, ifMatch) == nil && tags(header, ifNoneMatch) == nil {
		return nil, nil
	}
	revision, err := present()
	if err != nil {
		return nil, err
	}
	if name := failing(c, revision); name != "" {
		return nil, stale(header, what, name, revision)
	}
	return &revision, nil
}

// stale returns the refusal for a false condition. revision is that of what the request changes; 0 if it does not
// exist.
func stale(header http.Header, what, name string, revision int64) error {
	has := "the " + what + " has the ETag " + tagOf(revision)
	if revision == 0 {
		has = "there is no such " + what
	}
	hint := ""
	given := tags(header, name)
	switch {
	case name != ifMatch:
	case slices.ContainsFunc(given, func(tag string) bool { return strings.HasPrefix(tag, "W/") }):
		hint = `. A weak ETag (W/"…") never matches in If-Match`
	case slices.ContainsFunc(given, func(tag string) bool { return tag != "*" && !strings.HasPrefix(tag, `"`) }):
		hint = ". An ETag stands in double quotes"
	}
	return staleProblem(fmt.Sprintf("%s: %s does not hold: %s%s", name, clip(strings.Join(given, ", ")), has, hint))
}

// noConditions returns an error for conditions on a resource without an ETag, because none can hold.
func noConditions(header http.Header) error {
	for _, name := range []string{ifMatch, ifNoneMatch} {
		given := tags(header, name)
		if given != nil && (name == ifMatch || slices.Contains(given, "*")) {
			return staleProblem(fmt.Sprintf("%s: %s does not hold: what this request changes has no ETag; leave the header out",
				name, clip(strings.Join(given, ", "))))
		}
	}
	return nil
}

func staleProblem(detail string) error {
	answer := newProblem(http.StatusPreconditionFailed, detail)
	answer.Type = serverapi.ProblemStale
	return answer
}
