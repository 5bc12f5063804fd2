package lint

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/dialect"
	"aspects-poc/registry/kit/snapfile"
)

// checkSnaps looks at the snaps that use the confdb-schema.
func (c *checker) checkSnaps() {
	if len(c.options.Snaps) == 0 {
		return
	}
	type holder struct {
		snap *Snap
		plug *Plug
	}
	custodians := map[string][]holder{}
	for _, snap := range c.options.Snaps {
		byView := map[string]string{}
		for i := range snap.Plugs {
			p := &snap.Plugs[i]
			if p.Interface == "registry" {
				c.addTo(snap.File, "plug-interface", p.at("interface"), "plug %q has the interface registry: snapd 2.68 and later do not know it", p.Name)
			}
			if !p.confdb() || !c.checkPlug(snap, p) {
				continue
			}
			if other, ok := byView[p.Account+"/"+p.View]; ok {
				c.addTo(snap.File, "plug-twice", p.entry.KeyPos, "plugs %q and %q are both for view %q", other, p.Name, p.View)
			}
			byView[p.Account+"/"+p.View] = p.Name
			if view := c.viewOf(p); view != "" && p.custodian() {
				custodians[view] = append(custodians[view], holder{snap, p})
			}
		}
		c.checkPrograms(snap)
		for i := range snap.Hooks {
			c.checkHook(snap, &snap.Hooks[i])
		}
	}
	if c.doc.Header("name") == "" {
		return // nobody's plugs are for its views
	}
	fed := c.feeds()
	for _, view := range c.views {
		holders := custodians[view.name]
		switch {
		case len(holders) == 0:
			c.add("no-custodian", view.entry.KeyPos, "no snap is custodian of view %q", view.name)
			continue
		case len(holders) > 1:
			var names []string
			for _, h := range holders {
				names = append(names, h.snap.Name)
			}
			c.add("custodians", view.entry.KeyPos, "view %q has the custodians %s", view.name, strings.Join(names, ", "))
		}
		has := func(hook string) bool {
			for _, h := range holders {
				if h.snap.hasHook(hook + h.plug.Name) {
					return true
				}
			}
			return false
		}
		if !fed[view.name] || has("load-view-") || has("save-view-") {
			c.checkEphemeral(view, has)
		}
	}
}

// viewOf returns the name of the view of this confdb-schema that a plug is for, "" if it is for another one's.
func (c *checker) viewOf(p *Plug) string {
	schema, view, _ := strings.Cut(p.View, "/")
	if schema != c.doc.Header("name") || c.account() != "" && p.Account != c.account() {
		return ""
	}
	return view
}

// checkPlug makes the checks of snapd's confdb interface, in its words, and tells whether the plug is sound.
func (c *checker) checkPlug(snap *Snap, p *Plug) bool {
	role := ""
	if given := p.entry.Value.Get("role"); given.Is(document.String) {
		role = cmp.Or(given.Text, "none") // an empty one is there, and not the one that may be
	}
	if c.options.Account != "" && dialect.ValidAccount(p.Account) != nil && document.Placeholder(p.Account) {
		p.Account = c.options.Account
	}
	if attribute, reason := snapfile.Refused(p.Account, p.View, role); reason != "" {
		c.addTo(snap.File, "plug", p.at(attribute), "%s", reason)
		return false
	}
	schema, view, _ := strings.Cut(p.View, "/")
	if schema != c.doc.Header("name") {
		account := c.account()
		if name := c.doc.Header("name"); view == name && c.doc.Headers.Get("views").Get(schema) != nil && (account == "" || p.Account == account) {
			c.addTo(snap.File, "plug-schema", p.at("view"), "plug %q is for view %q of a confdb-schema %q, where view %q of %q was given; did you mean %q?",
				p.Name, view, schema, schema, name, name+"/"+schema)
		}
		return true // of another confdb-schema
	}
	if account := c.account(); account != "" && p.Account != account {
		c.addTo(snap.File, "other-account", p.at("account"), "plug %q is for %s of account %s, not %s", p.Name, schema, p.Account, account)
		return true
	}
	if c.doc.Headers.Get("views").Get(view) == nil {
		c.addTo(snap.File, "plug-view", p.at("view"), "plug %q is for view %q, which %s does not have", p.Name, view, schema)
	} else if !slices.Contains([]string{view, schema + "-" + view, p.Account + "-" + schema + "-" + view}, p.Name) {
		c.addTo(snap.File, "plug-name", p.entry.KeyPos, "plug %q is for view %q of %s: hooks are named after the plug, and %s-%s would tell",
			p.Name, view, schema, schema, view)
	}
	return true
}

// checkEphemeral sees that somebody keeps what snapd does not.
func (c *checker) checkEphemeral(v *viewModel, has func(hook string) bool) {
	if c.broken {
		return
	}
	id := c.doc.Header("name") + "/" + v.name
	if account := c.account(); account != "" {
		id = account + "/" + id
	}
	var unread, unwritten, usable bool
	for _, r := range v.rules {
		ephemeral, err := c.types.schema.Ephemeral(r.Storage)
		if err != nil {
			continue
		}
		read, written := !ephemeral || has("load-view-"), !ephemeral || has("save-view-")
		usable = usable || r.Readable && read || r.Writable && written
		unread = unread || r.Readable && !read
		unwritten = unwritten || r.Writable && !written
	}
	code := "ephemeral-hook"
	if !usable {
		code = "view-unusable"
	}
	if unwritten {
		c.add(code, v.entry.KeyPos, "cannot write confdb view %s: write might change ephemeral data but no custodians has a save-view hook", id)
	}
	if unread {
		c.add(code, v.entry.KeyPos, "cannot schedule tasks to read view %s: read might cover ephemeral data but no custodian has a load-view hook", id)
	}
}

func (c *checker) checkHook(snap *Snap, h *Hook) {
	add := func(code, format string, args ...any) {
		at := h.at
		if h.File != snap.File {
			at = document.Position{}
		}
		c.addTo(h.File, code, at, format, args...)
	}
	switch {
	case h.File != snap.File:
	case snapfile.Built(snap.File):
		add("hook-missing", "hook %q has no file: cannot snap-exec: no such file or directory", h.Name)
	case !snap.built:
		add("hook-stub", "hook %q has no file: snapcraft makes one that does nothing", h.Name)
	}
	if !h.Executable {
		add("hook-not-executable", "hook %q is not executable", h.Name)
	}
	switch line, _, _ := bytes.Cut(h.Text, []byte("\n")); {
	case h.Text == nil:
	case !bytes.HasPrefix(line, []byte("#!")):
		add("hook-interpreter", "hook %q does not begin with a line that names its interpreter", h.Name)
	case bytes.HasSuffix(line, []byte("\r")):
		add("hook-interpreter", "hook %q has lines that end as those of Windows do: its interpreter is not found", h.Name)
	}
	kind, name := snapfile.Split(h.Name)
	p := snap.plug(name)
	switch {
	case kind == "" && snapfile.Fixed(h.Name), strings.Contains(h.Name, "-slot-"):
	case kind == "":
		if old, ok := strings.CutSuffix(h.Name, "-view-changed"); ok {
			if !snap.hasHook("observe-view-" + old) {
				add("hook-never-runs", "snapd 2.69 and later run observe-view-%s instead of %q", old, h.Name)
			}
			break
		}
		add("hook-never-runs", "snapd knows no hook %q", h.Name)
	case p == nil:
		add("hook-plug", "hook %q is for a plug %q, which snap %q does not have", h.Name, name, snap.Name)
	case p.Interface == "registry": // that has been told, at the plug
	case strings.Contains(kind, "-view-") && !p.confdb():
		add("hook-plug", "hook %q is for plug %q, whose interface is %s", h.Name, name, p.Interface)
	case snapfile.CustodianOnly(kind) && !p.custodian():
		add("hook-never-runs", "snapd runs %q for custodians only, and plug %q is none", h.Name, name)
	}
	if p.custodian() {
		c.checkWayIn(snap, h, kind, p)
	}
	c.checkCalls(snap, h, kind)
}
