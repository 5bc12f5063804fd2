package editor

import (
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/registry/confdb/path"
)

// An Item is a completion: a text that can be written at a position.
type Item struct {
	Label  string
	Detail string // description in a few words
	Role   string // keyword, type, value, or a Role
	Edit   edit.Edit
}

// Complete returns the completions at a position of a file. For a document that cannot be parsed, it uses the last version that
// could.
func (p *Project) Complete(file string, at document.Position) []Item {
	text := p.workspace.Text(file)
	var items []suggestion
	var typed string
	switch kindOf(file) {
	case schema:
		c := contextAt(text, at)
		items, typed = p.completeSchema(file, at, c), c.typed
	case snap:
		c := contextAt(text, at)
		items, typed = p.completeSnap(file, c), c.typed
	case hook:
		items, typed = p.completeHook(file, text, at)
	case test:
		items, typed = p.completeTest(file, text, at)
	}
	var list []Item
	start := at
	start.Column -= len([]rune(typed))
	for _, s := range items {
		if slices.ContainsFunc(list, func(i Item) bool { return i.Label == s.label }) {
			continue
		}
		list = append(list, Item{s.label, s.detail, s.role, edit.Edit{File: file, Start: start, End: at, Text: s.label + s.behind}})
	}
	return list
}

// A suggestion is an Item without its place. behind is a text to write behind the label.
type suggestion struct{ label, detail, role, behind string }

// The keys of maps with their descriptions, in the order in which people write them.
var (
	headerKeys = [][2]string{{"account-id", "the account that publishes it"}, {"name", "name of the confdb-schema"}, {"revision", "a number, higher with each change"},
		{"timestamp", "when it is signed"}, {"summary", "what it is for"}, {"views", "how snaps see the storage"}, {"storage", "types of what is stored"},
		{"type", "confdb-schema"}, {"authority-id", "the account that signs it"}}
	viewKeys    = [][2]string{{"summary", "what the view is for"}, {"rules", "which request leads to which storage"}, {"parameters", "values that requests may have"}}
	ruleKeys    = [][2]string{{"request", "path in snapctl and snap set"}, {"storage", "path in the storage schema"}, {"access", "read, write or read-write"}, {"content", "rules for what is inside"}}
	storageKeys = [][2]string{{"aliases", "types with a name"}}
	types       = [][2]string{{"string", "a text"}, {"int", "a whole number"}, {"number", "a number"}, {"bool", "true or false"}, {"map", "entries with names"},
		{"array", "a list"}, {"any", "anything"}}
	plugKeys = [][2]string{{"interface", "confdb"}, {"account", "the account of the confdb-schema"}, {"view", "SCHEMA/VIEW"}, {"role", "custodian, or left out"}}
)

func keywords(lists ...[][2]string) []suggestion {
	var out []suggestion
	for _, list := range lists {
		for _, k := range list {
			out = append(out, suggestion{k[0], k[1], "keyword", ": "})
		}
	}
	return out
}

func values(role string, pairs ...string) []suggestion {
	var out []suggestion
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, suggestion{label: pairs[i], detail: pairs[i+1], role: role})
	}
	return out
}

func (p *Project) completeSchema(file string, at document.Position, c context) []suggestion {
	s := p.schemaIn(file, at.Line)
	json := strings.HasPrefix(strings.TrimSpace(string(p.workspace.Text(file).Bytes())), "{")
	items := p.schemaItems(s, c)
	for i := range items {
		if !c.key {
			continue
		}
		if json { // a key in quotes, whose colon follows
			items[i].behind = ""
		} else if c.quoted {
			items[i].behind = ""
		} else if c.flow || items[i].role != "keyword" || !contains([]string{"views", "storage", "rules", "schema", "aliases", "parameters", "content"}, items[i].label) {
			continue
		} else {
			items[i].behind = ":"
		}
	}
	return items
}

func (p *Project) schemaItems(s *Schema, c context) []suggestion {
	if len(c.path) == 0 {
		return keywords(headerKeys)
	}
	if rest, ok := c.under("storage"); ok {
		return p.typeItems(s, c, rest)
	}
	if rest, ok := c.under("body", "storage"); ok {
		return p.typeItems(s, c, rest)
	}
	switch {
	case c.is("views", "*") && c.key:
		return keywords(viewKeys)
	case c.is("views", "*", "parameters", "*") && c.key:
		return keywords([][2]string{{"presence", "optional, or required on reads"}, {"summary", "what it is"}})
	case c.is("views", "*", "parameters", "*", "presence"):
		return values("value", "required", "a read has to have it", "optional", "as if left out")
	}
	rest, ok := c.under("views", "*", "rules", "[]")
	if !ok || s == nil {
		return nil
	}
	for len(rest) >= 2 && rest[0] == "content" && rest[1] == "[]" {
		rest = rest[2:]
	}
	switch {
	case len(rest) == 0 && c.key:
		return keywords(ruleKeys)
	case len(rest) == 1 && rest[0] == "access":
		return values("value", "read", "it can be read", "write", "it can be written", "read-write", "both, as if left out")
	case len(rest) == 1 && (rest[0] == "storage" || rest[0] == "request"):
		return s.pathItems(c, rest[0] == "request")
	}
	return nil
}

// pathItems returns the storage paths of a schema, or the request paths that they suggest.
func (s *Schema) pathItems(c context, request bool) []suggestion {
	depth := strings.Count(strings.Join(c.path, " "), "content")
	if depth > 0 {
		return nil // only the whole document has the rule around this one
	}
	var out []suggestion
	s.ways(s.Storage(), "", 0, func(way string, n *document.Node) {
		detail := typeOf(n)
		if request {
			first, rest, found := strings.Cut(way, ".")
			if found && len(first) > 1 && first[0] == 'v' && strings.Trim(first[1:], "0123456789") == "" {
				way = rest
			}
		}
		if strings.ContainsAny(way, "{[") && !c.quoted {
			way = `"` + way + `"`
		}
		out = append(out, suggestion{label: way, detail: detail, role: string(Storage)})
	})
	return out
}

// ways calls visit with each storage path of a schema, and the definition at its end.
func (s *Schema) ways(n *document.Node, way string, depth int, visit func(way string, n *document.Node)) {
	if depth > 12 {
		return
	}
	for _, n := range s.resolved(n, 0) {
		for _, entry := range entries(n.Get("schema")) {
			inner := entry.Key
			if way != "" {
				inner = way + "." + entry.Key
			}
			visit(inner, entry.Value)
			s.ways(entry.Value, inner, depth+1, visit)
		}
		if inner := n.Get("values"); inner != nil {
			next := strings.TrimPrefix(way+".{name}", ".")
			if n.Get("type").String() == "array" {
				next = way + "[{n}]"
			}
			visit(next, inner)
			s.ways(inner, next, depth+1, visit)
		}
	}
}

// typeOf returns the type of a definition in a few words.
func typeOf(n *document.Node) string {
	switch {
	case n.Is(document.String):
		return n.Text
	case n.Is(document.List):
		var parts []string
		for _, item := range n.Items {
			parts = append(parts, typeOf(item))
		}
		return strings.Join(parts, " or ")
	case n.Is(document.Map):
		if t := n.Get("type").String(); t != "" {
			return t
		}
		return "map"
	}
	return ""
}

func (p *Project) typeItems(s *Schema, c context, rest []string) []suggestion {
	last := ""
	if len(rest) > 0 {
		last = rest[len(rest)-1]
	}
	names := func() []suggestion {
		out := values("type")
		for _, t := range types {
			out = append(out, suggestion{label: t[0], detail: t[1], role: "type"})
		}
		if s != nil {
			for _, alias := range entries(s.Storage().Get("aliases")) {
				out = append(out, suggestion{label: "${" + alias.Key + "}", detail: "alias for " + typeOf(alias.Value), role: string(Alias)})
			}
		}
		return out
	}
	_, definition := defines(rest)
	switch {
	case c.key && (len(rest) == 0 || definition):
		node := s.at(rest)
		known := typeOf(node)
		lists := [][][2]string{document.CommonKeys()}
		if more := document.TypeKeys(known); more != nil {
			lists = [][][2]string{more, document.CommonKeys()}
		} else {
			for _, name := range []string{"map", "array", "string", "int"} {
				lists = append(lists, document.TypeKeys(name))
			}
		}
		if len(rest) == 0 {
			lists = [][][2]string{document.TypeKeys("map"), storageKeys, document.CommonKeys()}
		}
		return keywords(lists...)
	case c.key:
		return nil // the name of an entry
	case last == "type" || definition && last != "":
		return names()
	case last == "ephemeral" || last == "unique":
		return values("value", "true", "", "false", "")
	case last == "visibility":
		return values("value", "secret", "ordinary users do not see it")
	case slices.Contains(rest, "required"):
		var out []suggestion
		for _, entry := range entries(s.at(rest[:slices.Index(rest, "required")]).Get("schema")) {
			out = append(out, suggestion{label: entry.Key, detail: typeOf(entry.Value), role: string(Storage)})
		}
		return out
	}
	return nil
}

// at returns the node at a path of keys inside of the storage schema, or nil.
func (s *Schema) at(keys []string) *document.Node {
	if s == nil {
		return nil
	}
	n := s.Storage()
	for _, key := range keys {
		if key == "[]" {
			return nil
		}
		n = n.Get(key)
	}
	return n
}

func (p *Project) completeSnap(file string, c context) []suggestion {
	var out []suggestion
	switch {
	case c.is("plugs") && c.key:
		for _, s := range p.Schemas {
			for _, view := range s.Headers.Get("views").Keys() {
				out = append(out, suggestion{s.Header("name") + "-" + view, "plug for " + view, string(Plug), ":"})
			}
		}
	case c.is("plugs", "*") && c.key:
		return keywords(plugKeys)
	case c.is("plugs", "*", "interface"):
		return values("value", "confdb", "for a view of a confdb-schema")
	case c.is("plugs", "*", "role"):
		return values("value", "custodian", "the snap's hooks change, refuse and keep what passes")
	case c.is("plugs", "*", "account"):
		for _, s := range p.Schemas {
			if account := s.Header("account-id"); account != "" {
				out = append(out, suggestion{label: account, detail: "of " + s.Header("name"), role: "value"})
			}
		}
	case c.is("plugs", "*", "view"):
		for _, s := range p.Schemas {
			for _, view := range entries(s.Headers.Get("views")) {
				out = append(out, suggestion{label: s.Header("name") + "/" + view.Key, detail: view.Value.Get("summary").String(), role: string(View)})
			}
		}
	case c.is("apps", "*", "plugs", "[]"), c.is("hooks", "*", "plugs", "[]"):
		for _, plug := range p.plugs(file) {
			out = append(out, suggestion{label: plug.Name, detail: plug.View, role: string(Plug)})
		}
	case c.is("hooks") && c.key:
		for _, plug := range p.plugs(file) {
			for _, kind := range []string{"change-view-", "save-view-", "load-view-", "observe-view-"} {
				if plug.Custodian() || !snapfile.CustodianOnly(kind) {
					out = append(out, suggestion{kind + plug.Name, "hook of " + plug.View, string(Hook), ":"})
				}
			}
		}
	}
	return out
}

// plugs returns the confdb plugs of the snap that a file belongs to.
func (p *Project) plugs(file string) []*snapfile.Plug {
	var list []*snapfile.Plug
	if s := p.snapAt(file); s != nil {
		for i := range s.Plugs {
			if s.Plugs[i].Confdb() {
				list = append(list, &s.Plugs[i])
			}
		}
	}
	return list
}

// completeHook returns the plugs, requests and flags for a call of snapctl.
func (p *Project) completeHook(file string, text *edit.Text, at document.Position) ([]suggestion, string) {
	s := p.snapAt(file)
	line := string([]rune(text.Line(at.Line))[:min(at.Column-1, len([]rune(text.Line(at.Line))))])
	whole := line
	for before := at.Line - 1; before >= max(1, at.Line-8) && !strings.Contains(whole, "snapctl"); before-- { // a call on several lines
		whole = text.Line(before) + " " + whole
	}
	all := words(whole, at.Line)
	begin := len(all) - 1
	for begin >= 0 && !isSnapctl(all[begin]) {
		begin--
	}
	if begin < 0 || s == nil {
		return nil, ""
	}
	typed := typedWord(line)
	return p.callItems(s, all[begin:], typed), typed
}

func isSnapctl(w word) bool {
	return w.text == "snapctl" || strings.HasSuffix(w.text, "/snapctl") || strings.HasSuffix(w.text, "`snapctl")
}

// typedWord returns the unfinished word at the end of a line.
func typedWord(line string) string {
	end := strings.LastIndexFunc(line, func(r rune) bool { return !isWord(r) })
	return line[end+1:]
}

// callItems returns the completions at the end of a call of snapctl. The first word of call is snapctl.
func (p *Project) callItems(s *lint.Snap, call []word, typed string) []suggestion {
	if typed != "" && len(call) > 0 {
		call = call[:len(call)-1]
	}
	if len(call) <= 1 {
		return values("keyword", "get", "read", "set", "write", "unset", "remove", "fail", "refuse, with a reason", "is-connected", "ask whether a plug is connected")
	}
	verb := call[1].text
	plug := plugIn(s, call)
	var out []suggestion
	if plug == nil {
		if verb == "get" || verb == "set" || verb == "unset" {
			if !slices.ContainsFunc(call, func(w word) bool { return w.text == "--view" }) {
				out = append(out, suggestion{label: "--view", detail: "of a confdb", role: "keyword", behind: " "})
			}
		}
		for i := range s.Plugs {
			if s.Plugs[i].Confdb() {
				out = append(out, suggestion{label: ":" + s.Plugs[i].Name, detail: s.Plugs[i].View, role: string(Plug)})
			}
		}
		return out
	}
	own, view := p.viewOf(s, plug)
	if own == nil {
		return nil
	}
	return own.requestItems(view, verb == "get", verb == "set")
}

// requestItems returns the requests of a view that can be read, or those that can be written.
func (s *Schema) requestItems(view string, read, assign bool) []suggestion {
	var out []suggestion
	for _, rule := range s.engine().Rules(view) {
		if read && !rule.Readable || !read && !rule.Writable {
			continue
		}
		behind := ""
		if assign {
			behind = "="
		}
		out = append(out, suggestion{rule.Request.Bare(), s.describe(rule.Storage), string(Request), behind})
	}
	return out
}

// describe returns the type at a storage path in a few words.
func (s *Schema) describe(storage path.Path) string {
	if entry := s.resolve(storage); entry != nil {
		return typeOf(entry.Value)
	}
	return storage.Bare()
}

// testCommands are the commands of test scripts, each followed by its description.
var testCommands = []string{"schema", "add confdb-schemas", "install", "install a snap from its source", "declare", "install a snap without files",
	"remove", "remove snaps", "connect", "connect plugs", "disconnect", "disconnect plugs", "system", "set options of the system",
	"configure", "set options of a snap", "store", "replace the stored values", "stored", "print the stored values",
	"set", "write as the administrator", "unset", "unset as the administrator", "get", "read as the administrator",
	"expect", "read and compare", "await", "wait until values match", "fail", "expect a refusal", "snapctl-as", "run snapctl as a snap",
	"run", "run a hook or an app", "ran", "expect that a hook ran", "tasks", "print the last change's tasks", "stdout", "match the output",
	"stderr", "match the errors", "grep", "match a file"}

func (p *Project) completeTest(file string, text *edit.Text, at document.Position) ([]suggestion, string) {
	runes := []rune(text.Line(at.Line))
	line := string(runes[:min(at.Column-1, len(runes))])
	typed := typedWord(line)
	list := command(line, at.Line)
	if typed != "" && len(list) > 0 {
		list = list[:len(list)-1]
	}
	x := &indexer{Project: p, file: file, text: text}
	if len(list) == 0 {
		return values("keyword", testCommands...), typed
	}
	var out []suggestion
	switch name := list[0].text; {
	case viewCommands[name] && len(list) == 1:
		for _, s := range p.Schemas {
			for _, view := range entries(s.Headers.Get("views")) {
				out = append(out, suggestion{label: view.Key, detail: view.Value.Get("summary").String(), role: string(View)})
			}
		}
	case viewCommands[name]:
		if own, view := x.view(list[1].text); own != nil {
			return own.requestItems(view, name == "get" || name == "expect" || name == "await", name != "get" && name != "unset"), typed
		}
	case name == "schema":
		for _, s := range p.Schemas {
			if below, err := filepath.Rel(projectOf(file), s.File); err == nil && filepath.IsLocal(below) {
				out = append(out, suggestion{label: below, detail: "confdb-schema " + s.Header("name"), role: "value"})
			}
		}
	case name == "install":
		for _, s := range p.Snaps {
			if below, err := filepath.Rel(projectOf(file), snapfile.Root(s.File)); err == nil && filepath.IsLocal(below) {
				out = append(out, suggestion{label: below, detail: "snap " + s.Name, role: "value"})
			}
		}
	case contains([]string{"connect", "disconnect", "remove", "configure", "ran", "run", "snapctl-as"}, name) && len(list) == 1:
		for _, s := range p.Snaps {
			out = append(out, suggestion{label: s.Name, detail: s.Summary, role: "value"})
			for i := range s.Plugs {
				if strings.HasSuffix(name, "connect") && s.Plugs[i].Confdb() {
					out = append(out, suggestion{label: s.Name + ":" + s.Plugs[i].Name, detail: s.Plugs[i].View, role: string(Plug)})
				}
			}
		}
	case (name == "ran" || name == "run") && len(list) == 2:
		if s := p.snapNamed(list[1].text); s != nil {
			for _, h := range s.Hooks {
				out = append(out, suggestion{label: h.Name, detail: "hook", role: string(Hook)})
			}
		}
	case name == "snapctl-as" && len(list) > 1:
		if s := p.snapNamed(list[1].text); s != nil {
			call := append([]word{{text: "snapctl"}}, list[2:]...)
			if typed != "" {
				call = append(call, word{text: typed})
			}
			return p.callItems(s, call, typed), typed
		}
	}
	return out, typed
}
