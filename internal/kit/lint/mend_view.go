package lint

import (
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
)

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
