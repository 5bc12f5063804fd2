package snapdhttp

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	"aspects-poc/internal/jsonvalue"
)

// A Version is the part of snapd's version that decides the generation.
type Version struct{ Major, Minor int }

var leadingDigits = regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})(?:\D|$)`)

// ParseVersion parses the leading MAJOR.MINOR of snapd's version, such as "2.77.1-2", "2.68.3-3+deb13u1+b7" or
// "2.73+git123.gabcdef". It returns false if there is none, as in "unknown".
func ParseVersion(text string) (Version, bool) {
	match := leadingDigits.FindStringSubmatch(text)
	if match == nil {
		return Version{}, false
	}
	major, _ := strconv.Atoi(match[1]) // at most four digits
	minor, _ := strconv.Atoi(match[2])
	return Version{Major: major, Minor: minor}, true
}

// AtLeast reports whether v is MAJOR.MINOR or later.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// String returns MAJOR.MINOR.
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// A SystemInfo is the part of GET /v2/system-info that the backends use. Any user may request it on snapd's main
// socket.
type SystemInfo struct {
	Version  string             `json:"version"`
	Features map[string]Feature `json:"features"` // experimental flags by name
}

// A Feature is the state of an experimental flag.
type Feature struct {
	Supported bool   `json:"supported"`
	Enabled   bool   `json:"enabled"`
	Reason    string `json:"unsupported-reason"`
}

// SystemInfo requests snapd's system-info. The error is a *TransportError, or a *RefusalError if snapd refuses.
func (c *Client) SystemInfo(ctx context.Context) (SystemInfo, error) {
	response, err := c.Do(ctx, http.MethodGet, "/v2/system-info", nil, nil)
	if err != nil {
		return SystemInfo{}, err
	}
	if refusal := response.Refusal(); refusal != nil {
		return SystemInfo{}, &RefusalError{*refusal}
	}
	var info SystemInfo
	if response.Type != TypeSync {
		err := fmt.Errorf("answer of type %q to a question for system-info", response.Type)
		return SystemInfo{}, &TransportError{Socket: c.socket, Sent: true, Err: err}
	}
	if err := jsonvalue.Decode(response.Result, &info); err != nil {
		return SystemInfo{}, &TransportError{Socket: c.socket, Sent: true, Err: fmt.Errorf("system-info: %w", err)}
	}
	return info, nil
}

// A RefusalError is the refusal of a request that concerns no view.
type RefusalError struct{ Refusal }

func (e *RefusalError) Error() string { return e.Message }
