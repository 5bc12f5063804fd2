package lint

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/calls"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/view"
)

// interfaceHook matches the names of hooks that may use the attributes of a plug or slot.
var interfaceHook = regexp.MustCompile(`^(un)?(prepare|connect)-(plug|slot)-|^disconnect-(plug|slot)-`)

// checkCalls reports the calls of snapctl in a script that snapd refuses, or that do something else than their author expects.
func (c *snapChecker) checkCalls(snap *Snap, h *script, kind string) {
	for _, call := range h.asks {
		if call.May {
			continue
		}
		add := func(code, format string, args ...any) *Finding {
			return c.addTo(h.File, code, call.At, format, args...)
		}
		if call.Verb == "fail" {
			switch {
			case kind != "change-view-":
				add("hook-cannot-fail", `cannot use "snapctl fail" outside of a "change-view" hook`)
				continue
			case call.Several:
				found := add("hook-fail-words", "snapd takes only the first word as the reason: quote the reason")
				if start, end, quoted, ok := calls.Reason(h.text, call.At); ok {
					found.Fix = one("put the reason in quotes", h.File, start, end, quoted)
				}
			}
			if call.Exits {
				add("hook-fail-exit", "the reason is lost: the hook ends with an error")
			}
			continue
		}
		if !call.View {
			if done := map[string]string{"get": "read during the execution of interface", "set": "set during the execution of prepare"}[call.Verb]; done != "" &&
				strings.HasPrefix(call.Plug, ":") && !strings.Contains(call.Plug, "=") && !interfaceHook.MatchString(h.Name) {
				add("hook-attribute", "snapctl %s %s: interface attributes can only be %s hooks", call.Verb, call.Plug, done)
			}
			continue
		}
		if call.ViewValue {
			add("hook-view-value", "bool flag `--view' cannot have an argument")
			continue
		}
		if call.Previous && kind != "change-view-" && kind != "save-view-" && kind != "observe-view-" {
			add("hook-previous", "cannot use --previous outside of save-view, change-view or observe-view hooks")
		}
		if call.Plug == "" {
			continue // known only when the hook runs
		}
		name, colon := strings.CutPrefix(call.Plug, ":")
		if !colon {
			add("hook-colon", "snapctl %s --view %s: write a colon before the plug; without one, the name is a key of the snap's configuration", call.Verb, call.Plug)
			continue
		}
		p := snap.Plug(name)
		switch {
		case p == nil:
			hint := didYouMean(name, snap.confdbs())
			add("hook-unknown-plug", "cannot find plug :%s for snap %q%s", name, snap.Name, hint.ending).Fix = meantPlug(h, call.At, name, hint.name)
			continue
		case p.Interface == "registry", mistaken(p): // reported at the plug
			continue
		case !p.Confdb():
			add("hook-unknown-plug", "cannot use --view with non-confdb plug :%s", name)
			continue
		}
		write := call.Writes()
		if reason := c.noRule(p, write); reason != "" && (!write || kind != "observe-view-" && kind != "save-view-") {
			add("hook-no-rule", "cannot %s through plug %q: %s", call.Verb, name, reason)
			continue
		}
		if !write || kind != "observe-view-" && kind != "save-view-" {
			for _, request := range call.Requests {
				if reason, near := c.refusedRequest(p, call.Verb, request); reason != "" {
					found := add("hook-no-rule", "%s", reason)
					if !near {
						found.Fix = c.missingRule(p, call.Verb, request)
					}
				}
			}
		}
		switch kind {
		case "observe-view-", "save-view-":
			if write {
				add("hook-cannot-write", "cannot modify confdb in %q hook", h.Name)
			}
		case "change-view-":
			if call.Again {
				add("hook-last-write", "only the last of several writes in %q counts", h.Name)
			}
		case "load-view-", "query-view-":
		default:
			waits := c.waitsFor(snap, p, write)
			early := kind == "prepare-plug-" || kind == "unprepare-plug-" || h.Name == "install" || h.Name == "default-configure"
			switch {
			case early && waits == "" && !call.Asked:
				add("hook-connect", "cannot access confdb through unconnected plug :%s: when %q runs, the plug is connected only if it connects by itself",
					name, h.Name)
			case early && !call.Asked:
				add("hook-deadlock", "%q uses plug %q before it is connected: snapd refuses; if the plug connects by itself, %q has to wait for %q", h.Name, name,
					waits, h.Name)
			case waits != "":
				add("hook-deadlock", "%q uses plug %q, and %q has to wait until %q ends", h.Name, name, waits, h.Name)
			case kind == "connect-plug-":
				add("hook-connecting", "%q uses confdb through plug %q: this works only if a custodian of the view is connected already", h.Name, name)
			}
		}
	}
}

// checkTable reports the plugs and requests in the hooks' table that the snap or the confdb-schema does not have.
func (c *snapChecker) checkTable(snap *Snap) {
	if snap.Table == nil {
		return
	}
	for _, plug := range []snapfile.Word{snap.Table.Admin, snap.Table.Secrets} {
		if plug.Text != "" && !snap.Plug(plug.Text).Confdb() {
			c.addTo(snap.Table.File, "hook-unknown-plug", plug.At, "cannot find plug :%s for snap %q%s", plug.Text, snap.Name, didYouMean(plug.Text, snap.confdbs()).ending)
		}
	}
	check := func(plug, verb string, requests []snapfile.Word) {
		if p := snap.Plug(plug); p.Confdb() && c.viewOf(p) != "" {
			for _, request := range requests {
				if reason, _ := c.refusedRequest(p, verb, request.Text); reason != "" {
					c.addTo(snap.Table.File, "hook-no-rule", request.At, "%s", reason)
				}
			}
		}
	}
	check(snap.Table.Admin.Text, "set", slices.Concat(snap.Table.Plain, snap.Table.Secret))
	check(snap.Table.Secrets.Text, "get", snap.Table.Secret)
	c.checkRows(snap)
}

// checkRows reports requests that can be written, and for which the hooks' table has no row.
func (c *snapChecker) checkRows(snap *Snap) {
	p := snap.Plug(snap.Table.Admin.Text)
	if !p.Confdb() || c.refused() {
		return
	}
	rows := slices.Concat(snap.Table.Plain, snap.Table.Secret)
	for _, v := range c.views {
		if v.name != c.viewOf(p) {
			continue
		}
		for _, r := range v.rules {
			request := r.Request.String()
			covers := func(row snapfile.Word) bool { return row.Text == request || strings.HasPrefix(row.Text, request+".") }
			if r.Writable && !strings.Contains(request, "{") && !slices.ContainsFunc(rows, covers) {
				c.addTo(snap.Table.File, "hook-no-row", snap.Table.Admin.At, "the table has no row for %q of view %q: the hooks do not write it to the file", request, v.name)
			}
		}
	}
}

// noRule returns why a plug's view can never be read, or written; "" if it can.
func (c *snapChecker) noRule(p *snapfile.Plug, write bool) string {
	name := c.viewOf(p)
	for _, v := range c.views {
		if v.name != name || c.refused() {
			continue
		}
		for _, r := range v.rules {
			if r.Writable && write || r.Readable && !write {
				return ""
			}
		}
		if write {
			return "no rule of view " + strconv.Quote(name) + " writes: no matching rule"
		}
		return "no rule of view " + strconv.Quote(name) + " reads: no matching rule"
	}
	return ""
}

// refusedRequest returns the engine's error for a request that can never be read, set or unset through a plug; "" if it can be. near
// reports whether reason suggests another request of the view.
func (c *snapChecker) refusedRequest(p *snapfile.Plug, verb, request string) (reason string, near bool) {
	i := slices.IndexFunc(c.views, func(v *viewModel) bool { return v.name == c.viewOf(p) })
	if i < 0 || c.views[i].parsed == nil || c.refused() {
		return "", false
	}
	v := c.views[i]
	if v.parsed.Matches(request, verb != "get") {
		return "", false
	}
	var err error
	switch verb {
	case "get":
		_, err = v.parsed.Get(databag.Bag{}, []string{request}, view.ReadOptions{})
	case "set":
		_, err = v.parsed.Set(request, "")
	case "unset":
		_, err = v.parsed.Unset(request)
	}
	if err == nil {
		return "", false
	}
	var others []string
	for _, r := range v.rules {
		if r.Readable && verb == "get" || r.Writable && verb != "get" {
			others = append(others, r.Request.Bare())
		}
	}
	hint := didYouMean(request, others).ending
	for _, other := range others {
		if hint == "" && strings.HasSuffix(other, "."+request) { // the request of a rule without one is its storage path
			hint = "; the view has " + strconv.Quote(other)
		}
	}
	return err.Error() + hint, hint != ""
}

// refused reports whether snapd refuses the confdb-schema. Then not all of its rules are known.
func (c *snapChecker) refused() bool {
	return c.broken || slices.ContainsFunc(c.findings.list, func(f Finding) bool { return f.File == c.doc.File && f.Level == Error })
}

// checkWayIn reports a load-view hook whose snap has no plug that can write, and a save-view hook whose snap has no plug that can
// read. Such a hook cannot exchange values with snapd.
func (c *snapChecker) checkWayIn(snap *Snap, h *script, kind string, own *snapfile.Plug) {
	if kind != "load-view-" && kind != "save-view-" || c.viewOf(own) == "" || c.noRule(own, kind == "load-view-") == "" {
		return
	}
	for i := range snap.Plugs {
		p := &snap.Plugs[i]
		if p.Confdb() && c.viewOf(p) != "" && c.noRule(p, kind == "load-view-") == "" {
			return
		}
	}
	verb, what := "read", "read"
	if kind == "load-view-" {
		verb, what = "write", "written"
	}
	c.addTo(h.File, "hook-no-way", document.Position{}, "%q can %s nothing: snap %q has no plug for a view of %s that can be %s", h.Name, verb, snap.Name,
		c.doc.Header("name"), what)
}

// feeds returns the views that hooks of custodians access during an access to another view. Such an access is part of the running
// transaction and needs no hooks of its own.
func (c *snapChecker) feeds() map[string]bool {
	fed := map[string]bool{}
	for _, snap := range c.options.Snaps {
		for _, h := range snap.scripts {
			kind, name := snapfile.Split(h.Name)
			own := snap.Plug(name)
			if kind != "load-view-" && kind != "query-view-" && kind != "change-view-" || !own.Custodian() {
				continue
			}
			for _, call := range h.asks {
				p := snap.Plug(strings.TrimPrefix(call.Plug, ":"))
				if call.View && p.Confdb() && p.View != own.View && p.Account == own.Account {
					fed[c.viewOf(p)] = true
				}
			}
		}
	}
	return fed
}

// waitsFor returns the hook of the same snap that snapd runs during an access through a plug, "" if there is none. The hook
// waits for the one that makes the access, as snapd runs one hook of a snap at a time.
func (c *snapChecker) waitsFor(snap *Snap, p *snapfile.Plug, write bool) string {
	for i := range snap.Plugs {
		custodian := &snap.Plugs[i]
		if !custodian.Custodian() || custodian.View != p.View || custodian.Account != p.Account {
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

// readsEphemeral reports whether a plug's view reads ephemeral data.
func (c *snapChecker) readsEphemeral(p *snapfile.Plug) bool {
	name := c.viewOf(p)
	for _, v := range c.views {
		for _, r := range v.rules {
			if v.name != name || !r.Readable || c.broken {
				continue
			}
			if ephemeral, err := c.schema.Storage().Ephemeral(r.Storage); err == nil && ephemeral {
				return true
			}
		}
	}
	return false
}
