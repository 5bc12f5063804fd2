package fleet_test

import (
	"errors"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// TestScope is the table of what a change in a scope may do.
func TestScope(t *testing.T) {
	scope := fleet.Scope{"site": "berlin", "line": "2"}
	labels := func(text string) fleet.Labels {
		labels := fleet.Labels{}
		for term := range strings.SplitSeq(text, ",") {
			if name, value, ok := strings.Cut(term, "="); ok {
				labels[name] = value
			}
		}
		return labels
	}
	t.Run("devices", func(t *testing.T) {
		for text, want := range map[string]bool{
			"site=berlin,line=2": true, "site=berlin,line=2,stage=test": true, "": false, "site=berlin": false, "site=berlin,line=3": false,
			"site=Berlin,line=2": false, "device.site=berlin,line=2": false, "site=,line=2": false,
		} {
			if got := scope.Device(labels(text)); (got == nil) != want || got != nil && !errors.Is(got, fleet.ErrScope) {
				t.Errorf("%s: %v", text, got)
			}
		}
		if err := (fleet.Scope{"empty": ""}).Device(nil); err == nil {
			t.Error("a device without a label is in a scope of that label without a value")
		}
		if err := (fleet.Scope{}).Device(nil); err != nil {
			t.Errorf("no scope: %v", err)
		}
	})
	t.Run("labels", func(t *testing.T) {
		for _, test := range []struct {
			before, after string
			want          bool
		}{
			{"site=berlin,line=2", "site=berlin,line=2,stage=test", true},
			{"site=berlin,line=2,stage=test", "site=berlin,line=2", true},
			{"site=berlin,line=2", "site=munich,line=2", false},
			{"site=berlin,line=2", "site=berlin", false},
			{"site=munich,line=2", "site=berlin,line=2", false},
			{"line=2", "site=berlin,line=2", false},
			{"site=munich", "site=munich,stage=test", false},
		} {
			if err := scope.Labels(labels(test.before), labels(test.after)); (err == nil) != test.want {
				t.Errorf("%s to %s: %v", test.before, test.after, err)
			}
		}
	})
	t.Run("selectors", func(t *testing.T) {
		for text, want := range map[string]bool{
			"site=berlin,line=2": true, "line=2, site = berlin ,stage!=test": true, "site=berlin,line=2,site=munich": true,
			"": false, "site=berlin": false, "site,line": false, "site!=munich,line=2": false, "!site,line=2": false, "line=2,site!=berlin": false,
			"site=berlin2,line=2": false, "site=berlin,line": false, "device.site=berlin,line=2": false,
		} {
			selector, err := fleet.ParseSelector(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := scope.Selector(selector); (got == nil) != want {
				t.Errorf("%s: %v", text, got)
			}
		}
	})
}

// TestScopeHolds makes changes in a scope on a fleet: those that are out of it change nothing.
func TestScopeHolds(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	scope := fleet.Scope{"site": "berlin"}
	register := func(site string) uuid.UUID {
		device, err := w.Register(ctx, fleet.Identity{PublicKeyRSA: "key of " + site}, fleet.Labels{"site": site}, fleet.Active)
		if err != nil {
			t.Fatal(err)
		}
		return device.ID
	}
	berlin, munich := register("berlin"), register("munich")
	set := func(name fleet.LayerName, selector string, within fleet.Scope, remove bool) error {
		parsed, err := fleet.ParseSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		change := fleet.Change{Layer: fleet.Layer{Name: name, Selector: parsed}, Within: within, Remove: remove}
		_, dry := w.DryRun(ctx, change, nil, 1)
		_, err = w.Set(ctx, change)
		if (dry == nil) != (err == nil) {
			t.Errorf("%s: a dry run gives %v, and the change %v", name, dry, err)
		}
		return err
	}
	for _, made := range []error{set("labels/all", "site", nil, false), set("labels/berlin", "site=berlin", nil, false)} {
		if made != nil {
			t.Fatal(made)
		}
	}
	value := func(text string) *string { return &text }
	relabel := func(id uuid.UUID, name string, value *string) error {
		_, err := w.SetLabels(ctx, id, map[string]*string{name: value}, "bert", scope)
		return err
	}
	status := func(id uuid.UUID) error {
		_, err := w.SetStatus(ctx, id, fleet.Active, scope)
		return err
	}
	for name, test := range map[string]struct {
		got     error
		allowed bool
	}{
		"everyone":                          {set(fleet.Everyone, "", scope, false), false},
		"remove everyone":                   {set(fleet.Everyone, "", scope, true), false},
		"a layer of the scope":              {set("labels/mine", "site=berlin,stage=test", scope, false), true},
		"a wider layer":                     {set("labels/mine", "site", scope, false), false},
		"a negated layer":                   {set("labels/new", "site!=munich", scope, false), false},
		"take a wider layer":                {set("labels/all", "site=berlin", scope, false), false},
		"remove a wider layer":              {set("labels/all", "", scope, true), false},
		"remove a layer of the scope":       {set("labels/berlin", "", scope, true), true},
		"its device's layer":                {set(fleet.DeviceLayer(berlin), "", scope, false), true},
		"another's layer":                   {set(fleet.DeviceLayer(munich), "", scope, false), false},
		"its device's labels":               {relabel(berlin, "stage", value("test")), true},
		"another's labels":                  {relabel(munich, "stage", value("test")), false},
		"take another's device":             {relabel(munich, "site", value("berlin")), false},
		"its device's label of the scope":   {relabel(berlin, "site", value("munich")), false},
		"remove its device's site":          {relabel(berlin, "site", nil), false},
		"its device's status":               {status(berlin), true},
		"another's status":                  {status(munich), false},
		"its device's mark":                 {w.SetAlone(ctx, berlin, scope), true},
		"another's mark":                    {w.SetAlone(ctx, munich, scope), false},
		"a device's layer, by another name": {set("labels/x", "device.site=berlin", scope, false), false},
	} {
		if (test.got == nil) != test.allowed || test.got != nil && !errors.Is(test.got, fleet.ErrScope) {
			t.Errorf("%s: %v", name, test.got)
		}
	}
	entries, err := w.History(ctx, "", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.By == "" && (entry.Layer == fleet.Everyone || entry.Layer == fleet.DeviceLayer(munich)) {
			t.Errorf("a refused change is in the history: %+v", entry)
		}
		// What somebody without a scope has done is not to be restored by one with a scope, if it concerns other devices.
		_, err := w.Restore(ctx, entry.Revision, "bert", scope)
		if out := entry.Layer == "labels/all"; out != errors.Is(err, fleet.ErrScope) {
			t.Errorf("restore %s: %v", entry.Layer, err)
		}
	}
}
