package lint

import (
	"encoding/json"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/place"
	"aspects-poc/registry/confdb/schema"
	"aspects-poc/registry/confdb/view"
)

// A viewModel is a view, less what was refused of it.
type viewModel struct {
	name   string
	entry  document.Entry // as the document has it
	parsed *view.View     // nil if nothing of it is sound
	node   *document.Node // what of it is sound
	rules  []ruleModel
}

// A ruleModel is one rule, those of content included.
type ruleModel struct {
	view.Rule
	view   *viewModel
	node   *document.Node
	parent *ruleModel // of a content rule
}

func (r *ruleModel) at() document.Position {
	if entry := r.node.Entry("storage"); entry != nil {
		return entry.At()
	}
	return r.node.Pos
}

func (r *ruleModel) requestAt() document.Position {
	if entry := r.node.Entry("request"); entry != nil {
		return entry.At()
	}
	return r.at()
}

// readViews asks the engine about each view by itself.
func (c *checker) readViews() {
	views := c.doc.Headers.Get("views")
	if !views.Is(document.Map) {
		return
	}
	if len(views.Entries) == 0 {
		c.add("view", c.doc.Position("views"), "cannot define confdb schema: no views")
		return
	}
	for _, name := range views.Keys() {
		c.readView(name, *views.Entry(name))
	}
}

func (c *checker) readView(name string, entry document.Entry) {
	model := &viewModel{name: name, entry: entry}
	c.views = append(c.views, model)
	storage := permissive(entry.Value)
	if !c.broken {
		storage = c.types.schema
	}
	id := c.account() + "/" + c.doc.Header("name") + "/" + name
	m := &viewMender{tree: entry.Value.Clone(), used: name}
	for i := range maxFindings {
		parsed, err := view.Parse(id, m.used, m.tree.Value(), storage)
		if err == nil {
			model.parsed, model.node = parsed, m.tree
			break
		}
		if c.full = c.full || i == maxFindings-1; c.full {
			return
		}
		steps, badName := place.Of(err)
		at := m.position(steps, entry.KeyPos)
		if badName {
			at = entry.KeyPos
		}
		if !m.consequence(err) {
			code := "view"
			if strings.HasSuffix(err.Error(), "internal error: unexpected Alt schema type along path") {
				code = "alias-alternatives"
			}
			refused, _ := m.tree.Follow(steps...)
			hint := ""
			switch text := err.Error(); {
			case strings.HasSuffix(text, "view rules must be non-empty list"):
				hint = instead(m.tree, "rules")
			case strings.HasSuffix(text, `view rules must have a "storage" field`):
				hint = instead(refused, "storage")
			}
			c.advise(question(hint), code, at, "%s", m.message(err, name))
		}
		if badName {
			m.used = unused
			continue
		}
		hidden := m.mend(steps)
		for _, fault := range m.hiddenFaults(hidden, id) {
			c.add("view", fault.at, "%s", m.message(fault.err, name))
		}
		if m.hopeless {
			return
		}
	}
	if model.parsed == nil {
		return
	}
	rules := model.parsed.Rules()
	model.rules = make([]ruleModel, len(rules))
	for i, rule := range rules {
		node, _ := model.node.Follow(rule.At...)
		model.rules[i] = ruleModel{Rule: rule, view: model, node: node}
		for j := range i {
			if len(rule.At) == len(rules[j].At)+2 && slices.Equal(rules[j].At, rule.At[:len(rule.At)-2]) {
				model.rules[i].parent = &model.rules[j]
			}
		}
	}
}

// account is the account that messages name and plugs must have, "" if nothing tells it.
func (c *checker) account() string {
	if account := c.doc.Header("account-id"); account != "" && !c.doc.Unfilled("account-id") {
		return account
	}
	return c.options.Account
}

// unused stands in for names and paths that cannot be used.
const unused = "not-read"

// permissive is a storage schema that takes all that a view's rules lead to, for when the real one cannot be read.
func permissive(definition *document.Node) *schema.Schema {
	entries := map[string]string{unused: "any"}
	for _, rule := range definition.Get("rules").List() {
		if parsed, err := path.ParseStorage(rule.Get("storage").String()); err == nil && len(parsed) > 0 && parsed[0].Kind == path.Key {
			entries[parsed[0].Name] = "any"
		}
	}
	text, _ := json.Marshal(map[string]any{"schema": entries})
	parsed, err := schema.Parse(text)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return parsed
}
