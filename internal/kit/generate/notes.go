package generate

import "strings"

// Notes describes the constraints of a type in words, without its kind. With element, it also describes the constraints of a list's
// elements.
func (t *Type) Notes(element bool) []string {
	var notes []string
	if t == nil {
		return nil
	}
	switch {
	case t.Min != "" && t.Max != "":
		notes = append(notes, t.Min+" to "+t.Max)
	case t.Min != "":
		notes = append(notes, t.Min+" or more")
	case t.Max != "":
		notes = append(notes, t.Max+" or less")
	}
	if t.Choices != nil {
		notes = append(notes, "one of "+oneLine(strings.Join(t.Choices, ", ")))
	}
	if t.Pattern != "" {
		notes = append(notes, "matches "+oneLine(t.Pattern))
	}
	if t.Unique {
		notes = append(notes, "no element twice")
	}
	if t.Keys != nil {
		for _, note := range t.Keys.Notes(false) {
			notes = append(notes, "names: "+note)
		}
	}
	if element && (t.Kind == List || t.Kind == Map) {
		for _, note := range t.Element.Notes(true) {
			notes = append(notes, "each "+note)
		}
	}
	if t.Secret {
		notes = append(notes, "secret")
	}
	if t.Ephemeral {
		notes = append(notes, "ephemeral: the custodian keeps it")
	}
	return notes
}

// Notes describes the constraints of a field in words, and whether the view only reads or only writes it.
func (f Field) Notes() []string {
	notes := f.Type.Notes(false)
	if f.Only != "" {
		notes = append(notes, f.Only+"-only")
	}
	return notes
}

// oneLine returns a text without line breaks and other characters that end a comment.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 {
			return '.'
		}
		return c
	}, text)
}
