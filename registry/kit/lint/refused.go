package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/place"
	"aspects-poc/registry/confdb/schema"
	"aspects-poc/registry/confdb/view"
	"aspects-poc/registry/kit/document"
)

// readStorage asks the engine what it refuses of the storage schema. After each refusal what was refused is taken out of
// a copy, as little as possible, and the engine is asked again; so the grammar is in one place, and yet every fault is
// found. What is left is sound, and the views are read with it.
func (c *checker) readStorage() {
	if c.doc.Storage() == nil {
		c.broken = true
		return
	}
	m := &mender{tree: c.doc.Storage().Clone()}
	for range maxFindings {
		parsed, err := schema.Parse(m.tree.JSON())
		if err == nil {
			c.storage, c.types = m.tree, newTypes(m.tree, parsed)
			return
		}
		steps, name := place.Of(err)
		if !m.consequence(err) {
			_, at := m.tree.Follow(steps...)
			if name {
				at = keyPosition(m.tree, steps, at)
			}
			c.add("storage", at, "%s", err)
		}
		if !m.mend(steps, name) {
			c.broken = true
			return
		}
	}
	c.broken, c.full = true, true
}

func keyPosition(tree *document.Node, steps []string, otherwise document.Position) document.Position {
	if len(steps) == 0 {
		return otherwise
	}
	parent, _ := tree.Follow(steps[:len(steps)-1]...)
	if entry := parent.Entry(steps[len(steps)-1]); entry != nil {
		return entry.KeyPos
	}
	return otherwise
}

// A mender takes what was refused out of a storage schema.
type mender struct {
	tree *document.Node
	gone []string // aliases that are not what their author meant any more
	none bool     // there are no aliases at all any more
	last string
}

// consequence tells whether a refusal is only due to what was taken out before.
func (m *mender) consequence(err error) bool {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	text := err.Error()
	if m.none && strings.HasPrefix(text, "cannot find alias ") {
		return true
	}
	return slices.ContainsFunc(m.gone, func(alias string) bool {
		return text == fmt.Sprintf("cannot find alias %q", alias) || text == fmt.Sprintf("key type %q must be based on string", alias)
	})
}

// mend takes out what is at a place, and tells whether it could.
func (m *mender) mend(steps []string, name bool) bool {
	mark := strings.Join(steps, "\x00")
	again := m.last == mark && !name
	m.last = mark
	if name {
		parent, _ := m.tree.Follow(steps[:len(steps)-1]...)
		parent.Delete(steps[len(steps)-1])
		m.forget(steps)
		return true
	}
	definition, owner, constraint := m.definition(steps)
	switch {
	case definition == nil:
		return false
	case owner != nil && constraint != "" && constraint != "type" && !again: // of the keys of a map
		definition.Delete(constraint)
		return true
	case owner != nil && owner.Get("schema") != nil:
		owner.Delete("keys")
		return true
	case owner != nil:
		*definition = document.Node{Kind: document.String, Text: "string", Pos: definition.Pos}
		return true
	case constraint == "aliases":
		m.tree.Delete("aliases")
		m.none = true
		return true
	case constraint == "values" && definition.Get("schema") != nil, constraint == "type" && definition == m.tree,
		constraint != "" && !structural[constraint] && !again:
		definition.Delete(constraint)
		return true
	case constraint == "" && len(steps) == 2 && steps[0] == "aliases" && strip(definition):
		return true // ephemeral and visibility cannot be in an alias
	case definition == m.tree:
		return false
	}
	*definition = document.Node{Kind: document.String, Text: "any", Pos: definition.Pos}
	m.forget(steps)
	return true
}

// structural are the constraints without which a definition is none.
var structural = map[string]bool{"schema": true, "keys": true, "values": true, "type": true}

func (m *mender) forget(steps []string) {
	if len(steps) >= 2 && steps[0] == "aliases" {
		m.gone = append(m.gone, steps[1])
	}
}

// definition returns the innermost type definition on the way to a place, and the constraint of it that the place is, ""
// for the definition as a whole. If it is the type of a map's keys, the map is its owner.
func (m *mender) definition(steps []string) (definition, owner *document.Node, constraint string) {
	definition = m.tree
	for i := 0; i < len(steps); i++ {
		step := steps[i]
		var next *document.Node
		switch {
		case definition.Is(document.List):
			next, _ = definition.Follow(step)
		case (step == "schema" || step == "aliases") && i+1 < len(steps):
			i++
			next = definition.Get(step).Get(steps[i])
		case step == "values" && (definition.Get("schema") == nil || i+1 < len(steps)), step == "keys":
			next = definition.Get(step)
		}
		if next == nil {
			return definition, owner, step
		}
		if owner = nil; step == "keys" {
			owner = definition
		}
		definition = next
	}
	return definition, owner, ""
}

// strip takes out ephemeral and visibility everywhere, and tells whether there were any.
func strip(n *document.Node) bool {
	found := false
	if n.Is(document.Map) {
		for _, key := range []string{"ephemeral", "visibility"} {
			if n.Get(key) != nil {
				n.Delete(key)
				found = true
			}
		}
	}
	for _, item := range n.Items {
		found = strip(item) || found
	}
	for _, entry := range n.Entries {
		found = strip(entry.Value) || found
	}
	return found
}

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
			c.add(code, at, "%s", m.message(err, name))
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

// account is the account that messages name.
func (c *checker) account() string {
	if account := c.doc.Header("account-id"); account != "" {
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

// A viewMender takes what was refused out of a view.
type viewMender struct {
	tree         *document.Node
	used         string // the name it is read under
	noParameters bool
	hopeless     bool // nothing is left to be read
}

func (m *viewMender) message(err error, name string) string {
	if m.used == name {
		return err.Error()
	}
	return strings.Replace(err.Error(), strconv.Quote(m.used), strconv.Quote(name), 1)
}

func (m *viewMender) consequence(err error) bool {
	return m.noParameters && strings.Contains(err.Error(), "must be declared in \"parameters\" stanza")
}

func (m *viewMender) position(steps []string, otherwise document.Position) document.Position {
	node, at := m.tree.Follow(steps...)
	if node == nil && len(steps) > 0 && steps[len(steps)-1] == "request" {
		_, at = m.tree.Follow(append(slices.Clone(steps[:len(steps)-1]), "storage")...)
	}
	if node.Is(document.Map) && len(steps) > 0 && node.Get("storage") != nil {
		at = node.Entry("storage").At() // a rule as a whole: its paths are what is meant
		if request := node.Entry("request"); request != nil {
			at = request.At()
		}
	}
	if at == (document.Position{}) || len(steps) == 0 {
		return otherwise
	}
	return at
}

// mend takes out what is at a place. Where a rule's own paths are refused, its content rules go with it: they are
// returned, since they may have faults of their own.
func (m *viewMender) mend(steps []string) (hidden *document.Node) {
	if len(steps) == 0 || !m.tree.Is(document.Map) {
		m.hopeless = true
		return nil
	}
	switch steps[0] {
	case "rules":
	case "parameters":
		parameters := m.tree.Get("parameters")
		switch {
		case len(steps) == 1:
			m.tree.Delete("parameters")
			m.noParameters = true
		case len(steps) == 2:
			parameters.Set(steps[1], &document.Node{Kind: document.Map})
		default:
			parameters.Get(steps[1]).Delete(steps[2])
		}
		return nil
	default:
		m.tree.Delete(steps[0])
		return nil
	}
	// The list that the rule is in, and the field that is meant.
	last := len(steps) - 1
	field := ""
	if _, err := strconv.Atoi(steps[last]); err != nil {
		field, last = steps[last], last-1
	}
	if last < 1 {
		m.hopeless = true // no rules
		return nil
	}
	list, _ := m.tree.Follow(steps[:last]...)
	index, _ := strconv.Atoi(steps[last])
	rule := list.Items[index]
	switch {
	case field == "content":
		rule.Delete("content")
	case field == "access" && last > 1:
		rule.Delete("access")
	case field == "access":
		// Whatever was meant: as a rule for writing it does not clash with others.
		rule.Set("access", &document.Node{Kind: document.String, Text: "write"})
	default:
		var instead []*document.Node
		if sound(rule) {
			instead = lifted(rule, last == 1)
		} else {
			hidden = rule.Get("content")
		}
		list.Items = slices.Replace(list.Items, index, index+1, instead...)
		if len(list.Items) == 0 {
			// An empty list is a fault that its author did not make.
			if last == 1 {
				m.hopeless = true
				return hidden
			}
			parent, _ := m.tree.Follow(steps[:last-1]...)
			parent.Delete("content")
		}
	}
	return hidden
}

// sound tells whether a rule's own paths can be read, so that they can be put before those of its content.
func sound(rule *document.Node) bool {
	storage, request := rule.Get("storage").String(), rule.Get("request")
	if _, err := path.ParseStorage(storage); err != nil || storage == "" {
		return false
	}
	if request == nil {
		return true
	}
	_, err := path.ParseRuleRequest(request.String())
	return err == nil && request.String() != ""
}

// lifted returns the content rules of a rule as rules in its place.
func lifted(rule *document.Node, top bool) []*document.Node {
	storage := rule.Get("storage").String()
	request := storage
	if given := rule.Get("request"); given != nil {
		request = given.String()
	}
	var rules []*document.Node
	for _, inner := range rule.Get("content").List() {
		if !inner.Is(document.Map) || !inner.Get("storage").Is(document.String) {
			continue
		}
		own := inner.Get("request")
		if own == nil {
			own = inner.Get("storage")
		}
		inner.Set("request", &document.Node{Kind: document.String, Text: joined(request, own.String()), Pos: own.Pos})
		stored := inner.Get("storage")
		inner.Set("storage", &document.Node{Kind: document.String, Text: joined(storage, stored.String()), Pos: stored.Pos})
		if access := rule.Get("access"); access != nil && top {
			inner.Set("access", access.Clone())
		}
		rules = append(rules, inner)
	}
	return rules
}

func joined(parent, child string) string {
	if strings.HasPrefix(child, "[") {
		return parent + child
	}
	return parent + "." + child
}

// A viewFault is a refusal and its place in the file.
type viewFault struct {
	at  document.Position
	err error
}

// hiddenFaults reads content rules whose parent cannot be read below one that can. What is said about their paths is left
// out: it would name the wrong ones.
func (m *viewMender) hiddenFaults(content *document.Node, id string) []viewFault {
	if !content.Is(document.List) || len(content.Items) == 0 {
		return nil
	}
	text := func(s string) *document.Node { return &document.Node{Kind: document.String, Text: s} }
	parent := &document.Node{Kind: document.Map, Entries: []document.Entry{
		{Key: "request", Value: text(unused)}, {Key: "storage", Value: text(unused)}, {Key: "content", Value: content}}}
	rules := &document.Node{Kind: document.List, Items: []*document.Node{parent}}
	inner := &viewMender{used: m.used, tree: &document.Node{Kind: document.Map, Entries: []document.Entry{{Key: "rules", Value: rules}}}}
	var faults []viewFault
	for range maxFindings {
		_, err := view.Parse(id, inner.used, inner.tree.Value(), permissive(inner.tree))
		if err == nil {
			break
		}
		steps, _ := place.Of(err)
		if !strings.Contains(strings.TrimPrefix(err.Error(), fmt.Sprintf("cannot define view %q", inner.used)), unused) {
			faults = append(faults, viewFault{inner.position(steps, content.Pos), err})
		}
		if len(steps) < 4 {
			break // nothing but the parent is left
		}
		faults = append(faults, m.hiddenFaults(inner.mend(steps), id)...)
		if inner.hopeless {
			break
		}
	}
	return faults
}
