package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// mayMove returns a refusal if the device's own settings do not allow the move to a target's server: from https to
// http, or to a host that is neither the present one nor in hosts (names without ports).
func mayMove(current, wanted map[string]map[string]any, hosts []string) error {
	value, named := wanted[network.ControlDeviceView]["server-url"]
	present, _ := current[network.ControlDeviceView]["server-url"].(string)
	from, err := url.Parse(present)
	if !named || present == "" || value == present || err != nil {
		return nil
	}
	next, _ := value.(string)
	normal, err := serverapi.ParseURL(next)
	if err != nil {
		return notMoved(err.Error())
	}
	to, err := url.Parse(normal)
	switch host := strings.ToLower(to.Hostname()); {
	case err != nil:
		return notMoved(err.Error())
	case from.Scheme == "https" && to.Scheme != "https":
		return notMoved("a target does not move a device from https to http")
	case !strings.EqualFold(host, from.Hostname()) && !slices.Contains(hosts, host):
		return notMoved(fmt.Sprintf("the device does not allow the server %q; it is allowed on the device, with the setting "+
			"server-host", host))
	}
	return nil
}

func notMoved(reason string) error {
	return &registry.Error{Op: "set", Kind: registry.ErrRejected, Path: network.ControlDeviceView + ".server-url",
		Message: "cannot move to another server: " + reason, Reason: reason}
}

// hostName returns a host's name or address in the form of URLs, in lower case. It returns an error for another text.
func hostName(text string) (string, error) {
	parsed, err := url.Parse("http://" + text)
	if err != nil || parsed.Host == "" || parsed.Host != text || parsed.Port() != "" || strings.HasSuffix(text, ":") {
		return "", errors.New("want the name or the address of a host, such as fleet.example")
	}
	return strings.ToLower(parsed.Hostname()), nil
}

// digest returns a name for an enrolment token that does not reveal the token; "" without a token.
func digest(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}
