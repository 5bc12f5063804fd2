package generate

import (
	"encoding/json"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// accepts reports whether the engine accepts a value for an empty databag.
func (s *Source) accepts(view, request string, value any) bool {
	return s.Parsed.Begin(databag.Bag{}).Write(view, map[string]any{request: value}) == nil
}

// sampled returns an example of the request path of an item: names and indexes replace the placeholders. whole is the type of the
// view. It returns false if no name is found.
func (i Item) sampled(whole *Type) (string, bool) {
	request := slices.Clone(i.Request)
	at := whole
	for n, accessor := range request {
		if at == nil {
			return "", false
		}
		switch {
		case accessor.Kind == path.IndexPlaceholder:
			request[n] = path.Accessor{Kind: path.Index, Name: "0"}
		case accessor.Open():
			name, ok := at.sampleName()
			if !ok {
				return "", false
			}
			request[n] = path.Accessor{Kind: path.Key, Name: name}
		}
		at = at.step(request[n])
	}
	return request.String(), true
}

// sampleName returns an example of a key of a map.
func (t *Type) sampleName() (string, bool) {
	switch {
	case t.Kind == Struct && t.Element == nil:
		return t.Fields[0].Name, true
	case t.Kind == Union:
		return t.Alternatives[0].sampleName()
	case t.Keys == nil:
		return "one", true
	}
	name, ok := t.Keys.sample()
	text, isText := name.(string)
	return text, ok && isText && path.ValidSubkey(text)
}

// sample returns an example of a value of the type. The engine may still refuse it. ok is false if none is found.
func (t *Type) sample() (value any, ok bool) {
	switch t.Kind {
	case Text:
		switch {
		case t.Choices != nil:
			return t.Choices[0], true
		case t.Pattern != "":
			return matching(t.Pattern)
		}
		return "text", true
	case Int, Number:
		switch {
		case t.Choices != nil:
			return json.Number(t.Choices[0]), true
		case t.Min != "":
			return json.Number(t.Min), true
		case t.Max != "":
			return json.Number(t.Max), true
		}
		return json.Number("1"), true
	case Bool:
		return true, true
	case List:
		element, ok := t.Element.sample()
		return []any{element}, ok
	case Map:
		name, named := t.sampleName()
		element, ok := t.Element.sample()
		return map[string]any{name: element}, ok && named
	case Struct:
		object := map[string]any{}
		for _, field := range t.Fields {
			if object[field.Name], ok = field.Type.sample(); !ok {
				return nil, false
			}
		}
		if len(object) == 0 {
			return nil, false
		}
		return object, true
	case Union:
		return t.Alternatives[0].sample()
	}
	return "text", true
}

// matching returns a text that matches a pattern, and false if none is found.
func matching(pattern string) (any, bool) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, false
	}
	var text strings.Builder
	example(parsed.Simplify(), &text)
	matches, err := regexp.MatchString(pattern, text.String())
	return text.String(), err == nil && matches && text.Len() > 0
}

// example writes a short text that matches a regular expression.
func example(re *syntax.Regexp, text *strings.Builder) {
	switch re.Op {
	case syntax.OpLiteral:
		text.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		text.WriteRune(pick(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		text.WriteByte('a')
	case syntax.OpCapture, syntax.OpPlus:
		example(re.Sub[0], text)
	case syntax.OpStar, syntax.OpQuest:
		if text.Len() == 0 {
			example(re.Sub[0], text)
		}
	case syntax.OpRepeat:
		for range max(re.Min, 1) {
			example(re.Sub[0], text)
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			example(sub, text)
		}
	case syntax.OpAlternate:
		example(re.Sub[0], text)
	}
}

// pick returns a character of a class. It prefers letters and digits.
func pick(class []rune) rune {
	for _, liked := range "a1A0-._/" {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= liked && liked <= class[i+1] {
				return liked
			}
		}
	}
	if len(class) == 0 {
		return 'a'
	}
	return class[0]
}
