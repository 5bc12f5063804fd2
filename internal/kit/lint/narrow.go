package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/schema"
)

// A comparison compares two storage schemas.
type comparison struct{ new *checker }

// A change is a difference between two storage schemas that may break stored data, or snaps that use it.
type change struct {
	code string
	at   document.Position
	text string
}

func where(way []string) string {
	if len(way) == 0 {
		return "the top level"
	}
	return strconv.Quote(dotted(way))
}

// narrowed returns a change of a definition that no longer accepts some data.
func narrowed(way []string, at document.Position, format string, args ...any) change {
	return change{"type-narrowed", at, where(way) + " " + fmt.Sprintf(format, args...)}
}

// types returns the changes from one definition to another: the ways in which the second may refuse data that the first accepted,
// and different marks. at is the position of the second.
func (x comparison) types(way []string, was, is schema.Definition, at document.Position) []change {
	if len(way) > deepDefinitions || was.Refused() || is.Refused() {
		return nil
	}
	changes := marks(way, was, is, at)
	narrow := func(format string, args ...any) { changes = append(changes, narrowed(way, at, format, args...)) }
	switch old, kind := was.Kind(), is.Kind(); {
	case old == "alt" || kind == "alt":
		return append(changes, x.alternatives(way, was, is, at)...)
	case kind == "any":
	case old == "any":
		narrow("took anything, and is %s now", kind)
	case old == "int" && kind == "number":
		changes = append(changes, numbers(way, was, is, at)...)
	case old != kind:
		narrow("was %s, and is %s now", old, kind)
	case kind == "int" || kind == "number":
		changes = append(changes, numbers(way, was, is, at)...)
	case kind == "string":
		for _, text := range textsNarrowed(was, is) {
			narrow("%s", text)
		}
	case kind == "array":
		if is.Unique() && !was.Unique() {
			narrow("must have unique elements now")
		}
		old, _ := was.Values()
		values, _ := is.Values()
		changes = append(changes, x.types(append(slices.Clip(way), schema.Element), old, values, x.new.position(values.At))...)
	case kind == "map":
		changes = append(changes, x.maps(way, was, is, at)...)
	}
	return changes
}

func marks(way []string, was, is schema.Definition, at document.Position) []change {
	var changes []change
	if was.Ephemeral() != is.Ephemeral() {
		text := "%s was stored, and is ephemeral now"
		if was.Ephemeral() {
			text = "%s was ephemeral, and is stored now"
		}
		changes = append(changes, change{"ephemeral-changed", at, fmt.Sprintf(text, where(way))})
	}
	if was.Kind() != "alt" && is.Kind() != "alt" && was.Secret() != is.Secret() {
		text := "%s was readable by ordinary users, and is a secret now"
		if was.Secret() {
			text = "%s was a secret, and is one no more"
		}
		changes = append(changes, change{"visibility-changed", at, fmt.Sprintf(text, where(way))})
	}
	return changes
}

// alternatives compares alternatives: each old one must fit a new one without a change.
func (x comparison) alternatives(way []string, was, is schema.Definition, at document.Position) []change {
	for _, old := range flat(was) {
		if !slices.ContainsFunc(flat(is), func(d schema.Definition) bool { return x.types(way, old, d, at) == nil }) {
			return []change{narrowed(way, at, "no longer takes every %s that it took", old.Kind())}
		}
	}
	return nil
}

// flat returns the alternatives of a definition, or the definition itself.
func flat(d schema.Definition) []schema.Definition {
	if d.Kind() != "alt" {
		return []schema.Definition{d}
	}
	var list []schema.Definition
	for _, child := range d.Below() {
		list = append(list, flat(child.Definition)...)
	}
	return list
}

func numbers(way []string, was, is schema.Definition, at document.Position) []change {
	if choices := is.Choices(); choices != nil {
		if missing := missingChoices(was.Choices(), choices); missing != "" {
			return []change{narrowed(way, at, "%s", missing)}
		}
		return nil
	}
	var changes []change
	oldMin, oldMax := was.Bounds()
	min, max := is.Bounds()
	for _, bound := range []struct {
		name, was, is string
		worse         int // how the limit compares with a number that it refuses
	}{{"min", oldMin, min, 1}, {"max", oldMax, max, -1}} {
		if bound.is == "" {
			continue
		}
		excludes := func(number string) bool { return cmp.Compare(float(bound.is), float(number)) == bound.worse }
		if choices := was.Choices(); choices != nil {
			if i := slices.IndexFunc(choices, excludes); i >= 0 {
				changes = append(changes, narrowed(way, at, "took %s, and has a %simum of %s now", choices[i], bound.name, bound.is))
			}
		} else if bound.was == "" {
			changes = append(changes, narrowed(way, at, "had no %simum, and has one of %s now", bound.name, bound.is))
		} else if excludes(bound.was) {
			changes = append(changes, narrowed(way, at, "had a %simum of %s, and has one of %s now", bound.name, bound.was, bound.is))
		}
	}
	return changes
}

// float returns the number that a text of the engine stands for.
func float(text string) float64 {
	number, _ := strconv.ParseFloat(text, 64)
	return number
}

// missingChoices describes the choices that are gone; "" if there are none.
func missingChoices(was, is []string) string {
	if was == nil {
		return "has choices now"
	}
	missing := slices.DeleteFunc(slices.Clone(was), func(choice string) bool { return slices.Contains(is, choice) })
	if len(missing) == 0 {
		return ""
	}
	return "no longer takes " + strings.Join(missing, ", ")
}

// textsNarrowed describes the texts that are no longer accepted. It cannot compare two different patterns, and reports them.
func textsNarrowed(was, is schema.Definition) []string {
	if choices := is.Choices(); choices != nil {
		if missing := missingChoices(was.Choices(), choices); missing != "" {
			return []string{missing}
		}
		return nil
	}
	pattern, before := is.Pattern(), was.Pattern()
	switch {
	case pattern == nil || before != nil && pattern.String() == before.String():
		return nil
	case was.Choices() != nil:
		if missing := missingChoices(was.Choices(), slices.DeleteFunc(slices.Clone(was.Choices()),
			func(choice string) bool { return !pattern.MatchString(choice) })); missing != "" {
			return []string{missing}
		}
		return nil
	case before == nil:
		return []string{"has a pattern now: " + pattern.String()}
	}
	return []string{fmt.Sprintf("has another pattern: %s instead of %s", pattern, before)}
}

func (x comparison) maps(way []string, was, is schema.Definition, at document.Position) []change {
	switch {
	case !is.Fixed():
		return x.keyed(way, was, is, at)
	case !was.Fixed():
		return []change{narrowed(way, at, "took any keys, and has fixed entries now")}
	}
	var changes []change
	for _, old := range was.Below() {
		inner := append(slices.Clip(way), old.Step)
		entry, ok := is.Entry(old.Step)
		if !ok {
			changes = append(changes, change{"type-removed", at, fmt.Sprintf("%s is gone", where(inner))})
			continue
		}
		changes = append(changes, x.types(inner, old.Definition, entry, x.new.position(entry.At))...)
	}
	if requiresMore(was.Required(), is.Required()) {
		changes = append(changes, narrowed(way, at, "requires more keys than it did"))
	}
	return changes
}

// requiresMore reports whether data with one of some combinations of keys may lack all of others.
func requiresMore(was, is [][]string) bool {
	if len(is) == 0 {
		return false
	}
	if len(was) == 0 {
		was = [][]string{nil}
	}
	return slices.ContainsFunc(was, func(had []string) bool {
		return !slices.ContainsFunc(is, func(keys []string) bool {
			return !slices.ContainsFunc(keys, func(key string) bool { return !slices.Contains(had, key) })
		})
	})
}

// keyed compares a definition with a map that has no fixed entries.
func (x comparison) keyed(way []string, was, is schema.Definition, at document.Position) []change {
	var changes []change
	values, hasValues := is.Values()
	valuesAt := x.new.position(values.At)
	if was.Fixed() {
		for _, old := range was.Below() {
			if reason := refusesKey(is, old.Step); reason != "" {
				changes = append(changes, change{"type-narrowed", at, where(way) + ": " + reason})
			}
			if hasValues {
				changes = append(changes, x.types(append(slices.Clip(way), old.Step), old.Definition, values, valuesAt)...)
			}
		}
		return changes
	}
	if keys, ok := is.Keys(); ok {
		before, had := was.Keys()
		if !had {
			before = schema.AnyText()
		}
		for _, text := range textsNarrowed(before, keys) {
			changes = append(changes, change{"type-narrowed", at, "the key of " + where(way) + " " + text})
		}
	}
	inner := append(slices.Clip(way), schema.AnyKey)
	switch old, had := was.Values(); {
	case !hasValues:
	case had:
		changes = append(changes, x.types(inner, old, values, valuesAt)...)
	case values.Kind() != "any":
		changes = append(changes, narrowed(inner, valuesAt, "took anything, and is %s now", values.Kind()))
	}
	return changes
}
