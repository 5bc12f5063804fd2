package lint

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/confdb/schema"
)

// checkReach reports storage that no rule reaches, and storage that rules only read or only write.
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
		c.unreached(nil, c.root(), document.Position{})
	}
}

// unreached reports the uppermost storage paths for which no rule leads to the path, above it or below it.
func (c *checker) unreached(way []string, d schema.Definition, at document.Position) {
	if len(way) > 0 && !c.anyRule(func(r *ruleModel) bool { return agree(r.Storage, way) }) {
		if c.doc.Headers.Get("views") != nil { // else checkHeaders reports it
			c.add("storage-unreached", at, "no rule leads to %q", dotted(way)).Fix = c.reachRule(way)
		}
		return
	}
	if len(way) > deepDefinitions || c.anyRule(func(r *ruleModel) bool { return covers(r.Storage, way) }) {
		return
	}
	for _, child := range d.Below() {
		inner, below := slices.Clip(way), c.node(child.Definition).Pos
		if d.Fixed() {
			below = c.position(child.At)
		}
		if child.Step != "" {
			inner = append(inner, child.Step)
		}
		c.unreached(inner, child.Definition, below)
	}
}

var version = regexp.MustCompile(`^v[0-9]+$`)

// checkTypes checks the storage schema by itself.
func (c *checker) checkTypes() {
	if entries := c.storage.Get("schema"); !slices.ContainsFunc(entries.Keys(), version.MatchString) && len(entries.Keys()) > 0 {
		c.add("version-prefix", c.storage.Entry("schema").KeyPos, "%q is stored without a version such as v1 before it", entries.Keys()[0]).Fix = c.prefixStorage()
	}
	for _, d := range c.schema.Storage().Written() {
		c.checkDefinition(c.node(d), d)
	}
	used := map[string]bool{} // also in definitions that snapd refuses
	references(c.storage, used)
	for _, alias := range c.storage.Get("aliases").Keys() {
		if !used["${"+alias+"}"] {
			c.add("alias-unused", c.storage.Get("aliases").Entry(alias).KeyPos, "nothing uses the alias %q", alias)
		}
	}
	walk(c.root(), func(at step) {
		c.checkNamedSecret(at)
		if at.Secret() && slices.Contains(at.way, schema.Element) &&
			c.anyRule(func(r *ruleModel) bool {
				return r.Readable && agree(r.Storage, at.way) && slices.ContainsFunc(r.Storage, path.Accessor.List)
			}) {
			c.add("secret-in-list", c.node(at.Definition).Pos, "%q is a secret inside a list whose elements can be read one by one", dotted(at.way))
		}
	})
	c.checkRequired()
}

// references adds all texts of a part of a document to texts. The references to aliases are among them.
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

// checkDefinition checks the keys and values of a definition in the document.
func (c *checker) checkDefinition(n *document.Node, d schema.Definition) {
	if !n.Is(document.Map) || d.Refused() {
		return
	}
	var read []string
	add := func(keys [][2]string) {
		for _, key := range keys {
			read = append(read, key[0])
		}
	}
	add(document.CommonKeys())
	if d.Alias != "" {
		c.unknown(n, "where an alias is used", read...)
		return
	}
	if n == c.storage {
		read = append(read, "aliases")
	}
	add(document.TypeKeys(d.Kind()))
	c.unknown(n, "of a type "+d.Kind(), read...)
	min, max := d.Bounds()
	for name, bound := range map[string]string{"min": min, "max": max} {
		if entry := n.Entry(name); bound != "" && entry.Value.Kind == document.Null {
			c.add("bound-null", entry.At(), "%s: null means 0", name)
		}
	}
	if pattern := d.Pattern(); pattern != nil {
		parsed, err := syntax.Parse(pattern.String(), syntax.Perl)
		if err == nil && !(anchored(parsed, true) && anchored(parsed, false)) {
			c.add("pattern-unanchored", n.Entry("pattern").At(), "pattern %s also matches texts that have more before or behind", pattern)
		}
	}
	if slices.ContainsFunc(d.Required(), func(keys []string) bool { return len(keys) == 0 }) {
		c.add("required-empty", n.Entry("required").At(), `"required" has an empty list, which demands nothing`)
	}
}

// anchored reports whether an expression matches only at the beginning of a text, or only at its end.
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
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL // .* accepts everything, so it needs no anchor
	}
	return false
}

func (c *checker) checkNamedSecret(at step) {
	if len(at.way) == 0 || at.secret || at.Refused() || at.Kind() != "string" && at.Kind() != "any" {
		return
	}
	if !document.SecretName(at.way[len(at.way)-1]) {
		return
	}
	if c.anyRule(func(r *ruleModel) bool { return r.Readable && agree(r.Storage, at.way) }) {
		c.add("secret-unmarked", c.node(at.Definition).Pos, "%q is named like a secret, but is not marked as one", dotted(at.way))
	}
}

// A demand is a map with required keys.
type demand struct {
	way          []string
	combinations [][]string
	at           document.Position
}

// checkRequired reports maps whose required keys no single request can write together. snapd applies the keys of a set one by
// one and validates all data after each. So a set with several keys does not help.
func (c *checker) checkRequired() {
	var demands []demand
	walk(c.root(), func(at step) {
		list := at.Required()
		if len(list) > 0 && !slices.ContainsFunc(list, func(keys []string) bool { return len(keys) == 0 }) {
			demands = append(demands, demand{at.way, list, c.position(at.Meaning, "required")})
		}
	})
	var reported []demand
	for _, wanted := range demands {
		if slices.ContainsFunc(reported, func(d demand) bool { return slices.Equal(d.way, wanted.way[:min(len(d.way), len(wanted.way))]) }) {
			continue // it is inside a map that was reported
		}
		reached, possible := false, false
		for _, v := range c.views {
			for i := range v.rules {
				r := &v.rules[i]
				if !r.Writable || !agree(r.Storage, wanted.way) {
					continue
				}
				reached = true
				for length := 1; length <= len(r.Request) && !possible; length++ {
					together := v.writable(r.Request[:length])
					possible = !slices.ContainsFunc(demands, func(d demand) bool {
						return len(d.way) <= len(wanted.way) && slices.Equal(d.way, wanted.way[:len(d.way)]) && !d.met(together)
					})
				}
			}
		}
		if reached && !possible {
			reported = append(reported, wanted)
			where := "the top level"
			if len(wanted.way) > 0 {
				where = `"` + dotted(wanted.way) + `"`
			}
			c.add("required-first-write", wanted.at, "the first write to %s is refused: no request sets %s together", where,
				`"`+strings.Join(wanted.combinations[0], `", "`)+`"`)
		}
	}
}

// met reports whether the rules write all keys of one of the combinations. One request writes these rules together.
func (d demand) met(together []*ruleModel) bool {
	return slices.ContainsFunc(d.combinations, func(keys []string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool {
			return !slices.ContainsFunc(together, func(r *ruleModel) bool {
				return agree(r.Storage, append(slices.Clip(d.way), key))
			})
		})
	})
}
