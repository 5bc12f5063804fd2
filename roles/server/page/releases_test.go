package page_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// TestRelease edits a layer in stages on the page, and says go, halt and undo there.
func TestRelease(t *testing.T) {
	w := open(t)
	devices := []uuid.UUID{w.register(nil), w.register(nil), w.register(nil)}
	w.set("bob", fleet.Everyone, "", `{"v":{"a":1}}`)
	has(t, get(w, "/page/releases/"), 200, "Nothing was released in stages yet.")
	edit := "/page/layers/everyone/edit/"
	form := get(w, edit)
	has(t, form, 200, ">in stages</option>", "- devices: 1", "hold: 30m")
	typed := append(kept(form), "config", "v:\n  a: 2", "release", "stages", "stages")
	for text, want := range map[string]string{
		"- 1":              "The stages cannot be used: must be an object",
		"stages: [":        "The stages cannot be read",
		"stages:\n- x: 1":  "The stages cannot be used: stages.1.x is no member here",
		"stages: [{}]\n- ": "The stages cannot be read",
	} {
		has(t, send(w, edit, append(typed, text, "act", "check")...), 422, want, `aria-describedby="stages-hint problem"`, ">\n"+text+"</textarea>")
	}
	nobody := append(typed, "stages: [{selector: stie=canary}]", "act")
	has(t, send(w, edit, append(nobody, "check")...), 422, "release.stages.1.selector chooses no device")
	has(t, send(w, edit, append(nobody, "set")...), 422, "release.stages.1.selector chooses no device")
	stages := "stages:\n- devices: 1\n- percent: 100\n  hold: 1h\napprove: [2]\non-stop: halt"
	has(t, send(w, edit, append(typed, stages, "act", "plan")...), 200, "It is released in stages", "<li>1 device: <b>1 device</b>",
		"<li>all devices: <b>2 devices</b> <span class=\"soft\">begins when a person says go, holds for 1h</span>")
	if w.Active() != nil {
		t.Fatal("a plan has begun a release")
	}
	review := send(w, edit, append(typed, stages, "act", "check")...)
	has(t, review, 200, "It is released in stages", ">Release in stages</button>")
	has(t, send(w, edit, append(kept(review), "act", "edit")...), 200, `value="stages" selected`, "approve: [2]")
	leads(t, set(w, edit, review), "../../../../page/releases/3/?done=begin")
	of := "/page/releases/3/"
	has(t, get(w, of+"?done=begin"), 200, "✓ The release has begun.", "<b>rolling</b>", "1 device has yet to apply the change",
		`aria-label="0 of 1 in sync, 0 failing, 0 silent, 1 to go"`, "has not begun", `href="halt/"`, `href="undo/"`, "released in stages")
	has(t, get(w, edit), 200, "on-stop: halt") // the stages of before
	again := append(kept(get(w, edit)), "config", "v:\n  a: 3", "act", "plan")
	has(t, send(w, edit, again...), 200, "elease 3 changes the layer everyone at present")
	has(t, send(w, edit, append(again, "act", "set")...), 409, "elease 3 changes the layer everyone at present")

	refuses := func(id uuid.UUID) {
		t.Helper()
		answer, err := w.Poll(t.Context(), id, fleet.Poll{Report: true, Sequence: 1})
		if err != nil || answer.Offer == nil {
			t.Fatal(answer, err)
		}
		poll := fleet.Poll{Report: true, Sequence: 2, Attempted: fleet.Attempted{Revision: answer.Offer.Revision, Outcome: fleet.Refused, Path: "v.a",
			Reason: "2 is <b>too</b> much"}}
		if answer.Offer.Config.String() == `{"v":{"a":1}}` {
			poll.Attempted, poll.Running = fleet.Attempted{}, fleet.Running{Revision: answer.Offer.Revision, Hash: answer.Offer.Hash}
			poll.Config = answer.Offer.Config
		}
		if _, err := w.Poll(t.Context(), id, poll); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range devices {
		refuses(id)
	}
	if err := w.MoveRelease(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(t, get(w, of), 200, "<b>halted</b>", "1 of 1 devices refuse the change", "What failed, and why", "✗ refused", "<code>v.a</code> 2 is <b>too</b> much",
		`<rect class="failed" x="0" width="1000" height="10"/>`, `href="go/"`)
	has(t, get(w, of+"halt/"), 200, "That changes nothing")
	ask := get(w, of+"go/")
	has(t, ask, 200, "Stage 1 of 2 goes on.", `<button name="act" value="set">Go`)
	leads(t, set(w, of+"go/", ask), "../?done=go")
	has(t, set(w, of+"go/", ask), 409, "has moved meanwhile") // sent twice: it is not a go to the next stage
	if err := w.MoveRelease(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(t, get(w, of+"go/"), 200, "Stage 2 of 2 begins: all devices. It brings the change to 2 devices.")
	ask = get(w, of+"halt/")
	has(t, ask, 200, "No further stage begins. The stages that have begun have admitted 1 device: 0 in sync. The others still get the change with their next poll, "+
		"if they have not got it yet. Only undo takes it back.")
	leads(t, set(w, of+"halt/", ask), "../?done=halt")
	leads(t, set(w, of+"halt/", ask), "../?done=halt")
	has(t, get(w, of), 200, "no further stage begins, but devices of the stages that have begun still get the change with their next poll")
	ask = get(w, of+"undo/")
	has(t, ask, 200, "everyone become what they were before the release", "1 device may have the change")
	leads(t, set(w, of+"undo/", ask), "../?done=undo")
	leads(t, set(w, of+"undo/", ask), "../?done=undo")
	has(t, get(w, of+"?done=undo"), 200, "✓ The release is undone.", "<b>undone</b>", "The figures are those of the end.")
	has(t, get(w, of+"undo/"), 200, "The release has ended")
	if layer, err := w.Layer(t.Context(), fleet.Everyone); err != nil || layer.Config.String() != `{"v":{"a":1}}` {
		t.Error(layer, err)
	}
	has(t, get(w, "/page/releases/"), 200, `<a href="3/">Release 3</a>`, "undone")
	for _, path := range []string{"99/", "x/", "99/go/", "99999999999999999999/"} {
		has(t, get(w, "/page/releases/"+path), 404, "There is no release")
	}
	has(t, get(w, "/page/releases/?before=x"), 404, "There is no page of releases")
}

// TestReleaseRights: who may begin a release may halt and undo it, and nobody else; go is for approvers.
func TestReleaseRights(t *testing.T) {
	w := open(t)
	w.register(fleet.Labels{"site": "berlin"})
	w.set("bob", "labels/berlin", "site=berlin", `{"v":{"a":1}}`)
	plan, err := w.ReadPlan([]byte(`{"stages": [{"devices": 1}], "approve": [1]}`))
	if err != nil {
		t.Fatal(err)
	}
	selector, err := fleet.ParseSelector("site=berlin")
	if err != nil {
		t.Fatal(err)
	}
	change := fleet.Change{Layer: fleet.Layer{Name: "labels/berlin", Selector: selector, Config: w.config(`{"v":{"a":2}}`)}, Within: fleet.Scope{"site": "berlin"}}
	if _, _, err := w.StartRelease(t.Context(), fleet.Batch{Changes: []fleet.Change{change}}, plan, "bert"); err != nil {
		t.Fatal(err)
	}
	w.clock.Pass(time.Second)
	for _, test := range []struct {
		role        access.Role
		scope       access.Scope
		goes, halts bool
	}{
		{access.RoleViewer, nil, false, false},
		{access.RoleApprover, nil, true, false},
		{access.RoleOperator, nil, false, true},
		{access.RoleOperator, access.Scope{"site": "berlin"}, false, true},
		{access.RoleOperator, access.Scope{"site": "munich"}, false, false},
		{access.RoleAdmin, nil, true, true},
	} {
		w.caller = access.Caller{Kind: access.Operator, Name: "x", Role: test.role, Scope: test.scope}
		for word, may := range map[string]bool{"go": test.goes, "halt": test.halts, "undo": test.halts} {
			want := "</button>"
			if !may {
				want = "Your token does not allow this."
			}
			t.Run(fmt.Sprint(test.role, test.scope, " ", word), func(t *testing.T) {
				has(t, get(w, "/page/releases/3/"+word+"/"), 200, want)
			})
		}
	}
}

// TestReleaseHeldBy: the page names devices for which a release waits, and links to them.
func TestReleaseHeldBy(t *testing.T) {
	t.Parallel()
	w := open(t)
	gone := w.register(nil)
	w.set("bob", fleet.Everyone, "", `{"v":{"a":1}}`)
	w.clock.Set(now.Add(24 * time.Hour))
	var devices []uuid.UUID
	for range 7 {
		devices = append(devices, w.register(nil))
	}
	slices.SortFunc(devices, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) }) // the first five are named
	if _, err := w.SetName(t.Context(), devices[0], "lobby", "bob"); err != nil {
		t.Fatal(err)
	}
	plan, err := w.ReadPlan([]byte(`{"stages": [{"percent": 100}]}`))
	if err != nil {
		t.Fatal(err)
	}
	change := fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: w.config(`{"v":{"a":2}}`)}}
	_, begun, err := w.StartRelease(t.Context(), fleet.Batch{Changes: []fleet.Change{change}}, plan, "bert")
	if err != nil {
		t.Fatal(err)
	}
	of := fmt.Sprintf("/page/releases/%d/", begun.ID)
	has(t, get(w, of), 200, "<p>Yet to apply the change: ", `<a href="../../devices/`+devices[0].String()+`/"><bdi>lobby</bdi></a> `,
		`<span class="soft">and 2 more</span></p>`, "<p>Silent already when their stage began: <a href=\"../../devices/"+gone.String()+"/\"><bdi>"+gone.String()+"</bdi></a> </p>")
}

// TestChangeAmidRelease: the overview counts devices that wait for a release among those which another change concerns.
func TestChangeAmidRelease(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.register(fleet.Labels{"site": "berlin"})
	w.register(fleet.Labels{"stage": "canary"})
	w.set("bob", fleet.Everyone, "", `{"v":{"a":1}}`)
	plan, err := w.ReadPlan([]byte(`{"stages": [{"selector": "stage=canary"}, {"percent": 100}]}`))
	if err != nil {
		t.Fatal(err)
	}
	change := fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: w.config(`{"v":{"a":2}}`)}}
	if _, _, err := w.StartRelease(t.Context(), fleet.Batch{Changes: []fleet.Change{change}}, plan, "bert"); err != nil {
		t.Fatal(err)
	}
	w.set("bob", "labels/berlin", "site=berlin", `{"v":{"b":1}}`)
	has(t, get(w, "/"), 200, "labels/berlin, by bob", "0 of 1 device that it concerns")
	w.set("bob", "labels/rome", "site=rome", `{"v":{"b":1}}`)
	has(t, get(w, "/"), 200, "labels/rome, by bob", "It concerns no device.")
}
