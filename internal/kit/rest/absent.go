package rest

import (
	"fmt"
	"maps"
	"net/http"

	"aspects-poc/internal/kit/world/facts"
)

// What an imitated machine has none of is answered as by a snapd that has none of it: clients that list all there is, as
// the snap command does, are not told of an error.

func none(*Server, *http.Request) (reply, error) { return reply{result: []any{}}, nil }

func noneByName(*Server, *http.Request) (reply, error) { return reply{result: map[string]any{}}, nil }

func noValidationSet(*Server, *http.Request) (reply, error) {
	return reply{}, &facts.Error{Status: http.StatusNotFound, Kind: "validation-set-not-found", Message: "validation set not found"}
}

// notImitated are the endpoints that snapd has and that are not imitated: what is missing, and what to do instead.
var notImitated = map[string]map[string]string{
	"/v2/aliases":                          {"POST": noAliases},
	"/v2/quotas":                           {"POST": noQuotas},
	"/v2/quotas/{group}":                   {"GET": noQuotas},
	"/v2/snapshots":                        {"POST": noSnapshots},
	"/v2/snapshots/{id}/export":            {"GET": noSnapshots},
	"/v2/validation-sets/{account}/{name}": {"POST": "validation sets are not imitated: nothing here is refreshed, so that nothing is kept from it"},
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
	noQuotas    = "quota groups are not imitated: nothing here limits what a service takes"
	noSnapshots = "snapshots are not imitated: what snaps keep is below var/snap in the folder that aspects-poc registry dev " +
		"--state names, and can be copied"
	noUsers   = "there is no store here to log in to: root, and who runs this, may do everything"
	noModel   = "the machine's model and how it starts are not imitated: this needs a device, or a virtual machine"
	noFiles   = "snaps are folders here, not files: snap list --all tells of them"
	noDebug   = "what snapd tells of itself is not imitated: --verbose logs each request"
	noPrompts = "AppArmor's prompts are not imitated: nothing here is confined"
)

// absent answers for what is not imitated.
func absent(text string) handler {
	return func(*Server, *http.Request) (reply, error) { return reply{}, refuse(http.StatusNotImplemented, text) }
}

// withAbsent adds what is not imitated to what is.
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

// cannot words what cannot be done to a snap without a store.
func cannot(action, name string) error {
	known := map[string]string{
		"install": "there is no store here: aspects-poc registry dev runs snaps from their source, and `snap try DIR` adds one to it",
		"refresh": "there is no store here: aspects-poc registry dev reads a snap again when its files change",
		"revert":  "only one revision of a snap is kept here: change its files back", "switch": noStore, "amend": noStore,
		"enable": "a snap here is enabled always: remove it, or disconnect its plugs", "disable": "a snap here is enabled always: " +
			"remove it, or disconnect its plugs",
		"hold": "nothing here is refreshed by itself", "unhold": "nothing here is refreshed by itself",
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
