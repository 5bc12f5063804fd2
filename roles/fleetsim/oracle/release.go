package oracle

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/roles/serverapi"
)

// A rollout is the active release as the model knows it: from the documentation, from what persons have said, and from
// the history. Servers choose which devices a stage has; the model reads that choice from their answers. What the
// devices inside and outside of the release must get follows from it.
type rollout struct {
	id     int64
	layer  string
	before *layer // nil for no layer
	after  layer
	plan   int // index in plans
	stage  int
	goes   int  // how often a person has said go
	halted bool // a person has said halt, and nobody has said go since
}

// plans are the stages of releases. Each plan has a stage without all devices.
var plans = []struct {
	plan serverapi.ReleasePlan
	// most is the largest number of devices in the first stage; 0 means any number. With a site they are the devices
	// with that label.
	most    int
	site    string
	approve int // the stage that needs a person's go; 0 for none
}{
	{plan: serverapi.ReleasePlan{Stages: []serverapi.ReleaseStage{{Devices: 1}, {Percent: 50}, {Percent: 100}}, OnStop: "undo"}, most: 1},
	{plan: serverapi.ReleasePlan{Stages: []serverapi.ReleaseStage{{Devices: 2}, {Percent: 100}}, Approve: []int{2}}, most: 2, approve: 2},
	{plan: serverapi.ReleasePlan{Stages: []serverapi.ReleaseStage{{Selector: "device.site=a"}, {Percent: 100}}}, site: "a"},
	{plan: serverapi.ReleasePlan{Stages: []serverapi.ReleaseStage{{Percent: 100}}, Approve: []int{1}, OnStop: "undo"}, approve: 1},
	{plan: serverapi.ReleasePlan{Stages: []serverapi.ReleaseStage{{Percent: 30, Spread: "device.site"}, {Percent: 100}},
		StopWhen: &serverapi.ReleaseStop{Failing: 50, Silent: 50}}},
}

// concerned reports whether the active release changes a layer of a device.
func (m *model) concerned(e *entry) bool {
	r := m.release
	if r == nil {
		return false
	}
	if !strings.HasPrefix(r.layer, "labels/") {
		return r.layer == everyone || r.layer == ownLayer(e.id)
	}
	after, there := m.layers[r.layer]
	return there && selects(after.Selector, e.labels) || r.before != nil && selects(r.before.Selector, e.labels)
}

// chosen reports whether the selector of each stage chooses a device of the release. A server refuses a release for
// which one does not.
func (m *model) chosen(r *rollout) bool {
	site := plans[r.plan].site
	if site == "" {
		return true
	}
	concerns := change{layer: r.layer, before: r.before, after: &r.after}.concerns
	for _, e := range m.entries {
		if e.status == serverapi.Active && e.labels["device.site"] == site && concerns(e) {
			return true
		}
	}
	return false
}

// catchUp records the changes of the history since the last act, because servers advance and undo releases by
// themselves. begun is a release that has just begun; nil for none. It returns the entries that no release explains,
// the oldest first.
func (h *harness) catchUp(server int, begun *rollout) (others []serverapi.HistoryEntry, err error) {
	h.mu.Lock()
	since := h.model.revision
	h.mu.Unlock()
	var entries []serverapi.HistoryEntry
	for before := int64(0); ; {
		query := url.Values{"limit": {"100"}}
		if before > 0 {
			query.Set("before", strconv.FormatInt(before, 10))
		}
		var page serverapi.HistoryPage
		if err := h.ask(server, http.MethodGet, "/history/?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		entries = append(entries, page.History...)
		if before = page.Next; before == 0 || before <= since {
			break
		}
	}
	slices.Reverse(entries)
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.model
	for _, entry := range entries {
		h.highest = max(h.highest, entry.Revision)
		changes := entry.Action == "set" || entry.Action == "removed"
		switch r := m.release; {
		case entry.Revision <= m.revision:
		case strings.HasPrefix(entry.Layer, "releases/"):
			h.moved(entry)
		case r != nil && changes && entry.Layer == r.layer && h.gone != entry.Layer:
			// Nobody may change the layer during the release, so this is an undo.
			h.follows(entry.Revision, 1, "an undo of "+r.layer)
			m.set(r.layer, r.before, entry.Revision)
		case begun != nil && changes && entry.Layer == begun.layer:
			h.follows(entry.Revision, 1, "a release of "+begun.layer)
			m.set(begun.layer, &begun.after, entry.Revision)
			begun.id = entry.Revision + 1
			m.changes[len(m.changes)-1].release, m.changes[len(m.changes)-1].amid = begun.id, false
			m.release, begun = begun, nil
		default:
			step := int64(1)
			if r != nil {
				step = 2 // the devices outside of the release have the revision between
			}
			h.follows(entry.Revision, step, "a change of "+entry.Layer)
			m.revision = entry.Revision
			others = append(others, entry)
		}
	}
	return others, nil
}

// moved records a move of a release. The caller holds the lock.
func (h *harness) moved(entry serverapi.HistoryEntry) {
	m, r := h.model, h.model.release
	if r == nil || entry.Layer != fmt.Sprint("releases/", r.id) {
		h.complain("release", "%s moves, and is not the active one: %s", entry.Layer, entry.Step)
		return
	}
	h.follows(entry.Revision, 1, entry.Layer)
	m.revision = entry.Revision
	next := *r
	stage, of, stages := 0, 0, len(plans[r.plan].plan.Stages)
	if _, err := fmt.Sscanf(entry.Step, "stage %d of %d", &stage, &of); err == nil {
		next.stage = stage
	}
	present, there := m.layers[r.layer]
	switch undone := strings.HasPrefix(entry.Step, "undone"); {
	case next.stage < r.stage || next.stage > r.stage+1:
		h.complain("release", "release %d goes from stage %d to stage %d", r.id, r.stage, next.stage)
	case r.halted && next.stage > r.stage:
		h.complain("release", "release %d is halted by a person, and goes on from stage %d to %d", r.id, r.stage, next.stage)
	case plans[r.plan].approve > 0 && next.stage >= plans[r.plan].approve && r.goes == 0:
		h.complain("release", "release %d is in stage %d, and nobody has said go", r.id, next.stage)
	case undone && (there != (r.before != nil) || there && text(present) != text(*r.before)):
		h.complain("release", "release %d is undone, and its layer is not what it was", r.id)
	case entry.Step == "done" && next.stage != stages:
		h.complain("release", "release %d is done in stage %d of %d", r.id, next.stage, stages)
	case undone, entry.Step == "done":
		m.release = nil
		return
	}
	m.release = &next
}

// follows complains unless a revision is step after the last one. The caller holds the lock.
func (h *harness) follows(revision, step int64, what string) {
	if m := h.model; !m.restored && revision != m.revision+step {
		h.complain("history", "%s drew revision %d after %d", what, revision, m.revision)
	}
}

// release begins a release.
func (h *harness) release(server int, a Act, e *entry) error {
	name := a.Layer
	if name == "device" {
		if e == nil {
			return nil
		}
		name = ownLayer(e.id)
	}
	if _, err := h.recordRevision(server, false, name); err != nil {
		return err
	}
	h.mu.Lock()
	was, there := h.model.layers[name]
	active := h.model.release != nil
	h.mu.Unlock()
	begun := &rollout{layer: name, after: layer{a.Selector, a.Priority, a.Config}, plan: a.Back % len(plans)}
	if there {
		begun.before = &was
	}
	if there && text(was) == text(begun.after) {
		return nil
	}
	plan := plans[begun.plan].plan
	h.mu.Lock()
	barren := !h.model.chosen(begun)
	h.mu.Unlock()
	err := h.ask(server, http.MethodPut, "/targets/"+name+"/", serverapi.LayerRequest{Selector: a.Selector, Priority: a.Priority, Config: a.Config,
		Release: &plan}, nil)
	switch {
	case refused(err) && (active || barren):
		begun = nil
	case err != nil:
		return err
	}
	others, err := h.catchUp(server, begun)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && (len(others) > 0 || begun != nil && begun.id == 0) {
		h.complain("release", "a release of %s has begun, and the history has %v", name, others)
	}
	h.model.restored = false
	return err
}

// say sends a person's word to the active release.
func (h *harness) say(server int, word string) error {
	if _, err := h.catchUp(server, nil); err != nil {
		return err
	}
	h.mu.Lock()
	r := h.model.release
	goes, halted := 0, false // the values before
	if r != nil {
		next := *r
		goes, halted = r.goes, r.halted
		if word == "go" { // servers may move on it before the answer comes
			next.goes, next.halted = next.goes+1, false
		}
		h.model.release, r = &next, &next
	}
	h.mu.Unlock()
	if r == nil {
		return nil
	}
	err := h.ask(server, http.MethodPost, fmt.Sprintf("/releases/%d/%s/", r.id, word), nil, nil)
	var status *errStatus
	if errors.As(err, &status) && status.status == http.StatusConflict { // the release continues by itself, or has ended
		err = nil
		h.mu.Lock()
		if now := h.model.release; now == r {
			next := *now
			next.goes, next.halted, h.model.release = goes, halted, &next
		}
		h.mu.Unlock()
	} else if err == nil && word == "halt" {
		if _, err := h.recordRevision(server, false, ""); err != nil {
			return err
		}
		h.mu.Lock()
		if now := h.model.release; now != nil && now.id == r.id {
			next := *now
			next.halted, h.model.release = true, &next
		}
		h.mu.Unlock()
	}
	if err != nil {
		return err
	}
	_, err = h.recordRevision(server, false, "")
	return err
}

// name gives a device a name, or removes its name.
func (h *harness) name(server int, e *entry, name string) error {
	if e == nil {
		return nil
	}
	h.mu.Lock()
	taken := false
	for _, other := range h.model.entries {
		taken = taken || other != e && name != "" && other.name == name
	}
	changed := e.name != name
	h.mu.Unlock()
	method, body := http.MethodPut, any(map[string]string{"name": name})
	if name == "" {
		method, body = http.MethodDelete, nil
	}
	err := h.ask(server, method, "/devices/"+e.id.String()+"/name/", body, nil)
	if refused(err) && taken {
		_, err := h.recordRevision(server, false, ownLayer(e.id))
		return err
	} else if err != nil {
		return err
	}
	_, err = h.recordRevision(server, changed, ownLayer(e.id))
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && changed {
		h.model.restored, e.name = false, name
		if taken {
			h.complain("name", "two devices are called %s", name)
		}
	}
	return err
}

// released compares what a server shows of a device's release with the model. The caller holds the lock.
func (h *harness) released(e *entry, device serverapi.Device) error {
	r := h.model.release
	switch {
	case device.Release == nil && h.model.concerned(e):
		return fmt.Errorf("release %d concerns it, and is not shown", r.id)
	case device.Release == nil:
		return nil
	case !h.model.concerned(e):
		return fmt.Errorf("is shown with release %d, which does not concern it", device.Release.ID)
	case device.Release.ID != r.id || device.Release.Stage > r.stage:
		return fmt.Errorf("is shown with release %d in stage %d, and it is release %d, in stage %d", device.Release.ID, device.Release.Stage, r.id, r.stage)
	}
	plan := plans[r.plan]
	switch in := device.Release.Stage; {
	case plan.site != "" && r.stage > 0 && (in == 1) != (e.labels["device.site"] == plan.site):
		return fmt.Errorf("has the labels %v, and is in stage %d", e.labels, in)
	case r.stage == len(plan.plan.Stages) && in == 0:
		return fmt.Errorf("waits, and the last stage has begun")
	}
	return nil
}

// stages compares the number of devices in the first stage with the plan.
func (h *harness) stages(p *picture) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.model.release
	if r == nil || plans[r.plan].most == 0 {
		return nil
	}
	first := 0
	for _, device := range p.devices {
		if device.Release != nil && device.Release.Stage == 1 {
			first++
		}
	}
	if most := plans[r.plan].most; first > most {
		return fmt.Errorf("the first stage of release %d is for %d devices, and %d are in it", r.id, most, first)
	}
	return nil
}
