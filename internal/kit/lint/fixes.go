package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/calls"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/registry/confdb/path"
)

// This file makes the fixes that depend on the text of a file: on the end of a value, its quotes, and the indentation of lines. A
// function that cannot make its fix returns nil.

// fixable returns the document's text, or nil if the document is signed: a change would break the signature.
func (c *checker) fixable() *edit.Text {
	if c.doc.Form == document.Assertion || len(c.doc.Whole) == 0 {
		return nil
	}
	if c.text == nil {
		c.text = edit.NewText(c.doc.Whole)
	}
	return c.text
}

// one returns a fix with one edit.
func one(title, file string, start, end document.Position, text string) *edit.Fix {
	return &edit.Fix{Title: title, Edits: []edit.Edit{{File: file, Start: start, End: end, Text: text}}}
}

// rewritten returns a fix that replaces the text was of a scalar by the text is, and keeps the quotes.
func rewritten(text *edit.Text, file string, at document.Position, was, is string) *edit.Fix {
	if text == nil {
		return nil
	}
	start, end, ok := inner(text, at, was)
	if !ok {
		return nil
	}
	return one(fmt.Sprintf("write %s instead of %s", is, was), file, start, end, is)
}

// inner returns the start and end of a scalar's text, inside its quotes. ok is false if the file has not the text was there.
func inner(text *edit.Text, at document.Position, was string) (start, end document.Position, ok bool) {
	end, ok = text.Token(at, was)
	if !ok {
		return at, at, false
	}
	written := string(text.Bytes()[text.Offset(at):text.Offset(end)])
	if written == was {
		return at, end, true
	}
	at.Column++
	end.Column--
	if len(written) < 2 || written[1:len(written)-1] != was {
		return at, end, false
	}
	return at, end, true
}

// meantKey returns the fix for a misspelt key. name is the key that was meant; "" if it is not known.
func meantKey(text *edit.Text, file string, entry document.Entry, name string) *edit.Fix {
	if name == "" {
		return nil
	}
	return rewritten(text, file, entry.KeyPos, entry.Key, name)
}

// raiseRevision returns a fix that sets the revision to that of the published copy plus 1.
func (c *checker) raiseRevision(published int) *edit.Fix {
	text, raised := c.fixable(), strconv.Itoa(published+1)
	if text == nil {
		return nil
	}
	title := "raise the revision to " + raised
	if node := c.doc.Headers.Get("revision"); node != nil {
		start, end, ok := inner(text, node.Pos, node.Written())
		if !ok {
			return nil
		}
		return one(title, c.doc.File, start, end, raised)
	}
	name := c.doc.Headers.Entry("name")
	if name == nil || name.KeyPos == (document.Position{}) {
		return nil
	}
	if c.doc.Form == document.JSON {
		return one(title, c.doc.File, name.KeyPos, name.KeyPos, `"revision": "`+raised+`", `)
	}
	return one(title, c.doc.File, name.KeyPos, name.KeyPos, "revision: "+raised+"\n"+strings.Repeat(" ", name.KeyPos.Column-1))
}

// quotePlaceholder returns a fix that puts a {name} in quotes, because YAML reads it as a map.
func (c *checker) quotePlaceholder(at document.Position) *edit.Fix {
	text := c.fixable()
	if text == nil {
		return nil
	}
	end, ok := text.Token(at, "")
	if !ok {
		return nil
	}
	written := string(text.Bytes()[text.Offset(at):text.Offset(end)])
	return one("put it in quotes", c.doc.File, at, end, `"`+strings.ReplaceAll(written, " ", "")+`"`)
}

// prefixStorage returns a fix that puts all entries of the storage schema below v1, and adds v1 to the storage paths of all rules. It
// returns nil if there is a published copy, or if the top level has constraints for its entries.
func (c *checker) prefixStorage() *edit.Fix {
	text, entries := c.fixable(), c.storage.Get("schema")
	if text == nil || c.doc.Embedded || c.options.Against != nil || c.broken || c.failed() {
		return nil
	}
	for _, key := range c.storage.Keys() {
		if key != "schema" && key != "aliases" && key != "type" {
			return nil
		}
	}
	fix := &edit.Fix{Title: "put all storage below v1", Alone: true}
	insert := func(at document.Position, added string) {
		fix.Edits = append(fix.Edits, edit.Edit{File: c.doc.File, Start: at, End: at, Text: added})
	}
	if end, ok := text.Token(entries.Pos, ""); ok {
		open, closed := "{v1: {schema: ", "}}"
		if c.doc.Form == document.JSON {
			open = `{"v1": {"schema": `
		}
		insert(entries.Pos, open)
		insert(end, closed)
	} else {
		key, first := c.storage.Entry("schema").KeyPos.Line, entries.Entries[0].KeyPos
		if first.Line <= key || entries.Pos.Line <= key { // an anchor, or a tag
			return nil
		}
		indent := strings.Repeat(" ", first.Column-1)
		insert(document.Position{Line: key + 1, Column: 1}, indent+"v1:\n"+indent+"  schema:\n")
		for line := key + 1; line <= text.BlockEnd(first.Line, first.Column-2); line++ {
			if strings.TrimSpace(text.Line(line)) != "" {
				insert(document.Position{Line: line, Column: 1}, "    ")
			}
		}
	}
	ok := true
	c.everyRule(func(r *ruleModel) {
		storage, request := r.node.Entry("storage"), r.node.Entry("request")
		if r.parent != nil || len(r.At) != 2 {
			return // the path of a content rule continues that of its parent
		}
		if !storage.Value.Is(document.String) {
			ok = false
			return
		}
		at, _, sound := inner(text, storage.Value.Pos, storage.Value.Text)
		ok = ok && sound
		insert(at, "v1.")
		if request == nil { // the storage path is also the request path
			insert(storage.KeyPos, c.member(r.node, storage.KeyPos, "request", storage.Value.Text))
		}
	})
	if !ok {
		return nil
	}
	return fix
}

// member returns the text of an entry to insert before a key of a map, with the separator behind it.
func (c *checker) member(of *document.Node, before document.Position, key, value string) string {
	written := c.written(value)
	switch text := c.fixable(); {
	case c.doc.Form == document.JSON:
		return strconv.Quote(key) + ": " + written + ", "
	case strings.HasPrefix(string(text.Bytes()[text.Offset(of.Pos):]), "{"):
		return key + ": " + written + ", "
	default:
		return key + ": " + written + "\n" + strings.Repeat(" ", before.Column-1)
	}
}

// written returns a path as text for the document's form. In YAML it has quotes only if it needs them.
func (c *checker) written(value string) string {
	if c.doc.Form == document.JSON || strings.ContainsAny(value, "{}[]") {
		return `"` + value + `"`
	}
	return value
}

// addRule returns a fix that adds a rule to the end of a view.
func (c *checker) addRule(v *viewModel, request, storage, access string) *edit.Fix {
	text, rules := c.fixable(), v.node.Get("rules")
	if text == nil || !rules.Is(document.List) || len(rules.Items) == 0 {
		return nil
	}
	title := fmt.Sprintf("add a rule for %s to view %s", request, v.name)
	if access == "read-write" {
		access = ""
	}
	last := rules.Items[len(rules.Items)-1]
	members := [][2]string{{"request", request}, {"storage", storage}}
	if access != "" {
		members = append(members, [2]string{"access", access})
	}
	between := ", "
	var parts []string
	flow := c.doc.Form == document.JSON || strings.HasPrefix(string(text.Bytes()[text.Offset(last.Pos):]), "{")
	for _, m := range members {
		key := m[0]
		if c.doc.Form == document.JSON {
			key = strconv.Quote(key)
		}
		parts = append(parts, key+": "+c.written(m[1]))
	}
	if end, ok := text.Token(rules.Pos, ""); ok { // the list is in brackets
		item := "{" + strings.Join(parts, ", ") + "}"
		end.Column-- // before the bracket
		behind, ok := text.Token(last.Pos, last.Written())
		if !ok {
			return nil
		}
		if last.Pos.Line != rules.Pos.Line {
			between = ",\n" + strings.Repeat(" ", last.Pos.Column-1)
		}
		return one(title, c.doc.File, behind, behind, between+item)
	}
	dash := rules.Pos.Column - 1
	if !flow {
		between = "\n" + strings.Repeat(" ", dash+2)
	}
	item := strings.Repeat(" ", dash) + "- "
	if !flow {
		item += strings.Join(parts, between)
	} else {
		item += "{" + strings.Join(parts, ", ") + "}"
	}
	line := text.BlockEnd(last.Pos.Line, dash) + 1
	at := document.Position{Line: line, Column: 1}
	if line > text.Lines() { // the file ends without a newline
		at = text.Position(len(text.Bytes()))
		return one(title, c.doc.File, at, at, "\n"+item)
	}
	return one(title, c.doc.File, at, at, item+"\n")
}

// missingRule returns a fix that adds a rule for a request that a hook uses and no rule of the plug's view has. The storage path is
// that of another view's rule for the request, or a path of the storage schema of that name. It returns nil if there is neither.
func (c *snapChecker) missingRule(p *snapfile.Plug, verb, request string) *edit.Fix {
	i := slices.IndexFunc(c.views, func(v *viewModel) bool { return v.name == c.viewOf(p) })
	wanted, err := path.ParseRequest(request)
	if i < 0 || err != nil || slices.ContainsFunc(wanted, path.Accessor.List) {
		return nil
	}
	v := c.views[i]
	for _, r := range v.rules {
		if path.Overlap(r.Request, wanted) {
			return nil // there is a rule with another access
		}
	}
	access := "read-write"
	if writes, known := viewWord(v.name); known && !writes {
		if verb != "get" {
			return nil // the view's name says that it is only read
		}
		access = "read"
	}
	storage := ""
	c.everyRule(func(r *ruleModel) {
		if r.Request.Bare() == request {
			storage = r.Storage.String()
		}
	})
	for _, candidate := range append([]string{request}, c.below(request)...) {
		if storage != "" {
			break
		}
		if parsed, err := path.ParseStorage(candidate); err == nil {
			if _, err := c.schema.Storage().At(parsed); err == nil {
				storage = candidate
			}
		}
	}
	if storage == "" {
		return nil
	}
	return c.addRule(v, request, storage, access)
}

// below returns the storage paths for a request below each version of the storage schema, the last version first.
func (c *checker) below(request string) []string {
	var list []string
	for _, key := range slices.Backward(c.storage.Get("schema").Keys()) {
		if version.MatchString(key) {
			list = append(list, key+"."+request)
		}
	}
	return list
}

// reachRule returns a fix that adds a rule for an entry of the storage schema that no rule leads to. The rule belongs to the only
// view whose name says that it writes; it returns nil if there is no such view, or several.
func (c *checker) reachRule(way []string) *edit.Fix {
	if slices.ContainsFunc(way, func(step string) bool { return !path.ValidSubkey(step) }) || len(way) == 0 {
		return nil
	}
	request := way
	if version.MatchString(way[0]) {
		request = way[1:]
	}
	var admin *viewModel
	for _, v := range c.views {
		if writes, known := viewWord(v.name); known && writes {
			if admin != nil {
				return nil
			}
			admin = v
		}
	}
	wanted, err := path.ParseRequest(strings.Join(request, "."))
	if admin == nil || err != nil || slices.ContainsFunc(admin.rules, func(r ruleModel) bool { return path.Overlap(r.Request, wanted) }) {
		return nil
	}
	return c.addRule(admin, strings.Join(request, "."), strings.Join(way, "."), "")
}

// failed reports whether snapd refuses the document.
func (c *checker) failed() bool {
	return slices.ContainsFunc(c.list, func(f Finding) bool { return f.File == c.doc.File && f.Level == Error })
}

// renamePlug returns a fix that renames a plug in the snap's file, in the names of its hooks, and in their texts.
func renamePlug(snap *Snap, p *snapfile.Plug, name string) *edit.Fix {
	if snap.Plug(name) != nil || p.Entry.Value == nil {
		return nil
	}
	text := edit.NewText(snap.Text)
	fix := &edit.Fix{Title: fmt.Sprintf("name the plug %s", name), Alone: true}
	ok := true
	replace := func(file string, of *edit.Text, at document.Position, was, is string) {
		start, end, sound := inner(of, at, was)
		ok = ok && sound
		fix.Edits = append(fix.Edits, edit.Edit{File: file, Start: start, End: end, Text: is})
	}
	replace(snap.File, text, p.Entry.KeyPos, p.Name, name)
	for _, section := range []string{"apps", "hooks"} {
		for _, entry := range entriesOf(snap.Top.Get(section)) {
			for _, used := range entry.Value.Get("plugs").List() {
				if used.String() == p.Name {
					replace(snap.File, text, used.Pos, p.Name, name)
				}
			}
			if kind, plug := snapfile.Split(entry.Key); section == "hooks" && kind != "" && plug == p.Name {
				replace(snap.File, text, entry.KeyPos, entry.Key, kind+name)
			}
		}
	}
	for i := range snap.scripts {
		h := &snap.scripts[i]
		if h.File == snap.File {
			continue
		}
		of := edit.NewText(h.text)
		for _, at := range calls.Mentions(h.text, p.Name) {
			replace(h.File, of, at, p.Name, name)
		}
		if kind, plug := snapfile.Split(h.Name); kind != "" && plug == p.Name {
			fix.Rename = append(fix.Rename, edit.Rename{From: h.File, To: strings.TrimSuffix(h.File, h.Name) + kind + name})
		}
	}
	if !ok {
		return nil
	}
	return fix
}

// renameHook returns a fix that renames the file of a hook.
func renameHook(snap *Snap, h *script, name string) *edit.Fix {
	if name == "" || h.File == snap.File || h.At != (document.Position{}) || snap.hasHook(name) || !strings.HasSuffix(h.File, h.Name) {
		return nil
	}
	return &edit.Fix{Title: "name the hook " + name,
		Rename: []edit.Rename{{From: h.File, To: strings.TrimSuffix(h.File, h.Name) + name}}}
}

// executable returns a fix that makes a file executable.
func executable(file string) *edit.Fix {
	return &edit.Fix{Title: "make it executable", Executable: []string{file}}
}

// emptyHook returns a fix that creates a hook that does nothing.
func emptyHook(snap *Snap, name string) *edit.Fix {
	return &edit.Fix{Title: "add the hook " + name + ", which does nothing",
		Create: []edit.File{{Name: snapfile.HookFolder(snap.File) + "/" + name, Text: "#!/bin/sh\n", Executable: true}}}
}

// viewWord reports whether the name of a view says that the view may write. known is false if the name does not say.
func viewWord(name string) (writes, known bool) {
	words := strings.Split(name, "-")
	if writes, known = viewWords[words[0]]; !known {
		writes, known = viewWords[words[len(words)-1]]
	}
	return writes, known
}

// rewrittenPlug returns a fix that sets an attribute of a plug.
func rewrittenPlug(snap *Snap, p *snapfile.Plug, attribute, is string) *edit.Fix {
	if is == "" {
		return nil
	}
	node := p.Entry.Value.Get(attribute)
	if !node.Is(document.String) {
		return nil
	}
	return rewritten(edit.NewText(snap.Text), snap.File, node.Pos, cmp.Or(node.Text, "none"), is)
}

// meantPlug returns a fix that replaces the name of a plug in a call of snapctl, on the call's line or one of the next three.
func meantPlug(h *script, at document.Position, was, is string) *edit.Fix {
	if is == "" {
		return nil
	}
	for _, place := range calls.Mentions(h.text, was) {
		if place.Line == at.Line && place.Column > at.Column || place.Line > at.Line && place.Line <= at.Line+3 {
			return rewritten(edit.NewText(h.text), h.File, place, was, is)
		}
	}
	return nil
}
