package fleet_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
)

// TestChangeApplies has each outcome of a change, on a layer that is there and on one that is not.
func TestChangeApplies(t *testing.T) {
	config := func(text string) fleet.Config {
		config, err := fleet.ParseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	selector, err := fleet.ParseSelector("site=a")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.FixedZone("", 3600))
	const name = fleet.LayerName("labels/a")
	before := fleet.Layer{Name: name, Selector: selector, Priority: 7, Config: config(`{"a":1}`), Revision: 3}
	change := func(text string, edit func(*fleet.Change)) fleet.Change {
		c := fleet.Change{Layer: fleet.Layer{Name: name, Selector: selector, Priority: 7, Config: config(text),
			Authorship: fleet.Authorship{By: "ann", At: at}}}
		if edit != nil {
			edit(&c)
		}
		return c
	}
	none := fleet.Layer{}
	for _, test := range []struct {
		name     string
		before   fleet.Layer
		change   fleet.Change
		revision int64 // of the layer that is returned
		entry    string
		err      error
	}{
		{"set anew", none, change(`{"a":1}`, nil), 9, `set 7 site=a, - -> {"a":1}`, nil},
		{"set another content", before, change(`{"a":2}`, nil), 9, `set 7 site=a, {"a":1} -> {"a":2}`, nil},
		{"set another priority", before, change(`{"a":1}`, func(c *fleet.Change) { c.Priority = 8 }), 9,
			`set 8 site=a, {"a":1} -> {"a":1}`, nil},
		{"set another selector", before, change(`{"a":1}`, func(c *fleet.Change) { c.Selector = fleet.Selector{} }), 9,
			`set 7 , {"a":1} -> {"a":1}`, nil},
		{"set the same content", before, change(`{"a":1}`, nil), 3, "", nil},
		{"set at the revision", before, change(`{"a":2}`, func(c *fleet.Change) { c.Match = new(int64(3)) }), 9,
			`set 7 site=a, {"a":1} -> {"a":2}`, nil},
		{"set at another revision", before, change(`{"a":1}`, func(c *fleet.Change) { c.Match = new(int64(2)) }), 0, "", fleet.ErrStale},
		{"set what must not be there", before, change(`{"a":2}`, func(c *fleet.Change) { c.Match = new(int64(0)) }), 0, "", fleet.ErrStale},
		{"remove", before, change(`{}`, func(c *fleet.Change) { c.Remove, c.Priority, c.Selector = true, 0, fleet.Selector{} }), 9,
			`removed 7 site=a, {"a":1} -> -`, nil},
		{"remove what has the same content", before, change(`{"a":1}`, func(c *fleet.Change) { c.Remove = true }), 9,
			`removed 7 site=a, {"a":1} -> -`, nil},
		{"remove nothing", none, change(`{}`, func(c *fleet.Change) { c.Remove = true }), 0, "", fleet.ErrUnknownLayer},
		{"remove nothing at a revision", none, change(`{}`, func(c *fleet.Change) { c.Remove, c.Match = true, new(int64(3)) }), 0, "", fleet.ErrStale},
	} {
		t.Run(test.name, func(t *testing.T) {
			layer, entry, err := test.change.Apply(test.before, 9)
			if !errors.Is(err, test.err) || layer.Revision != test.revision {
				t.Fatalf("revision %d, error %v; want %d, %v", layer.Revision, err, test.revision, test.err)
			}
			if diff := cmp.Diff(test.entry, entryText(entry)); diff != "" {
				t.Fatal(diff)
			}
			if entry == nil {
				return
			}
			if want := time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC); layer.At != want || entry.Revision != 9 || entry.By != "ann" {
				t.Errorf("layer of %v, entry %d of %q", layer.At, entry.Revision, entry.By)
			}
		})
	}
}

// entryText words an entry in one line, "" for none.
func entryText(entry *fleet.Entry) string {
	if entry == nil {
		return ""
	}
	action := map[fleet.Action]string{fleet.Set: "set", fleet.Removed: "removed"}[entry.Action]
	config := func(c *fleet.Config) string {
		if c == nil {
			return "-"
		}
		return c.String()
	}
	return fmt.Sprintf("%s %d %s, %s -> %s", action, entry.Priority, entry.Selector, config(entry.Before), config(entry.After))
}
