package edit_test

import (
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"

	"github.com/google/go-cmp/cmp"
)

func at(line, column int) document.Position { return document.Position{Line: line, Column: column} }

func TestApply(t *testing.T) {
	text := "aé\nbc\n"
	for name, test := range map[string]struct {
		edits []edit.Edit
		want  string
		fails bool
	}{
		"nothing":               {nil, text, false},
		"columns count letters": {[]edit.Edit{{Start: at(1, 2), End: at(1, 3), Text: "x"}}, "ax\nbc\n", false},
		"any order":             {[]edit.Edit{{Start: at(2, 3), End: at(2, 3), Text: "d"}, {Start: at(1, 1), End: at(1, 2)}}, "é\nbcd\n", false},
		"once":                  {[]edit.Edit{{Start: at(1, 1), End: at(1, 1), Text: "x"}, {Start: at(1, 1), End: at(1, 1), Text: "x"}}, "xaé\nbc\n", false},
		"two at one place":      {[]edit.Edit{{Start: at(3, 1), End: at(3, 1), Text: "1"}, {Start: at(3, 1), End: at(3, 1), Text: "2"}}, "aé\nbc\n12", false},
		"behind the end":        {[]edit.Edit{{Start: at(9, 1), End: at(9, 9), Text: "d"}}, "aé\nbc\nd", false},
		"overlap":               {[]edit.Edit{{Start: at(1, 1), End: at(2, 1)}, {Start: at(1, 2), End: at(1, 3)}}, "", true},
	} {
		got, err := edit.Apply([]byte(text), test.edits)
		if (err != nil) != test.fails {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && string(got) != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestChoose(t *testing.T) {
	change := func(file string, from, to int, text string) edit.Edit {
		return edit.Edit{File: file, Start: at(1, from), End: at(1, to), Text: text}
	}
	first := &edit.Fix{Title: "first", Edits: []edit.Edit{change("a", 1, 3, "x")}}
	clash := &edit.Fix{Title: "clash", Edits: []edit.Edit{change("a", 2, 4, "y"), change("b", 1, 2, "")}}
	beside := &edit.Fix{Title: "beside", Edits: []edit.Edit{change("a", 3, 4, "z")}}
	alone := &edit.Fix{Title: "alone", Edits: []edit.Edit{change("a", 9, 9, "z")}, Alone: true}
	elsewhere := &edit.Fix{Title: "elsewhere", Edits: []edit.Edit{change("c", 9, 9, "z")}, Alone: true}
	late := &edit.Fix{Title: "late", Executable: []string{"c"}}
	twice := &edit.Fix{Title: "twice", Create: []edit.File{{Name: "n"}}}
	titles := func(fixes []*edit.Fix) (list []string) {
		for _, fix := range fixes {
			list = append(list, fix.Title)
		}
		return list
	}
	taken, left := edit.Choose([]*edit.Fix{first, clash, beside, alone, elsewhere, late, twice, twice})
	if diff := cmp.Diff([]string{"first", "beside", "elsewhere", "twice"}, titles(taken)); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"clash", "alone", "late", "twice"}, titles(left)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestToken(t *testing.T) {
	for text, want := range map[string]string{
		`"a\"b": 1`:          `"a\"b"`,
		`'it''s' x`:          `'it''s'`,
		`{a: "}", b: [1]} #`: `{a: "}", b: [1]}`,
		"[a, # ]\n b] c":     "[a, # ]\n b]",
		`{a: it's} x`:        `{a: it's}`,
		"word, x":            "word",
		`"open`:              "",
		"{open":              "",
		"":                   "",
	} {
		source := edit.NewText([]byte(text))
		end, ok := source.Token(at(1, 1), "word")
		if got := text[:source.Offset(end)]; ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %q, %t, want %q", text, got, ok, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("aé\n\r\nb"), 3)
	f.Fuzz(func(t *testing.T, text []byte, offset int) {
		source := edit.NewText(text)
		position := source.Position(offset)
		if again := source.Position(source.Offset(position)); again != position {
			t.Errorf("%d is %v, and back %v", offset, position, again)
		}
		source.Token(position, "a")
		source.BlockEnd(position.Line, 0)
	})
}
