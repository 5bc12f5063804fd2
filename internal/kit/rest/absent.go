package rest

import (
	"fmt"
	"maps"
	"net/http"

	"aspects-poc/internal/kit/world/facts"
)

// The handlers below return empty lists, as snapd does where it has no such objects. So a client that lists everything, such
// as the snap command, gets no error.

func none(*Server, *http.Request) (reply, error) { return reply{result: []any{}}, nil }

func noneByName(*Server, *http.Request) (reply, error) { return reply{result: map[string]any{}}, nil }

func noValidationSet(*Server, *http.Request) (reply, error) {
	return reply{}, &facts.Error{Status: http.StatusNotFound, Kind: "validation-set-not-found", Message: "validation set not found"}
}

// notImitated lists the endpoints of snapd that are not imitated. The texts say what is missing and what to do instead.
var notImitated = map[string]map[string]string{
	"/v2/aliases":                          {"POST": noAliases},
	"/v2/quotas":                           {"POST": noQuotas},
	"/v2/quotas/{group}":                   {"GET": noQuotas},
	"/v2/snapshots":                        {"POST": noSnapshots},
	"/v2/snapshots/{id}/export":            {"GET": noSnapshots},
	"/v2/validation-sets/{account}/{name}": {"POST": "validation sets are not imitated: no snap here is refreshed"},
	"/v2/find":                             {"GET": noStore},
	"/v2/sections":                         {"GET": noStore},
	"/v2/categories":                       {"GET": noStore},
	"/v2/cohorts":                          {"POST": noStore},
	"/v2/download":                         {"POST": noStore},
	"/v2/buy":                              {"POST": noStore},
	"/v2/buy/ready":                        {"GET": noStore},
	"/v2/login":                            {"POST": noUsers},
	"/v2/logout":                           {"POST": noUsers},
	"/v2/create-user":                      {"POST": noUsers},
	"/v2/users":                            {"POST": noUsers},
	"/v2/model":                            {"GET": noModel, "POST": noModel},
	"/v2/model/serial":                     {"GET": noModel, "POST": noModel},
	"/v2/systems":                          {"POST": noModel},
	"/v2/systems/{label}":                  {"GET": noModel, "POST": noModel},
	"/v2/system-recovery-keys":             {"GET": noModel, "POST": noModel},
	"/v2/system-secureboot":                {"POST": noModel},
	"/v2/system-volumes":                   {"GET": noModel, "POST": noModel},
	"/v2/system-info/storage-encrypted":    {"GET": noModel},
	"/v2/internal/console-conf-start":      {"POST": noModel},
	"/v2/icons/{name}/icon":                {"GET": noFiles},
	"/v2/snaps/{name}/file":                {"GET": noFiles},
	"/v2/accessories/changes/{id}":         {"GET": "themes are not imitated"},
	"/v2/accessories/themes":               {"GET": "themes are not imitated", "POST": "themes are not imitated"},
	"/v2/debug":                            {"GET": noDebug, "POST": noDebug},
	"/v2/interfaces/requests":              {"POST": noPrompts},
	"/v2/interfaces/requests/prompts":      {"GET": noPrompts},
	"/v2/interfaces/requests/prompts/{id}": {"GET": noPrompts, "POST": noPrompts},
	"/v2/interfaces/requests/rules":        {"GET": noPrompts, "POST": noPrompts},
	"/v2/interfaces/requests/rules/{id}":   {"GET": noPrompts, "POST": noPrompts},
}

const (
	noStore     = "there is no store here: aspects-poc registry dev runs snaps from their source"
	noAliases   = "aliases are not imitated: call an app by its full name, SNAP.APP"
	noQuotas    = "quota groups are not imitated: services here have no limits"
	noSnapshots = "snapshots are not imitated: copy the data of snaps from var/snap in the folder of aspects-poc registry dev --state"
	noUsers     = "there is no store here to log in to: root and the user who runs this may do everything"
	noModel     = "the machine's model and boot are not imitated: use a device or a virtual machine"
	noFiles     = "snaps are folders here, not files: snap list --all lists them"
	noDebug     = "snapd's debug output is not imitated: --verbose logs each request"
	noPrompts   = "AppArmor's prompts are not imitated: no snap here is confined"
)

// absent returns a handler that refuses with the text.
func absent(text string) handler {
	return func(*Server, *http.Request) (reply, error) { return reply{}, refuse(http.StatusNotImplemented, text) }
}

// withAbsent adds the endpoints that are not imitated to those that are.
func withAbsent(imitated map[string]map[string]endpoint) map[string]map[string]endpoint {
	all := maps.Clone(imitated)
	for path, methods := range notImitated {
		both := map[string]endpoint{}
		for method, text := range methods {
			both[method] = endpoint{everybody, absent(text)}
		}
		maps.Copy(both, imitated[path])
		all[path] = both
	}
	return all
}

// cannot returns the refusal of an action on a snap that needs a store.
func cannot(action, name string) error {
	known := map[string]string{
		"install": "there is no store here: aspects-poc registry dev runs snaps from their source, and `snap try DIR` adds one to it",
		"refresh": "there is no store here: aspects-poc registry dev reads a snap again when its files change",
		"revert":  "a snap has only one revision here: restore its files", "switch": noStore, "amend": noStore,
		"enable": "a snap here is always enabled: remove it, or disconnect its plugs", "disable": "a snap here is always enabled: " +
			"remove it, or disconnect its plugs",
		"hold": "no snap here is refreshed by itself", "unhold": "no snap here is refreshed by itself",
		"snapshot": noSnapshots,
	}
	reason, found := known[action]
	if !found {
		return badRequest(fmt.Sprintf("unknown action %s", action))
	}
	if name != "" {
		action += " " + name
	}
	return refuse(http.StatusNotImplemented, fmt.Sprintf("cannot %s: %s", action, reason))
}
