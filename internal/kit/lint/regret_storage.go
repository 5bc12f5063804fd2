package lint

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
)

// checkReach finds what no rule leads to, or only one way.
func (c *checker) checkReach() {
	c.everyRule(func(r *ruleModel) {
		overlaps := func(other *ruleModel) bool { return path.Overlap(r.Storage, other.Storage) }
		if r.Readable && !r.Writable && !c.anyRule(func(w *ruleModel) bool { return w.Writable && overlaps(w) }) {
			c.add("never-written", r.at(), "request %q of view %q shows %q, which no rule writes", r.Request, r.view.name, r.Storage)
		}
		if r.Writable && !r.Readable && !c.anyRule(func(o *ruleModel) bool { return o.Readable && overlaps(o) }) {
			c.add("never-read", r.at(), "request %q of view %q writes %q, which no rule shows", r.Request, r.view.name, r.Storage)
		}
	})
	complete := true
	for _, v := range c.views {
		complete = complete && v.parsed != nil
	}
	if complete {
		c.unreached(nil, c.types.define(c.types.root), document.Position{})
	}
}

// unreached reports the uppermost entries that no rule leads to, into or through.
func (c *checker) unreached(steps []string, d definition, at document.Position) {
	if len(steps) > 0 && !c.anyRule(func(r *ruleModel) bool { return along(r.Storage, steps) }) {
		if c.doc.Headers.Get("views") == nil {
			return // which is told
		}
		c.add("storage-unreached", at, "no rule leads to %q", dotted(steps))
		return
	}
	if len(steps) > deepDefinitions || c.anyRule(func(r *ruleModel) bool { return covers(r.Storage, steps) }) {
		return
	}
	for _, child := range c.types.below(d) {
		below := child.node.Pos
		if entry := d.means.Get("schema").Entry(child.step); entry != nil && d.kind == "map" {
			below = entry.At()
		}
		inner := slices.Clip(steps)
		if child.step != "" {
			inner = append(inner, child.step)
		}
		c.unreached(inner, child.definition, below)
	}
}

var version = regexp.MustCompile(`^v[0-9]+$`)

// checkTypes looks at the storage schema by itself.
func (c *checker) checkTypes() {
	if entries := c.storage.Get("schema"); !slices.ContainsFunc(entries.Keys(), version.MatchString) && len(entries.Keys()) > 0 {
		c.add("version-prefix", c.storage.Entry("schema").KeyPos, "%q is stored without a version such as v1 before it", entries.Keys()[0])
	}
	c.eachDefinition(c.storage, false, func(n *document.Node, keys bool) {
		d := c.types.define(n)
		if keys && n.Is(document.Map) && n.Get("type") == nil {
			d.kind = "string" // which is all that keys can be
		}
		c.checkDefinition(n, d)
	})
	used := map[string]bool{} // also by what is refused
	references(c.doc.Storage(), used)
	for _, alias := range c.storage.Get("aliases").Keys() {
		if !used["${"+alias+"}"] {
			c.add("alias-unused", c.storage.Get("aliases").Entry(alias).KeyPos, "nothing uses the alias %q", alias)
		}
	}
	c.types.walk(func(steps []string, d definition) {
		c.checkNamedSecret(steps, d)
		if d.secret() && slices.Contains(steps, "[]") &&
			c.anyRule(func(r *ruleModel) bool {
				return r.Readable && along(r.Storage, steps) && slices.ContainsFunc(r.Storage, path.Accessor.List)
			}) {
			c.add("secret-in-list", d.node.Pos, "%q is a secret inside a list whose elements can be read one by one", dotted(steps))
		}
	})
	c.checkRequired()
}

// references collects the texts of a document's part, among which are the uses of aliases.
func references(n *document.Node, texts map[string]bool) {
	if n == nil {
		return
	}
	texts[n.String()] = true
	for _, item := range n.Items {
		references(item, texts)
	}
	for _, entry := range n.Entries {
		references(entry.Value, texts)
	}
}

// eachDefinition calls back with each type definition as it is written, those of aliases and of maps' keys included.
func (c *checker) eachDefinition(n *document.Node, keys bool, visit func(n *document.Node, keys bool)) {
	if n == nil {
		return
	}
	visit(n, keys)
	for _, item := range n.List() {
		c.eachDefinition(item, false, visit)
	}
	if !n.Is(document.Map) {
		return
	}
	for _, container := range []string{"aliases", "schema"} {
		if entries := n.Get(container); entries.Is(document.Map) && (container == "schema" || n == c.storage) {
			for _, name := range entries.Keys() {
				c.eachDefinition(entries.Get(name), false, visit)
			}
		}
	}
	c.eachDefinition(n.Get("keys"), true, visit)
	c.eachDefinition(n.Get("values"), false, visit)
}

// constraints are what snapd reads of a definition, beside type, ephemeral and visibility.
var constraints = map[string][]string{
	"string": {"choices", "pattern"}, "int": {"choices", "min", "max"}, "number": {"choices", "min", "max"},
	"map": {"schema", "required", "keys", "values"}, "array": {"values", "unique"},
}

func (c *checker) checkDefinition(n *document.Node, d definition) {
	if !n.Is(document.Map) {
		return
	}
	read := []string{"type", "ephemeral", "visibility"}
	where := "of a type " + d.kind
	switch {
	case d.alias != "":
		where = "where an alias is used"
	case n == c.storage:
		read = append(append(read, "aliases"), constraints["map"]...)
	default:
		read = append(read, constraints[d.kind]...)
	}
	c.unknown(n, where, read...)
	for _, bound := range []string{"min", "max"} {
		if entry := n.Entry(bound); entry != nil && entry.Value.Kind == document.Null {
			c.add("bound-null", entry.At(), "%s: null means 0", bound)
		}
	}
	if entry := n.Entry("pattern"); entry != nil && entry.Value.Kind == document.String {
		if parsed, err := syntax.Parse(entry.Value.Text, syntax.Perl); err == nil && !(anchored(parsed, true) && anchored(parsed, false)) {
			c.add("pattern-unanchored", entry.At(), "pattern %s also matches texts that have more before or behind", entry.Value.Text)
		}
	}
	if entry := n.Entry("required"); entry != nil && d.kind == "map" {
		combinations := combinations(entry.Value)
		if len(combinations) == 0 || slices.ContainsFunc(combinations, func(keys []string) bool { return len(keys) == 0 }) {
			c.add("required-empty", entry.At(), `"required" has an empty list, which demands nothing`)
		}
	}
}

// anchored tells whether an expression matches only at the begin, or the end, of a text.
func anchored(re *syntax.Regexp, begin bool) bool {
	switch re.Op {
	case syntax.OpBeginText, syntax.OpBeginLine:
		return begin
	case syntax.OpEndText, syntax.OpEndLine:
		return !begin
	case syntax.OpCapture:
		return anchored(re.Sub[0], begin)
	case syntax.OpConcat:
		if begin {
			return anchored(re.Sub[0], begin)
		}
		return anchored(re.Sub[len(re.Sub)-1], begin)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !anchored(sub, begin) })
	case syntax.OpStar:
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL // everything is meant
	}
	return false
}

func combinations(required *document.Node) [][]string {
	var list [][]string
	var flat []string
	for _, item := range required.List() {
		if item.Is(document.List) {
			var keys []string
			for _, key := range item.Items {
				keys = append(keys, key.String())
			}
			list = append(list, keys)
			continue
		}
		flat = append(flat, item.String())
	}
	if flat != nil {
		list = append(list, flat)
	}
	return list
}

var secretWords = []string{"password", "passwd", "passphrase", "psk", "secret", "secret-key", "private-key", "api-key", "token",
	"credential", "credentials"}

func (c *checker) checkNamedSecret(steps []string, d definition) {
	if len(steps) == 0 || d.kind != "string" && d.kind != "any" {
		return
	}
	name := steps[len(steps)-1]
	if !slices.ContainsFunc(secretWords, func(word string) bool { return name == word || strings.HasSuffix(name, "-"+word) }) {
		return
	}
	hidden := false
	readable := c.anyRule(func(r *ruleModel) bool { return r.Readable && along(r.Storage, steps) })
	c.types.walk(func(above []string, outer definition) {
		if outer.secret() && len(above) <= len(steps) && slices.Equal(above, steps[:len(above)]) {
			hidden = true
		}
	})
	if readable && !hidden {
		c.add("secret-unmarked", d.node.Pos, "%q is named like a secret, but is not marked as one", dotted(steps))
	}
}

// A demand is a map with required keys.
type demand struct {
	steps        []string
	combinations [][]string
	at           document.Position
}

// checkRequired finds maps whose required keys no single request can write together. snapd applies the keys of a set one
// by one and looks at all of the data after each, so that several keys do not help.
func (c *checker) checkRequired() {
	var demands []demand
	c.types.walk(func(steps []string, d definition) {
		required := d.means.Entry("required")
		if d.kind != "map" || required == nil {
			return
		}
		list := combinations(required.Value)
		if len(list) > 0 && !slices.ContainsFunc(list, func(keys []string) bool { return len(keys) == 0 }) {
			demands = append(demands, demand{slices.Clone(steps), list, required.At()})
		}
	})
	var told []demand
	for _, wanted := range demands {
		if slices.ContainsFunc(told, func(d demand) bool { return slices.Equal(d.steps, wanted.steps[:min(len(d.steps), len(wanted.steps))]) }) {
			continue // it is inside of one that cannot be written at all
		}
		reached, possible := false, false
		for _, v := range c.views {
			for i := range v.rules {
				r := &v.rules[i]
				if !r.Writable || !along(r.Storage, wanted.steps) {
					continue
				}
				reached = true
				for length := 1; length <= len(r.Request) && !possible; length++ {
					together := v.writable(r.Request[:length])
					possible = !slices.ContainsFunc(demands, func(d demand) bool {
						return len(d.steps) <= len(wanted.steps) && slices.Equal(d.steps, wanted.steps[:len(d.steps)]) && !d.met(together)
					})
				}
			}
		}
		if reached && !possible {
			told = append(told, wanted)
			where := "the top level"
			if len(wanted.steps) > 0 {
				where = `"` + dotted(wanted.steps) + `"`
			}
			c.add("required-first-write", wanted.at, "the first write to %s is refused: no request sets %s together", where,
				`"`+strings.Join(wanted.combinations[0], `", "`)+`"`)
		}
	}
}

// met tells whether rules that one request writes together write all keys of one of the combinations.
func (d demand) met(together []*ruleModel) bool {
	return slices.ContainsFunc(d.combinations, func(keys []string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool {
			return !slices.ContainsFunc(together, func(r *ruleModel) bool {
				return along(r.Storage, append(slices.Clip(d.steps), key))
			})
		})
	})
}
