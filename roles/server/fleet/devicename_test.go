package fleet_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"lobby", "g", "a_b", "10.0.0.7", "rack-7-unit-3", "cafe.1", "abcdefg", strings.Repeat("x", 63)} {
		if err := fleet.CheckName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"":                                     "must not be empty",
		strings.Repeat("x", 64):                "must not be longer than 63 characters",
		"Lobby":                                `must have lower-case letters only: "lobby"`,
		"lobby ":                               "must be lower-case letters and digits",
		"-lobby":                               "must be lower-case letters and digits",
		"7.":                                   "must be lower-case letters and digits",
		"lobby-":                               "must be lower-case letters and digits",
		"lob/by":                               "must be lower-case letters and digits",
		"größe":                                "must be lower-case letters and digits",
		"lobby\n":                              "must be lower-case letters and digits",
		"cafe":                                 `must not look like the beginning of an ID: "cafe" needs a letter from g to z, a dot or an underscore, such as "unit-cafe"`,
		"7":                                    "must not look like the beginning of an ID",
		"bad-cafe":                             "must not look like the beginning of an ID",
		"ca155b32-2472-4650-afb0-c6f967328afe": "must not look like the beginning of an ID",
		"ca155b3224724650afb0c6f967328afe":     "must not look like the beginning of an ID",
	} {
		if err := fleet.CheckName(name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
}

// namedWorld has devices of these IDs.
func namedWorld(t *testing.T, ids ...string) *world {
	w := newWorld(t, func(o *fleet.Options) {
		next := 0
		o.NewID = func() (uuid.UUID, error) {
			next++
			return uuid.Parse(ids[next-1])
		}
	})
	for range ids {
		w.device(nil)
	}
	return w
}

func TestFind(t *testing.T) {
	const one, two, three = "3f2a1111-0000-4000-8000-000000000001", "3f2a2222-0000-4000-8000-000000000002", "abc00000-0000-4000-8000-000000000003"
	w := namedWorld(t, one, two, three)
	if _, err := w.SetName(t.Context(), uuid.MustParse(one), "lobby", "ann"); err != nil {
		t.Fatal(err)
	}
	stranger := uuid.NewString()
	for word, want := range map[string]string{
		one: one, strings.ToUpper(one): one, strings.ReplaceAll(one, "-", ""): one, stranger: stranger,
		"3f2a1": one, "3f2a1111-": one, "3f2a1111-0000-4000-8000-00000000000": one, "3F2A2": two, "a": three, "abc": three,
		"lobby": one, "LOBBY": one,
	} {
		if id, err := w.Find(t.Context(), word); err != nil || id.String() != want {
			t.Errorf("%s: %s, %v; want %s", word, id, err, want)
		}
	}
	for word, want := range map[string]string{
		"3f2a":    `several devices have an ID that begins with "3f2a": ` + one + ", " + two + "; give more of the ID",
		"4":       `no device has an ID that begins with "4"`,
		"hall":    `no device has the name "hall"`,
		"lobb":    `no device has the name "lobb"`, // a name counts as a whole
		"3f2a-":   "must be the ID of a device, the beginning of one, or a device's name",
		"":        "must be the ID of a device",
		"<b>":     "must be the ID of a device",
		one + "0": "must be the ID of a device",
	} {
		if id, err := w.Find(t.Context(), word); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %s, %v; want %s", word, id, err, want)
		}
	}
	if _, err := w.Find(t.Context(), "hall"); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	a, b := w.device(fleet.Labels{"device.name": "lobby"}), w.device(nil)
	w.set(fleet.DeviceLayer(a), "", `{"a":1}`)
	rename := func(id uuid.UUID, name string) fleet.View {
		t.Helper()
		view, err := w.SetName(t.Context(), id, name, "ann")
		if err != nil {
			t.Fatal(err)
		}
		return view
	}
	// What a device says of itself is no name.
	if _, err := w.Find(t.Context(), "lobby"); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Errorf("a device has named itself: %v", err)
	}
	if view := rename(b, "lobby"); view.Name != "lobby" || view.Target.Revision != 0 {
		t.Errorf("%q, desired revision %d", view.Name, view.Target.Revision)
	}
	_, err := w.SetName(t.Context(), a, "lobby", "ann")
	var taken *fleet.NameTakenError
	if !errors.As(err, &taken) || taken.Device != b || !errors.Is(err, fleet.ErrNameTaken) {
		t.Errorf("%v", err)
	}
	var wrong *fleet.NameError
	if _, err := w.SetName(t.Context(), a, "cafe", "ann"); !errors.As(err, &wrong) {
		t.Errorf("%v", err)
	}
	if _, err := w.SetName(t.Context(), uuid.New(), "hall", "ann"); !errors.Is(err, fleet.ErrUnknownDevice) {
		t.Errorf("%v", err)
	}
	if view := rename(a, "hall"); view.Target.Revision != 1 {
		t.Errorf("a name has moved the desired revision to %d", view.Target.Revision)
	}
	names, err := w.NamesOf(t.Context(), []uuid.UUID{a, b, uuid.Nil, uuid.New()})
	if err != nil || len(names) != 2 || names[a] != "hall" || names[b] != "lobby" {
		t.Errorf("%v, %v", names, err)
	}
	list, next, err := w.Devices(t.Context(), fleet.Filter{Name: "hall"}, "", 10)
	if err != nil || len(list) != 1 || list[0].ID != a || next != "" {
		t.Errorf("%v, %q, %v", list, next, err)
	}
	list, _, err = w.Devices(t.Context(), fleet.Filter{Name: "hall", State: fleet.StateInSync}, "", 10)
	if err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestRestoreName(t *testing.T) {
	w := newWorld(t)
	a, b := w.device(nil), w.device(nil)
	for _, name := range []string{"lobby", "hall", ""} { // revisions 1 to 3
		if _, err := w.SetName(t.Context(), a, name, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	restore := func(revision, want int64, name string) {
		t.Helper()
		got, err := w.Restore(t.Context(), revision, "bob", nil)
		view, viewErr := w.Device(t.Context(), a)
		if err != nil || viewErr != nil || got != want || view.Name != name {
			t.Errorf("restored %d as %d: %q, %v, %v; want %d, %q", revision, got, view.Name, err, viewErr, want, name)
		}
	}
	restore(1, 4, "lobby")
	restore(1, 4, "lobby") // it has it already
	restore(3, 5, "")
	if _, err := w.SetName(t.Context(), b, "lobby", "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Restore(t.Context(), 1, "bob", nil); !errors.Is(err, fleet.ErrNameTaken) {
		t.Errorf("restored a name that another device has: %v", err)
	}
	if _, _, _, err := w.Diff(t.Context(), 1, nil); !errors.Is(err, fleet.ErrNoTarget) {
		t.Error(err)
	}
}

// TestNameRace has devices swap names all the time: each name has one device at most, and no call waits forever.
func TestNameRace(t *testing.T) {
	w := newWorld(t)
	ids := []uuid.UUID{w.device(nil), w.device(nil), w.device(nil)}
	var wait sync.WaitGroup
	for i := range ids {
		wait.Go(func() {
			for round := range 30 {
				_, err := w.SetName(t.Context(), ids[i], []string{"x", "y", ""}[(round+i)%3], "ann")
				if err != nil && !errors.Is(err, fleet.ErrNameTaken) {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	seen := map[string]bool{}
	for _, id := range ids {
		view, err := w.Device(t.Context(), id)
		if err != nil || view.Name != "" && seen[view.Name] {
			t.Errorf("%q twice, %v", view.Name, err)
		}
		seen[view.Name] = true
	}
}
