package databag_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
)

// A change sets the value at a storage path, or unsets it with nil.
type change struct {
	storage path.Path
	value   *databag.Node
}

// oneByOne applies changes to a bag one after the other, until one is refused.
func oneByOne(bag databag.Bag, changes []change) (databag.Bag, error) {
	for _, c := range changes {
		var err error
		if c.value == nil {
			bag, err = bag.Unset(c.storage)
		} else {
			bag, err = bag.Set(c.storage, c.value)
		}
		if err != nil {
			return bag, err
		}
	}
	return bag, nil
}

// together applies changes to a bag in one edit.
func together(bag databag.Bag, changes []change) (databag.Bag, error) {
	edit := bag.Edit()
	for _, c := range changes {
		var err error
		if c.value == nil {
			err = edit.Unset(c.storage)
		} else {
			err = edit.Set(c.storage, c.value)
		}
		if err != nil {
			return bag, err
		}
	}
	return edit.Bag(), nil
}

// FuzzChanges: changes in one edit have the same result, or the same error, as the changes one by one, and do not change the
// original bag.
func FuzzChanges(f *testing.F) {
	for seed := range byte(60) {
		program := make([]byte, 120)
		for i := range program {
			program[i] = byte(int(seed)*97 + i*i*31 + i*int(seed)*7)
		}
		f.Add(program)
	}
	starts := []string{
		`{}`, `{"a":{"a":1,"b":{"c":[1,{"a":2},null]}},"b":[[1],{"b":{}}],"c":null,"d":"x"}`, `{"b":{"b":{"b":{"b":1}}}}`,
		`{"a":[],"c":{}}`,
	}
	steps := []string{"a", "b", "c", "d", "[0]", "[1]", "[2]", "{x}", "[{n}]"}
	values := []any{nil, nil, nil, "s", 1.0, map[string]any{"a": 1.0, "c": nil}, map[string]any{"b": map[string]any{"c": nil}},
		[]any{1.0, nil, map[string]any{"a": nil}}, map[string]any{}, []any{}}
	f.Fuzz(func(t *testing.T, program []byte) {
		throw := func(sides int) int {
			if len(program) == 0 {
				return 0
			}
			thrown := int(program[0]) % sides
			program = program[1:]
			return thrown
		}
		start := starts[throw(len(starts))]
		bag := parse(t, start)
		var changes []change
		told := ""
		for len(program) > 0 && len(changes) < 30 {
			text := steps[throw(4)]
			value := values[throw(len(values))]
			for range throw(4) {
				step := steps[throw(len(steps))]
				if value != nil && strings.Contains(step, "{") { // only unsetting goes through all
					step = "a"
				}
				if step[0] != '[' {
					text += "."
				}
				text += step
			}
			storage, err := path.ParseStorage(text)
			if err != nil {
				continue
			}
			c := change{storage: storage}
			if value != nil {
				if c.value, err = databag.FromValue(value); err != nil {
					t.Fatal(err)
				}
			}
			changes = append(changes, c)
			told += fmt.Sprintf("%s=%v; ", text, value)
			// What is refused ends both; to try what comes behind it, begin again without it.
			want, wantErr := oneByOne(bag, changes)
			got, err := together(bag, changes)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("%s: %s\ntogether %v\none by one %v", start, told, err, wantErr)
			}
			if string(bag.AppendJSON(nil)) != string(parse(t, start).AppendJSON(nil)) {
				t.Fatalf("%s became %s", start, bag.AppendJSON(nil))
			}
			if err != nil {
				changes = changes[:len(changes)-1]
				continue
			}
			if string(got.AppendJSON(nil)) != string(want.AppendJSON(nil)) {
				t.Fatalf("%s: %s\ntogether   %s\none by one %s", start, told, got.AppendJSON(nil), want.AppendJSON(nil))
			}
			if want.Same(bag) && !got.Same(bag) {
				t.Fatalf("%s: %s: nothing changed, but it is another bag", start, told)
			}
			checkSorted(t, got.Root())
		}
	})
}

func parse(t *testing.T, text string) databag.Bag {
	t.Helper()
	bag, err := databag.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return bag
}

func checkSorted(t *testing.T, n *databag.Node) {
	t.Helper()
	if n.Kind() == databag.Object && !(slices.IsSorted(n.Keys().Names()) && len(n.Keys().Names()) == len(n.Kids())) {
		t.Fatalf("%d kids have keys %q", len(n.Kids()), n.Keys().Names())
	}
	for _, kid := range n.Kids() {
		checkSorted(t, kid)
	}
}

// TestEditNear: Near returns the key by which keys differ from accepted ones, whatever edit made them.
func TestEditNear(t *testing.T) {
	var mark databag.Mark
	one, err := databag.FromValue(1.0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, change string
		near         bool
		added        string
	}{
		{"added", "+a.x", true, "x"},
		{"removed", "-a.b", true, ""},
		{"added and removed", "+a.x -a.b", false, "x"},
		{"removed and added again", "-a.b +a.b", false, ""},
		{"two added", "+a.x +a.y", false, ""},
		{"added and changed", "+a.x +a.b", true, "x"},
		{"one of two removed again", "+a.x +a.y -a.x", true, "y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bag := parse(t, `{"a":{"b":1,"c":2,"d":3}}`)
			bag.Root().Kid("a").Keys().Mark(&mark)
			var changes []change
			for _, word := range strings.Fields(tt.change) {
				storage, err := path.ParseStorage(word[1:])
				if err != nil {
					t.Fatal(err)
				}
				c := change{storage: storage}
				if word[0] == '+' {
					c.value = one
				}
				changes = append(changes, c)
			}
			got, err := together(bag, changes)
			if err != nil {
				t.Fatal(err)
			}
			node := got.Root().Kid("a")
			if node.Marked(&mark) {
				t.Error("a node that was changed is marked")
			}
			added, near := node.Keys().Near(&mark)
			if near != tt.near || near && added != tt.added {
				t.Errorf("near %v by %q, want %v by %q", near, added, tt.near, tt.added)
			}
			if kept := node.Keys() == bag.Root().Kid("a").Keys(); kept != (tt.name == "removed and added again") {
				t.Errorf("the same keys: %v", kept)
			}
		})
	}
}
