package lint

import (
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/view"
)

// A viewModel is a view with its places in the document.
type viewModel struct {
	name   string
	entry  document.Entry
	parsed *view.View     // nil if no rule is sound
	node   *document.Node // its definition; nil if no rule is sound
	rules  []ruleModel    // the sound ones
}

// A ruleModel is a rule of a view or a content rule.
type ruleModel struct {
	view.Rule
	view   *viewModel
	node   *document.Node
	parent *ruleModel // of a content rule; nil if that is not sound
}

func newViewModel(name string, entry document.Entry, schema *confdb.Schema) *viewModel {
	v := &viewModel{name: name, entry: entry}
	rules := schema.Rules(name)
	if len(rules) == 0 {
		return v
	}
	v.parsed, v.node, v.rules = schema.View(name), entry.Value, make([]ruleModel, len(rules))
	byPlace := map[string]*ruleModel{}
	for i, rule := range rules {
		node, _ := v.node.Follow(rule.At...)
		v.rules[i] = ruleModel{Rule: rule, view: v, node: node, parent: byPlace[strings.Join(rule.At[:len(rule.At)-2], ".")]}
		byPlace[strings.Join(rule.At, ".")] = &v.rules[i]
	}
	return v
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
