package lint

import (
	"fmt"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/place"
	"aspects-poc/registry/confdb/view"
)

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
