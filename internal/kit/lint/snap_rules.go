package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/calls"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/snapfile"
)

// A snapChecker checks the snaps that use a document.
//
// It has many methods because each rule is one, and it has those of the checker, which collects the faults.
type snapChecker struct {
	*checker
	missing []string // confdb-schemas for which there is a finding schema-missing
}

// checkSnaps checks the snaps that use the confdb-schema, and that each view has one custodian with the hooks that it needs.
func (c *snapChecker) checkSnaps() {
	if len(c.options.Snaps) == 0 {
		return
	}
	type holder struct {
		snap *Snap
		plug *snapfile.Plug
	}
	custodians := map[string][]holder{}
	for _, snap := range c.options.Snaps {
		c.checkSnap(snap)
		c.fillAccounts(snap)
		byView := map[string]string{}
		for i := range snap.Plugs {
			p := &snap.Plugs[i]
			if p.Interface == "registry" {
				c.addTo(snap.File, "plug-interface", p.At("interface"), "plug %q has the interface registry: snapd 2.68 and later do not know it", p.Name).Fix =
					rewrittenPlug(snap, p, "interface", "confdb")
			}
			if mistaken(p) {
				if p.Entry.Value.Get("interface") == nil {
					c.addTo(snap.File, "plug-interface", p.Entry.KeyPos, "plug %q has the attributes of a confdb plug and no interface: add \"interface: confdb\"", p.Name)
				} else {
					c.addTo(snap.File, "plug-interface", p.At("interface"), "plug %q has the attributes of a confdb plug, and its interface is %q; did you mean %q?", p.Name, p.Interface, "confdb").Fix =
						rewrittenPlug(snap, p, "interface", "confdb")
				}
			}
			if !p.Confdb() || !c.checkPlug(snap, p) {
				continue
			}
			if other, ok := byView[p.Account+"/"+p.View]; ok {
				c.addTo(snap.File, "plug-twice", p.Entry.KeyPos, "plugs %q and %q are both for view %q", other, p.Name, p.View)
			}
			byView[p.Account+"/"+p.View] = p.Name
			if view := c.viewOf(p); view != "" && p.Custodian() {
				custodians[view] = append(custodians[view], holder{snap, p})
			}
		}
		for i := range snap.scripts {
			c.checkHook(snap, &snap.scripts[i])
		}
		c.checkTable(snap)
	}
	if c.doc.Header("name") == "" {
		return // no plug can name its views
	}
	fed := c.feeds()
	for _, view := range c.views {
		holders := custodians[view.name]
		var names []string
		for i, h := range holders {
			if i == 0 || h.snap != holders[i-1].snap {
				names = append(names, h.snap.Name)
			}
		}
		switch {
		case len(names) == 0:
			c.add("no-custodian", view.entry.KeyPos, "no snap is custodian of view %q", view.name)
			continue
		case len(names) > 1:
			c.add("custodians", view.entry.KeyPos, "view %q has the custodians %s", view.name, strings.Join(names, ", "))
		}
		has := func(hook string) bool {
			for _, h := range holders {
				if h.snap.built || h.snap.hasHook(hook+h.plug.Name) {
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

// checkSnap checks a snap's name, its keys, its programs, and folders in the place of hooks.
func (c *snapChecker) checkSnap(snap *Snap) {
	if !snapfile.ValidName(snap.Name) && plainName.MatchString(snap.Name) {
		hint := "; a name has at most 40 of a-z, 0-9 and single hyphens in between, with a letter among them"
		if name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(snap.Name), "-"), "-"); snapfile.ValidName(name) {
			hint = "; did you mean " + strconv.Quote(name) + "?"
		}
		c.addTo(snap.File, "snap-name", snap.Top.Entry("name").At(), "invalid snap name: %q%s", snap.Name, hint)
	}
	for _, fault := range snap.Twice {
		c.addTo(snap.File, "duplicate-key", fault.Pos, "%s", fault.Message)
	}
	for _, s := range snap.strange {
		c.report(snap.File, fmt.Sprintf("did you mean %q?", s.meant), "unknown-key", s.at, "snapd does not read %q, and snapcraft refuses it", s.key).Fix =
			rewritten(edit.NewText(snap.Text), snap.File, s.at, s.key, s.meant)
	}
	for _, fault := range snap.faults {
		code := "program-not-executable"
		if fault.Gone {
			code = "program-missing"
		}
		c.addTo(snap.File, code, fault.At, "%s", fault.Reason)
	}
	for _, name := range snap.Folders {
		if kind, plug := snapfile.Split(name); snapfile.Fixed(name) || kind != "" && snap.Plug(plug) != nil {
			c.addTo(filepath.Join(snapfile.HookFolder(snap.File), name), "hook-folder", document.Position{}, "hook %q is a folder", name)
		}
	}
}

// plainName matches a name without a placeholder that a template fills in.
var plainName = regexp.MustCompile(`^[A-Za-z0-9._ -]+$`)

// notInNames matches characters that a snap's name cannot have, and hyphens, which are replaced by one hyphen.
var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// viewOf returns the name of the plug's view, "" if the plug is for another confdb-schema.
func (c *checker) viewOf(p *snapfile.Plug) string {
	schema, view, _ := strings.Cut(p.View, "/")
	if schema != c.doc.Header("name") || c.account() != "" && p.Account != c.account() {
		return ""
	}
	return view
}

// fillAccounts replaces placeholders of accounts in plugs by the account. If no account is given, it reports the first
// placeholder. It leaves placeholders of an unpacked snap, because snapd reads them as wrong accounts.
func (c *snapChecker) fillAccounts(snap *Snap) {
	reported := c.options.Account != ""
	if !reported && filepath.Base(snap.File) == "snap.yaml" {
		return
	}
	for i := range snap.Plugs {
		p := &snap.Plugs[i]
		given := p.Entry.Value.Get("account").String()
		if !p.Confdb() || !document.Placeholder(given) {
			continue
		}
		if !reported {
			c.addTo(snap.File, "placeholder", p.At("account"), "the account is a placeholder: %s; fill it in, or give --account-id", given)
			reported = true
		}
		p.Account = cmp.Or(c.account(), "not-known")
	}
}

// checkPlug makes the checks of snapd's confdb interface, in its words. It reports whether snapd accepts the plug.
func (c *snapChecker) checkPlug(snap *Snap, p *snapfile.Plug) bool {
	role := ""
	if given := p.Entry.Value.Get("role"); given.Is(document.String) {
		role = cmp.Or(given.Text, "none") // an empty role is not the same as no role, and is refused
	}
	if attribute, reason := snapfile.Refused(p.Account, p.View, role); reason != "" {
		var hint guess
		if strings.HasPrefix(reason, "confdb plug must have an") || strings.HasPrefix(reason, `confdb plug must have a "`) {
			hint = instead(p.Entry.Value, attribute)
		}
		c.report(snap.File, hint.question(), "plug", p.At(attribute), "%s", reason)
		return false
	}
	for _, entry := range entriesOf(p.Entry.Value) {
		attributes := []string{"interface", "account", "view", "role"}
		if hint := didYouMean(entry.Key, absent(p.Entry.Value, attributes)); hint.ending != "" && !slices.Contains(attributes, entry.Key) {
			c.report(snap.File, hint.question(), "unknown-key", entry.KeyPos, "snapd does not read %q of a confdb plug", entry.Key).Fix =
				meantKey(edit.NewText(snap.Text), snap.File, entry, hint.name)
		}
	}
	schema, view, _ := strings.Cut(p.View, "/")
	if schema != c.doc.Header("name") {
		account := c.account()
		if name := c.doc.Header("name"); view == name && c.doc.Headers.Get("views").Get(schema) != nil && (account == "" || p.Account == account) {
			c.addTo(snap.File, "plug-schema", p.At("view"), "plug %q is for view %q; did you mean %q?", p.Name, p.View, name+"/"+schema).Fix =
				rewrittenPlug(snap, p, "view", name+"/"+schema)
		} else if name != "" || c.doc.File == "" {
			c.noSchema(snap, p, schema)
		}
		return true // of another confdb-schema
	}
	if account := c.account(); account != "" && p.Account != account {
		c.addTo(snap.File, "other-account", p.At("account"), "plug %q is for %s of account %s, not %s", p.Name, schema, p.Account, account)
		return true
	}
	if c.doc.Headers.Get("views").Get(view) == nil {
		hint := didYouMean(view, c.doc.Headers.Get("views").Keys())
		found := c.addTo(snap.File, "plug-view", p.At("view"), "plug %q is for view %q, and %s has no such view%s", p.Name, view, schema, hint.ending)
		if hint.name != "" {
			found.Fix = rewrittenPlug(snap, p, "view", schema+"/"+hint.name)
		}
	} else if !snap.hasTwin(p) && !slices.Contains([]string{view, schema + "-" + view, p.Account + "-" + schema + "-" + view}, p.Name) {
		c.addTo(snap.File, "plug-name", p.Entry.KeyPos, "plug %q is for view %q of %s: name it %s-%s, as hooks are named after their plug",
			p.Name, view, schema, schema, view).Fix = renamePlug(snap, p, schema+"-"+view)
	}
	return true
}

// noSchema reports, once, that a confdb-schema was not given.
func (c *snapChecker) noSchema(snap *Snap, p *snapfile.Plug, schema string) {
	if p.Account == "system" || slices.Contains(c.options.Schemas, schema) || slices.Contains(c.missing, schema) {
		return
	}
	c.missing = append(c.missing, schema)
	given := append([]string{c.doc.Header("name")}, c.options.Schemas...)
	slices.Sort(given)
	c.addTo(snap.File, "schema-missing", p.At("view"), "no file of the confdb-schema %q is given%s", schema, didYouMean(schema, slices.Compact(given)).ending)
}

// checkEphemeral reports a view whose ephemeral data no custodian loads or saves. snapd itself does not store such data.
func (c *snapChecker) checkEphemeral(v *viewModel, has func(hook string) bool) {
	if c.broken {
		return
	}
	id := c.doc.Header("name") + "/" + v.name
	if account := c.account(); account != "" {
		id = account + "/" + id
	}
	var unread, unwritten, usable bool
	for _, r := range v.rules {
		ephemeral, err := c.schema.Storage().Ephemeral(r.Storage)
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

func (c *snapChecker) checkHook(snap *Snap, h *script) {
	add := func(code, format string, args ...any) *Finding {
		at := h.At
		if h.File != snap.File {
			at = document.Position{}
		}
		return c.addTo(h.File, code, at, format, args...)
	}
	switch {
	case h.File != snap.File:
	case snapfile.Built(snap.File):
		add("hook-missing", "hook %q has no file: cannot snap-exec: no such file or directory", h.Name)
	case !snap.built:
		add("hook-stub", "hook %q has no file: snapcraft makes an empty one", h.Name)
	}
	if h.Name == "default-configure" && !snap.built {
		if reason := snapfile.RefusedHooks(snap.hookNames()); reason != "" {
			add("hook-alone", "%s", reason).Fix = emptyHook(snap, "configure")
		}
	}
	if !h.Executable {
		add("hook-not-executable", "hook %q is not executable", h.Name).Fix = executable(h.File)
	}
	switch line, _, _ := bytes.Cut(h.text, []byte("\n")); {
	case h.text == nil:
	case !bytes.HasPrefix(line, []byte("#!")):
		help := ""
		if python.Match(h.text) {
			help = "begin it with the line #!/usr/bin/env python3"
		}
		begin := document.Position{Line: 1, Column: 1}
		c.report(h.File, help, "hook-interpreter", document.Position{}, "the first line of hook %q names no interpreter", h.Name).Fix =
			one("name an interpreter", h.File, begin, begin, interpreterLine(help)+"\n")
	case c.checkPython(snap, h, strings.Fields(string(line[2:]))):
	case bytes.HasSuffix(line, []byte("\r")):
		add("hook-interpreter", "hook %q has Windows line ends (CR LF): its interpreter is not found", h.Name)
	}
	if at, reason := calls.Refused(h.text); reason != "" {
		c.addTo(h.File, "hook-syntax", at, "the shell cannot read hook %q: %s", h.Name, reason)
	}
	kind, name := snapfile.Split(h.Name)
	p := snap.Plug(name)
	var plugs []string
	for _, plug := range snap.Plugs {
		plugs = append(plugs, plug.Name)
	}
	switch {
	case kind == "" && snapfile.Fixed(h.Name), strings.Contains(h.Name, "-slot-"):
	case kind == "":
		if old, ok := strings.CutSuffix(h.Name, "-view-changed"); ok {
			if !snap.hasHook("observe-view-" + old) {
				add("hook-never-runs", "snapd 2.69 and later run observe-view-%s instead of %q", old, h.Name)
			}
			break
		}
		hint := didYouMean(h.Name, snapfile.Names(plugs))
		add("hook-never-runs", "snapd knows no hook %q%s", h.Name, hint.ending).Fix = renameHook(snap, h, hint.name)
	case p == nil && snap.open && !strings.Contains(kind, "-view-"): // one that an extension brings
	case p == nil:
		hint := didYouMean(name, plugs)
		if hint.ending == "" {
			hint = didYouMean(h.Name, snapfile.Names(plugs))
		}
		found := add("hook-plug", "hook %q is for plug %q, and snap %q has no such plug%s", h.Name, name, snap.Name, hint.ending)
		if hint.name != "" {
			found.Fix = renameHook(snap, h, kind+strings.TrimPrefix(hint.name, kind))
		}
	case p.Interface == "registry", mistaken(p): // reported at the plug
	case strings.Contains(kind, "-view-") && !p.Confdb():
		add("hook-plug", "hook %q is for plug %q, and the plug's interface is %s", h.Name, name, p.Interface)
	case snapfile.CustodianOnly(kind) && !p.Custodian():
		add("hook-never-runs", "snapd runs %q only for custodians, and plug %q is not one", h.Name, name)
	}
	if p.Custodian() {
		c.checkWayIn(snap, h, kind, p)
	}
	c.checkCalls(snap, h, kind)
}

// interpreterLine returns the first line for a script that a finding's help suggests.
func interpreterLine(help string) string {
	if _, line, found := strings.Cut(help, "#!"); found {
		return "#!" + line
	}
	return "#!/bin/sh"
}

// python matches lines of Python that are no lines of a shell script.
var python = regexp.MustCompile(`(?m)^(?:import [a-z_][\w.]*(?: as \w+)?(?:, *[a-z_][\w.]*)*|from [\w.]+ import .+|def \w+\(.*\).*:)\s*$`)

// pythons has the version of Python in each base; core26 and bare have no Python.
var pythons = map[string]string{"core20": "3.8", "core22": "3.10", "core24": "3.12", "core26": "", "bare": ""}

// checkPython reports a hook whose first line names a Python that the snap and its base do not have. An absolute path is a path of
// the base; env also finds programs of the snap.
func (c *snapChecker) checkPython(snap *Snap, h *script, words []string) bool {
	version, known := pythons[snap.base]
	if !known || len(words) == 0 {
		return false
	}
	wanted, env := words[0], false
	if wanted == "/usr/bin/env" && len(words) == 2 {
		wanted, env = words[1], true
	}
	folder, name := filepath.Split(wanted)
	if !pythonName.MatchString(name) || env != (folder == "") || !env && folder != "/usr/bin/" && folder != "/bin/" ||
		version != "" && (name == "python3" || name == "python"+version) {
		return false
	}
	if env {
		if snap.file == nil {
			return false // a part may bring it
		}
		for _, folder := range []string{"usr/sbin", "usr/bin", "sbin", "bin"} {
			if _, err := snap.file(folder + "/" + name); !errors.Is(err, fs.ErrNotExist) {
				return false
			}
		}
	}
	has, help := "has Python "+version+" as python3", "begin it with the line #!/usr/bin/env python3"
	if version == "" {
		has, help = "has no Python", "add Python to the snap (stage-packages of a part), and begin the hook with the line #!/usr/bin/env python3"
		if snap.base == "bare" {
			help = "use a base that has Python, such as core24"
		}
	}
	c.report(h.File, help, "hook-interpreter", document.Position{}, "hook %q needs %s, and base %s %s", h.Name, wanted, snap.base, has)
	return true
}

var pythonName = regexp.MustCompile(`^python(?:[23](?:\.\d+)?)?$`)
