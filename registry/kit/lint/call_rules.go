package lint

import (
	"strings"

	"aspects-poc/registry/kit/snapfile"
)

// checkCalls looks at what a script asks snapctl for.
func (c *checker) checkCalls(snap *Snap, h *Hook, kind string) {
	writes := 0
	for _, call := range calls(h.Text) {
		add := func(code, format string, args ...any) { c.addTo(h.File, code, call.at, format, args...) }
		if call.verb == "fail" {
			switch {
			case kind != "change-view-":
				add("hook-cannot-fail", `cannot use "snapctl fail" outside of a "change-view" hook`)
				continue
			case call.several:
				add("hook-fail-words", "the reason is the first word only")
			}
			if call.exits {
				add("hook-fail-exit", "the reason is lost: the hook ends with an error")
			}
			continue
		}
		if !call.view {
			continue
		}
		if call.viewValue {
			add("hook-view-value", "bool flag `--view' cannot have an argument")
			continue
		}
		if call.previous && kind != "change-view-" && kind != "save-view-" && kind != "observe-view-" {
			add("hook-previous", "cannot use --previous outside of save-view, change-view or observe-view hooks")
		}
		if call.plug == "" || strings.ContainsAny(call.plug, "${`%") {
			continue // only a run can tell
		}
		name, colon := strings.CutPrefix(call.plug, ":")
		if !colon {
			add("hook-colon", "snapctl %s --view %s: without a colon before the plug it means the snap's configuration", call.verb, call.plug)
			continue
		}
		p := snap.plug(name)
		switch {
		case p == nil:
			add("hook-unknown-plug", "cannot find plug :%s for snap %q", name, snap.Name)
			continue
		case !p.confdb():
			add("hook-unknown-plug", "cannot use --view with non-confdb plug :%s", name)
			continue
		}
		write := call.verb != "get"
		switch kind {
		case "observe-view-", "save-view-":
			if write {
				add("hook-cannot-write", "cannot modify confdb in %q hook", h.Name)
			}
		case "change-view-":
			if write {
				if writes++; writes == 2 {
					add("hook-last-write", "only the last of several writes in %q counts", h.Name)
				}
			}
		case "load-view-", "query-view-":
		default:
			waits := c.waitsFor(snap, p, write)
			early := kind == "prepare-plug-" || h.Name == "install"
			switch {
			case early && waits == "":
				add("hook-connect", "cannot access confdb through unconnected plug :%s: when %q runs it is connected only if it connects by itself",
					name, h.Name)
			case early:
				add("hook-deadlock", "%q uses plug %q: not connected yet, snapd refuses; where it connects by itself, %q has to wait for %q", h.Name, name,
					waits, h.Name)
			case waits != "":
				add("hook-deadlock", "%q uses plug %q, and %q has to wait until %q ends", h.Name, name, waits, h.Name)
			case kind != "":
				add("hook-connect", "%q uses confdb through plug %q while a connection is being made", h.Name, name)
			}
		}
	}
}

// waitsFor returns the hook of the snap that has to run for an access through a plug, "" if there is none: snapd runs one
// hook of a snap at a time.
func (c *checker) waitsFor(snap *Snap, p *Plug, write bool) string {
	for i := range snap.Plugs {
		custodian := &snap.Plugs[i]
		if !custodian.custodian() || custodian.View != p.View || custodian.Account != p.Account {
			continue
		}
		kinds := []string{"change-view-", "save-view-"}
		if !write {
			if kinds = []string{"load-view-"}; !c.readsEphemeral(p) {
				continue
			}
		}
		for _, kind := range kinds {
			if name := kind + custodian.Name; snap.hasHook(name) {
				return name
			}
		}
	}
	return ""
}

// readsEphemeral tells whether a view has ephemeral data to be read.
func (c *checker) readsEphemeral(p *Plug) bool {
	name := c.viewOf(p)
	for _, v := range c.views {
		for _, r := range v.rules {
			if v.name != name || !r.Readable || c.broken {
				continue
			}
			if ephemeral, err := c.types.schema.Ephemeral(r.Storage); err == nil && ephemeral {
				return true
			}
		}
	}
	return false
}

// checkPrograms finds files that an unpacked snap names and does not have.
func (c *checker) checkPrograms(snap *Snap) {
	if !snapfile.Built(snap.File) {
		return
	}
	for _, program := range snap.missing {
		c.addTo(snap.File, "program-missing", program.at, "snap is unusable due to missing files: path %q does not exist", program.path)
	}
}
