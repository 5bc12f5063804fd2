package lint

import (
	"fmt"
	"slices"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// checkRegrets reports what snapd accepts and people regret later. It checks only the sound parts of the document.
func (c *checker) checkRegrets() {
	for _, view := range c.views {
		c.checkViewName(view)
		c.checkUnknown(view)
		c.checkParameters(view)
		c.checkTwice(view)
		for i := range view.rules {
			c.checkRule(&view.rules[i])
		}
		c.checkPrefixes(view)
	}
	if c.broken {
		return
	}
	for _, view := range c.views {
		c.checkShown(view)
	}
	c.checkReach()
	c.checkNotices()
	c.checkTypes()
}

// everyRule calls visit with each rule of each view.
func (c *checker) everyRule(visit func(*ruleModel)) {
	c.anyRule(func(r *ruleModel) bool { visit(r); return false })
}

// anyRule reports whether something holds for a rule of a view.
func (c *checker) anyRule(holds func(*ruleModel) bool) bool {
	for _, view := range c.views {
		for i := range view.rules {
			if holds(&view.rules[i]) {
				return true
			}
		}
	}
	return false
}

// viewWords are the words at the beginning or end of a view's name that say what the view is for; true means that it may
// write. Canonical's guide (SD247) recommends NAME-admin and NAME-state; its demos have control-NAME and observe-NAME.
var viewWords = map[string]bool{"admin": true, "control": true, "observe": false, "state": false}

func (c *checker) checkViewName(v *viewModel) {
	if len(v.rules) == 0 || !path.ValidSubkey(v.name) {
		return
	}
	mayWrite, known := viewWord(v.name)
	writes := slices.ContainsFunc(v.rules, func(r ruleModel) bool { return r.Writable })
	switch {
	case !known && writes:
		c.add("view-name", v.entry.KeyPos, "view %q can be written: %s-admin would say so", v.name, v.name)
	case !known:
		c.add("view-name", v.entry.KeyPos, "view %q can only be read: %s-state would say so", v.name, v.name)
	case writes && !mayWrite:
		c.add("view-name", v.entry.KeyPos, "view %q can be written, though its name says that it only shows", v.name)
	}
}

func (c *checker) checkUnknown(v *viewModel) {
	c.unknown(v.node, "in a view", "summary", "parameters", "rules")
	for _, name := range v.node.Get("parameters").Keys() {
		c.unknown(v.node.Get("parameters").Get(name), "of a parameter", "presence", "summary")
	}
	for _, rule := range v.rules {
		if rule.parent == nil {
			c.unknown(rule.node, "in a rule", "request", "storage", "access", "content", "summary")
		} else {
			c.unknown(rule.node, "in a content rule", "request", "storage", "access", "content", "summary")
		}
	}
}

// unknown reports the keys of a map that snapd ignores.
func (c *checker) unknown(n *document.Node, where string, known ...string) {
	if !n.Is(document.Map) {
		return
	}
	for _, entry := range n.Entries {
		if !slices.Contains(known, entry.Key) {
			hint := didYouMean(entry.Key, absent(n, known))
			c.advise(hint.question(), "unknown-key", entry.KeyPos, "snapd ignores %q %s", entry.Key, where).Fix =
				meantKey(c.inBody(), c.doc.File, entry, hint.name)
		}
	}
}

// absent returns the keys that a map does not have.
func absent(n *document.Node, keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return n.Get(key) != nil })
}

func (c *checker) checkParameters(v *viewModel) {
	parameters := v.node.Get("parameters")
	for _, name := range parameters.Keys() {
		entry := parameters.Get(name).Entry("presence")
		if entry != nil && (entry.Value.String() == "required" || entry.Value.String() == "required-on-write") {
			c.add("presence-unchecked", entry.At(), "parameter %q is %s, but snapd lets writes go without it", name, entry.Value.Text)
		}
	}
}

// checkTwice reports pairs of writable rules of a view with the same request path and the same storage path.
func (c *checker) checkTwice(v *viewModel) {
	seen := map[[2]string]bool{}
	for i := range v.rules {
		r := &v.rules[i]
		paths := [2]string{r.Request.String(), r.Storage.String()}
		if r.Writable && seen[paths] {
			c.add("rule-twice", r.requestAt(), "request %q is led to storage %q twice", r.Request, r.Storage)
		}
		seen[paths] = seen[paths] || r.Writable
	}
}

// checkRule checks a rule by itself.
func (c *checker) checkRule(r *ruleModel) {
	seen := map[string]bool{}
	for _, accessor := range r.Storage {
		if accessor.Open() && seen[accessor.Bare()] {
			c.add("placeholder-twice", r.at(), "storage %q has the placeholder %s twice", r.Storage, accessor.Bare())
		}
		seen[accessor.Bare()] = true
	}
	if own := r.node.Get("request"); r.parent != nil && own != nil && r.Writable && own.String() != r.node.Get("storage").String() {
		c.add("content-renamed", r.requestAt(), "a value for %q that has %q loses it: the content rule looks for %q only",
			r.parent.Request, r.node.Get("storage").String(), own.String())
	}
	if !c.broken {
		c.checkRuleTypes(r)
	}
}

func (c *checker) checkRuleTypes(r *ruleModel) {
	levels := c.along(r.Storage)
	if _, err := c.schema.Storage().Ephemeral(r.Storage); err != nil {
		c.add("alternatives-path", r.at(), "snapd refuses every access through storage %q: cannot check if it affects ephemeral data: %v",
			r.Storage, err)
	}
	crashes := false
	for i, accessor := range r.Storage {
		refused := ""
		for _, d := range levels[i] {
			if d.KeysOnly() {
				crashes = true
				c.add("map-keys-crash", r.at(), "snapd 2.77 crashes on storage %q: the map at %q has keys but no values", r.Storage, r.Storage[:i])
			}
			reason := ""
			if accessor.Kind == path.Key {
				reason = refusesKey(d, accessor.Name)
			}
			if reason == "" {
				refused = ""
				break
			}
			refused = reason
		}
		if refused != "" {
			c.add("rule-unusable", r.at(), "nothing can be stored at %q: %s", r.Storage, refused)
		}
		if r.Writable && accessor.List() && i+1 < len(r.Storage) &&
			slices.ContainsFunc(levels[i], func(d schema.Definition) bool { return d.Kind() == "any" && !d.Refused() }) {
			c.add("any-null-crash", r.at(), "storage %q goes through a list under \"any\"", r.Storage)
		}
		if crashes {
			return
		}
	}
	if r.Readable {
		c.checkSecret(r, levels)
	}
}

// refusesKey returns why a map can never have a key, or "" if it can.
func refusesKey(d schema.Definition, key string) string {
	keys, ok := d.Keys()
	if !ok {
		return ""
	}
	if choices := keys.Choices(); choices != nil && !slices.Contains(choices, key) {
		return fmt.Sprintf("key %q is none of the choices of the map's keys", key)
	}
	if pattern := keys.Pattern(); pattern != nil && !pattern.MatchString(key) {
		return fmt.Sprintf("key %q does not match the pattern %s of the map's keys", key, pattern)
	}
	return ""
}

func (c *checker) checkSecret(r *ruleModel, levels [][]schema.Definition) {
	onWay := slices.ContainsFunc(levels, func(level []schema.Definition) bool { return slices.ContainsFunc(level, schema.Definition.Secret) })
	if (onWay || slices.ContainsFunc(levels[len(levels)-1], secretInside)) && !c.custodiansOnly(r.view) {
		c.add("secret-readable", r.at(), "request %q of view %q shows a secret", r.Request, r.view.name)
	}
}

// secretInside reports whether a definition or one inside it is secret.
func secretInside(d schema.Definition) bool {
	found := false
	walk(d, func(at step) { found = found || at.secret })
	return found
}

// custodiansOnly reports whether a view cannot be written, and only custodians among Options.Snaps have a plug for it. Custodians
// need such a view to read secrets that other snaps only write.
func (c *checker) custodiansOnly(v *viewModel) bool {
	if slices.ContainsFunc(v.rules, func(r ruleModel) bool { return r.Writable }) {
		return false
	}
	only := false
	for _, snap := range c.options.Snaps {
		for i := range snap.Plugs {
			p := &snap.Plugs[i]
			if !p.Confdb() || c.viewOf(p) != v.name {
				continue
			}
			if !p.Custodian() {
				return false
			}
			only = true
		}
	}
	return only
}

// checkPrefixes checks rules whose requests have a common prefix. snapd divides a value for the prefix among them.
func (c *checker) checkPrefixes(v *viewModel) {
	reported := map[string]bool{}
	once := func(code, prefix string) bool {
		first := !reported[code+prefix]
		reported[code+prefix] = true
		return first
	}
	for i := range v.rules {
		r := &v.rules[i]
		if !r.Writable {
			continue
		}
		for at, accessor := range r.Request {
			if !accessor.Open() {
				continue
			}
			prefix := r.Request[:at+1]
			siblings := v.writable(prefix)
			literal := slices.ContainsFunc(r.Request[at+1:], func(a path.Accessor) bool { return a.Kind == path.Key })
			if accessor.Kind == path.IndexPlaceholder && !v.writesWhole(r, at, false) && once("list-long", prefix.String()) {
				c.add("list-long", r.requestAt(), "a value for %q with eleven or more new elements is refused by snapd", r.Request[:at])
			}
			if !literal || len(siblings) < 2 {
				continue
			}
			if accessor.Kind == path.IndexPlaceholder && !v.writesWhole(r, at, true) && once("list-parts", prefix.String()) {
				c.add("list-parts", r.requestAt(), "a value for one element of %q that lacks a field may hit its neighbour", r.Request[:at])
			}
			if accessor.Kind == path.KeyPlaceholder && at > 0 && once("entries-unset", prefix.String()) {
				c.add("entries-unset", r.requestAt(), "a value for %q in which one entry lacks %q unsets that in all entries", r.Request[:at],
					r.Request[at+1:])
			}
		}
		if len(r.Request) > 1 && v.hasContent(r) && once("content-random", r.Request.String()) {
			for j := range v.rules {
				other := &v.rules[j]
				if other.Writable && other != r && !other.inside(r) && !r.inside(other) && other.Request[0].Bare() == r.Request[0].Bare() {
					c.add("content-random", r.requestAt(), "a value for %q, which is spread over %q, its content and %q, is refused by chance",
						commonPrefix(r.Request, other.Request), r.Request, other.Request)
					break
				}
			}
		}
	}
}

func commonPrefix(a, b path.Path) path.Path {
	n := 0
	for n < min(len(a), len(b)) && a[n].Bare() == b[n].Bare() {
		n++
	}
	return a[:n]
}

func (r *ruleModel) inside(other *ruleModel) bool {
	for up := r.parent; up != nil; up = up.parent {
		if up == other {
			return true
		}
	}
	return false
}

func (v *viewModel) hasContent(r *ruleModel) bool {
	return slices.ContainsFunc(v.rules, func(other ruleModel) bool { return other.Writable && other.parent == r })
}

// writable returns the rules of a view whose requests begin with a prefix and that can be written.
func (v *viewModel) writable(prefix path.Path) []*ruleModel {
	var found []*ruleModel
	for i := range v.rules {
		if r := &v.rules[i]; r.Writable && begins(r.Request, prefix) {
			found = append(found, r)
		}
	}
	return found
}

func begins(request, prefix path.Path) bool {
	return len(request) >= len(prefix) && request[:len(prefix)].Bare() == prefix.Bare()
}

// checkNotices reports views that show single entries of a map, if another rule can unset the whole map. After such an unset, the
// hooks of the views' observers do not run.
func (c *checker) checkNotices() {
	reported := map[string]bool{}
	c.everyRule(func(w *ruleModel) {
		open := slices.IndexFunc(w.Storage, func(a path.Accessor) bool { return a.Kind == path.KeyPlaceholder })
		if !w.Writable || open < 0 {
			return
		}
		asked := slices.IndexFunc(w.Request, func(a path.Accessor) bool { return a.Open() && a.Name == w.Storage[open].Name })
		if asked < 1 {
			return // no request names all entries at once
		}
		c.everyRule(func(r *ruleModel) {
			if len(r.Storage) <= open || r.Storage[open].Kind != path.Key || !path.Overlap(r.Storage, w.Storage) ||
				r.view.parsed.Affected([]path.Path{w.Storage}) {
				return
			}
			what := fmt.Sprintf("an unset of %q through view %q", w.Request[:asked], w.view.name)
			if key := what + r.view.name; !reported[key] {
				reported[key] = true
				c.add("unset-unnoticed", r.at(), "%s is not told to observers of view %q", what, r.view.name)
			}
		})
	})
}
