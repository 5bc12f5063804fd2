package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
)

// A comparison is of two storage schemas that the engine takes.
type comparison struct{ old, new *types }

// A change is something that data, or those who rely on it, may not survive.
type change struct {
	code string
	at   document.Position
	text string
}

func where(steps []string) string {
	if len(steps) == 0 {
		return "the top level"
	}
	return strconv.Quote(dotted(steps))
}

// types returns the changes from one definition to another: data that the first took and the second might refuse, and
// marks that differ. at is where people look for the second.
func (x comparison) types(steps []string, was, is definition, at document.Position) []change {
	var changes []change
	if len(steps) > deepDefinitions {
		return nil
	}
	if was.ephemeral() != is.ephemeral() {
		text := "%s was stored, and is ephemeral now"
		if was.ephemeral() {
			text = "%s was ephemeral, and is stored now"
		}
		changes = append(changes, change{"ephemeral-changed", at, fmt.Sprintf(text, where(steps))})
	}
	if was.kind != "alt" && was.secret() != is.secret() && is.kind != "alt" {
		text := "%s was readable by ordinary users, and is a secret now"
		if was.secret() {
			text = "%s was a secret, and is one no more"
		}
		changes = append(changes, change{"visibility-changed", at, fmt.Sprintf(text, where(steps))})
	}
	narrowed := func(format string, args ...any) {
		changes = append(changes, change{"type-narrowed", at, where(steps) + " " + fmt.Sprintf(format, args...)})
	}
	switch {
	case was.kind == "alt" || is.kind == "alt":
		return append(changes, x.alternatives(steps, was, is, at)...)
	case is.kind == "any":
	case was.kind == "any":
		narrowed("took anything, and is %s now", is.kind)
	case was.kind == "int" && is.kind == "number":
		changes = append(changes, numbers(steps, was, is, at)...)
	case was.kind != is.kind:
		narrowed("was %s, and is %s now", was.kind, is.kind)
	case is.kind == "int" || is.kind == "number":
		changes = append(changes, numbers(steps, was, is, at)...)
	case is.kind == "string":
		for _, text := range stringsNarrowed(was.means, is.means) {
			narrowed("%s", text)
		}
	case is.kind == "array":
		if is.means.Get("unique").Is(document.Bool) && is.means.Get("unique").Text == "true" &&
			!(was.means.Get("unique").Is(document.Bool) && was.means.Get("unique").Text == "true") {
			narrowed("must have unique elements now")
		}
		_, inner := is.means.Follow("values")
		changes = append(changes, x.types(append(slices.Clip(steps), "[]"), x.old.define(was.means.Get("values")),
			x.new.define(is.means.Get("values")), inner)...)
	case is.kind == "map":
		changes = append(changes, x.maps(steps, was, is, at)...)
	}
	return changes
}

// alternatives: each alternative there was must fit one that is, without a change.
func (x comparison) alternatives(steps []string, was, is definition, at document.Position) []change {
	flat := func(t *types, d definition) []definition {
		var list []definition
		var add func(definition)
		add = func(d definition) {
			if d.kind != "alt" {
				list = append(list, d)
				return
			}
			for _, child := range t.below(d) {
				add(child.definition)
			}
		}
		add(d)
		return list
	}
	for _, old := range flat(x.old, was) {
		if !slices.ContainsFunc(flat(x.new, is), func(d definition) bool { return x.types(steps, old, d, at) == nil }) {
			return []change{{"type-narrowed", at, fmt.Sprintf("%s no longer takes every %s that it took", where(steps), old.kind)}}
		}
	}
	return nil
}

func numbers(steps []string, was, is definition, at document.Position) []change {
	var changes []change
	add := func(format string, args ...any) {
		changes = append(changes, change{"type-narrowed", at, where(steps) + " " + fmt.Sprintf(format, args...)})
	}
	if choices := is.means.Get("choices"); choices != nil {
		if missing := missingChoices(was.means.Get("choices"), choices); missing != "" {
			add("%s", missing)
		}
		return changes
	}
	for _, bound := range []struct {
		name  string
		worse func(was, is float64) bool
	}{{"min", func(was, is float64) bool { return is > was }}, {"max", func(was, is float64) bool { return is < was }}} {
		limit := is.means.Get(bound.name)
		if limit == nil {
			continue
		}
		value, _ := strconv.ParseFloat(limit.Text, 64) // null means 0
		if choices := was.means.Get("choices"); choices != nil {
			for _, choice := range choices.List() {
				if number, _ := strconv.ParseFloat(choice.Text, 64); bound.worse(number, value) {
					add("took %s, and has a %simum of %s now", choice.Text, bound.name, limit.Text)
					break
				}
			}
			continue
		}
		before := was.means.Get(bound.name)
		if before == nil {
			add("had no %simum, and has one of %s now", bound.name, limit.Text)
		} else if number, _ := strconv.ParseFloat(before.Text, 64); bound.worse(number, value) {
			add("had a %simum of %s, and has one of %s now", bound.name, before.Text, limit.Text)
		}
	}
	return changes
}

// missingChoices tells what choices there are no longer.
func missingChoices(was, is *document.Node) string {
	if was == nil {
		return "has choices now"
	}
	var missing []string
	for _, choice := range was.List() {
		if !slices.ContainsFunc(is.List(), func(n *document.Node) bool { return document.Equal(n, choice) }) {
			missing = append(missing, choice.Text)
		}
	}
	if missing == nil {
		return ""
	}
	return "no longer takes " + strings.Join(missing, ", ")
}

// stringsNarrowed tells what texts are no longer taken. Of two patterns it only knows whether they are the same.
func stringsNarrowed(was, is *document.Node) []string {
	if choices := is.Get("choices"); choices != nil {
		if missing := missingChoices(was.Get("choices"), choices); missing != "" {
			return []string{missing}
		}
		return nil
	}
	pattern := is.Get("pattern").String()
	before := was.Get("pattern").String()
	switch {
	case pattern == "" || pattern == before:
		return nil
	case was.Get("choices") != nil:
		compiled, err := regexp.Compile(pattern)
		var missing []string
		for _, choice := range was.Get("choices").List() {
			if err == nil && !compiled.MatchString(choice.Text) {
				missing = append(missing, choice.Text)
			}
		}
		if missing == nil {
			return nil
		}
		return []string{"no longer takes " + strings.Join(missing, ", ")}
	case before == "":
		return []string{"has a pattern now: " + pattern}
	}
	return []string{fmt.Sprintf("has another pattern: %s instead of %s", pattern, before)}
}

func (x comparison) maps(steps []string, was, is definition, at document.Position) []change {
	var changes []change
	add := func(format string, args ...any) {
		changes = append(changes, change{"type-narrowed", at, where(steps) + " " + fmt.Sprintf(format, args...)})
	}
	oldEntries, entries := was.means.Get("schema"), is.means.Get("schema")
	if entries != nil && oldEntries == nil {
		add("took any keys, and has fixed entries now")
		return changes
	}
	if entries == nil {
		changes = append(changes, x.keyed(steps, was, is, at)...)
		return changes
	}
	for _, name := range oldEntries.Keys() {
		inner := append(slices.Clip(steps), name)
		entry := entries.Entry(name)
		if entry == nil {
			changes = append(changes, change{"type-removed", at, fmt.Sprintf("%s is gone", where(inner))})
			continue
		}
		changes = append(changes, x.types(inner, x.old.define(oldEntries.Get(name)), x.new.define(entry.Value), entry.At())...)
	}
	if demanded := combinations(is.means.Get("required")); len(demanded) > 0 {
		promised := combinations(was.means.Get("required"))
		met := len(promised) > 0
		for _, had := range promised {
			met = met && slices.ContainsFunc(demanded, func(keys []string) bool {
				return !slices.ContainsFunc(keys, func(key string) bool { return !slices.Contains(had, key) })
			})
		}
		empty := slices.ContainsFunc(demanded, func(keys []string) bool { return len(keys) == 0 })
		if !met && !empty {
			add("requires more keys than it did")
		}
	}
	return changes
}

// keyed compares with a map whose keys are not fixed.
func (x comparison) keyed(steps []string, was, is definition, at document.Position) []change {
	var changes []change
	values := is.means.Get("values")
	inner := append(slices.Clip(steps), "{}")
	_, valuesAt := is.means.Follow("values")
	checker := &checker{types: x.new}
	if old := was.means.Get("schema"); old != nil {
		for _, name := range old.Keys() {
			if reason := checker.refusesKey(is, name); reason != "" {
				changes = append(changes, change{"type-narrowed", at, where(steps) + ": " + reason})
			}
			if values != nil {
				changes = append(changes, x.types(append(slices.Clip(steps), name), x.old.define(old.Get(name)), x.new.define(values), valuesAt)...)
			}
		}
		return changes
	}
	if keys := is.means.Get("keys"); keys != nil {
		var before *document.Node
		if old := was.means.Get("keys"); old != nil {
			before = x.old.define(old).means
		}
		for _, text := range stringsNarrowed(before, x.new.define(keys).means) {
			changes = append(changes, change{"type-narrowed", at, "the key of " + where(steps) + " " + text})
		}
	}
	switch old := was.means.Get("values"); {
	case values == nil:
	case old == nil:
		if x.new.define(values).kind != "any" {
			changes = append(changes, change{"type-narrowed", valuesAt, fmt.Sprintf("%s took anything, and is %s now", where(inner), x.new.define(values).kind)})
		}
	default:
		changes = append(changes, x.types(inner, x.old.define(old), x.new.define(values), valuesAt)...)
	}
	return changes
}
