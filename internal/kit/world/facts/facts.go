// Package facts stores the state of an imitated machine: confdb-schemas and other assertions, stored values, snaps with
// their plugs, connections and options. Its main types are Store and Facts. It runs no hooks and services; package changes does.
//
//	store, err := facts.Open(dir, nil)
//	err = store.Install(facts.Snap{Name: "lamp"})
//	snaps := store.Now().Snaps()
//
// Facts are immutable: Store.Now returns the present ones, and they stay as they are. Store.Update changes a Draft,
// writes it to state.json, and makes it the present facts. If the disk refuses, the present facts remain.
package facts

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// Version is the version of snapd that is imitated.
const Version = "2.77.1"

// Facts are the state of a machine at one moment. They never change. The caller may change what the methods return.
type Facts struct {
	schemas     map[string]*Schema // by ACCOUNT/NAME
	assertions  map[string]Assertion
	bags        map[string]databag.Bag // by ACCOUNT/NAME
	snaps       map[string]*Snap       // by instance name
	cookies     map[string]string      // for snapctl, by instance name
	connections map[string]bool        // by SNAP:PLUG
	config      map[string]map[string]any
}

// Schemas returns the confdb-schemas, sorted by account and name. The built-in one is not among them.
func (f *Facts) Schemas() []Schema {
	var list []Schema
	for _, id := range slices.Sorted(maps.Keys(f.schemas)) {
		list = append(list, *f.schemas[id])
	}
	return list
}

// Schema returns the confdb-schema of a view. It returns an *Error if there is no such confdb-schema or no such view.
func (f *Facts) Schema(id backend.ViewID) (*confdb.Schema, error) {
	schema := f.schemas[id.Account+"/"+id.Schema]
	if own := builtin(); id.Account+"/"+id.Schema == own.ID() {
		schema = &own
	}
	if schema == nil {
		return nil, noSchema(id.Account, id.Schema)
	}
	if !slices.Contains(schema.Parsed.Views(), id.View) {
		return nil, &Error{Status: http.StatusBadRequest, Kind: KindOptionNotAvailable,
			Message: fmt.Sprintf("cannot find view %q in confdb schema %s/%s", id.View, id.Account, id.Schema)}
	}
	return schema.Parsed, nil
}

// Misfit returns why the confdb-schema refuses the stored values, or nil if it accepts them. While it refuses them, each
// write through its views fails.
func (f *Facts) Misfit(account, name string) error {
	schema := f.schemas[account+"/"+name]
	if schema == nil {
		return noSchema(account, name)
	}
	return schema.Parsed.Validate(f.bags[schema.ID()])
}

// Secrets returns the stored scalars that the confdb-schema marks as secret. It returns none if the machine does not have the
// confdb-schema.
func (f *Facts) Secrets(account, name string) (secrets []any) {
	schema := f.schemas[account+"/"+name]
	if schema == nil {
		return nil
	}
	var walk func(at string, value any)
	walk = func(at string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, below := range v {
				walk(strings.TrimPrefix(at+"."+key, "."), below)
			}
		case []any:
			for i, below := range v {
				walk(fmt.Sprintf("%s[%d]", at, i), below)
			}
		default:
			if parsed, err := path.ParseStorage(at); err != nil || schema.Parsed.Storage().Secret(parsed) {
				secrets = append(secrets, v)
			}
		}
	}
	walk("", f.bags[schema.ID()].Value())
	return secrets
}

func noSchema(account, name string) error {
	return &Error{Status: http.StatusBadRequest, Kind: KindAssertionNotFound,
		Message: fmt.Sprintf("confdb-schema (%s; account-id:%s) not found", name, account),
		Value:   map[string]any{"type": "confdb-schema", "headers": map[string]any{"account-id": account, "name": name}}}
}

// Assertions returns the assertions that are no confdb-schemas, sorted by name.
func (f *Facts) Assertions() []Assertion {
	var list []Assertion
	for _, name := range slices.Sorted(maps.Keys(f.assertions)) {
		a := f.assertions[name]
		a.Name = name
		list = append(list, a)
	}
	return list
}

// Bag returns the stored values of a confdb-schema, given as ACCOUNT/NAME.
func (f *Facts) Bag(schema string) databag.Bag { return f.bags[schema] }

// Stored returns the stored values of a confdb-schema as compact JSON, "{}" if there are none.
func (f *Facts) Stored(account, name string) string {
	return string(f.bags[account+"/"+name].AppendJSON(nil))
}

// Snaps returns the installed snaps, sorted by instance name.
func (f *Facts) Snaps() []Snap {
	var list []Snap
	for _, name := range slices.Sorted(maps.Keys(f.snaps)) {
		list = append(list, f.snaps[name].copied())
	}
	return list
}

// Snap returns an installed snap. It returns an *Error of KindSnapNotFound if there is none of the name.
func (f *Facts) Snap(instance string) (Snap, error) {
	snap := f.snaps[instance]
	if snap == nil {
		return Snap{}, &Error{Status: http.StatusNotFound, Kind: KindSnapNotFound, Value: instance,
			Message: fmt.Sprintf("snap %q is not installed", instance)}
	}
	return snap.copied(), nil
}

// HasHook reports whether a snap is installed and has a hook.
func (f *Facts) HasHook(instance, hook string) bool {
	snap := f.snaps[instance]
	return snap != nil && snap.Has(hook)
}

// Cookie returns the snapctl cookie of a snap's apps and services.
func (f *Facts) Cookie(instance string) (string, error) {
	if _, err := f.Snap(instance); err != nil {
		return "", err
	}
	return f.cookies[instance], nil
}

// SnapOfCookie returns the instance name of the snap whose apps and services have a snapctl cookie.
func (f *Facts) SnapOfCookie(cookie string) (instance string, found bool) {
	for instance, own := range f.cookies {
		if own == cookie && cookie != "" {
			return instance, true
		}
	}
	return "", false
}

// A Connection is a connected plug.
type Connection struct {
	Snap, Plug string
	Plugged    Plug
}

// Connected reports whether a plug is connected.
func (f *Facts) Connected(instance, plug string) bool {
	return f.connections[connection(instance, plug)]
}

// Connections returns the connected plugs, sorted by snap and plug.
func (f *Facts) Connections() []Connection {
	var list []Connection
	for _, instance := range slices.Sorted(maps.Keys(f.snaps)) {
		plugs := f.snaps[instance].Plugs
		for _, name := range slices.Sorted(maps.Keys(plugs)) {
			if f.Connected(instance, name) {
				list = append(list, Connection{Snap: instance, Plug: name, Plugged: plugs[name]})
			}
		}
	}
	return list
}

// Custodians returns the connected custodian plugs of a view, one for each snap.
func (f *Facts) Custodians(id backend.ViewID) []Connection {
	list := slices.DeleteFunc(f.Connections(), func(c Connection) bool {
		of, ok := c.Plugged.ID()
		return !ok || of != id || c.Plugged.Role != Custodian
	})
	return slices.CompactFunc(list, func(a, b Connection) bool { return a.Snap == b.Snap })
}

// Config returns the options of a snap. "system" and "core" are names of the system.
func (f *Facts) Config(snap string) map[string]any {
	if snap == "system" {
		snap = Core
	}
	return maps.Clone(f.config[snap])
}

// System returns an option of the system, nil if it is not set.
func (f *Facts) System(key string) any {
	value, _ := Option(f.config[Core], key)
	return value
}

// Enabled reports whether the feature confdb is on. As on snapd the option may be a string.
func (f *Facts) Enabled() bool {
	value := f.System("experimental.confdb")
	return value == true || value == "true"
}
