package snapdhttp

import (
	"errors"
	"regexp"
	"strings"

	"aspects-poc/registry/backend"
)

var flag = regexp.MustCompile(`experimental\.([a-z-]+)`)

// EnableFlag returns the command that turns an experimental flag on.
func EnableFlag(flag string) string { return "snap set system experimental." + flag + "=true" }

// ConnectCustodian returns how to connect a custodian of the view.
func ConnectCustodian(view backend.ViewID) string {
	return "snap connect CUSTODIAN-SNAP:PLUG, whose plug has role custodian and view " + view.Schema + "/" + view.View
}

// remedy returns the remedy of a refusal, or "".
func remedy(kind error, message string, request Request) string {
	switch kind {
	case backend.ErrDisabled:
		if match := flag.FindStringSubmatch(message); match != nil {
			return EnableFlag(match[1])
		}
	case backend.ErrNoSchema:
		return "snap ack FILE, with the signed assertion of " + request.View.Account + "/" + request.View.Schema
	case backend.ErrNoCustodian:
		return ConnectCustodian(request.View)
	case backend.ErrNotConnected:
		if request.Plug != "" {
			return "snap connect " + request.Plug
		}
	case backend.ErrUnauthorized:
		switch {
		case strings.Contains(message, "from outside of a snap"):
			return "start it as an app, service or hook of a snap"
		default:
			return "run it as root"
		}
	case backend.ErrUnknown:
		return "read back before writing again"
	case backend.ErrUnsupported:
		if strings.Contains(message, "ongoing transaction for") || strings.Contains(message, "cannot modify ") {
			return "do it from a service instead of this hook"
		}
	}
	return ""
}

func asTransport(err error, target **TransportError) bool { return errors.As(err, target) }
