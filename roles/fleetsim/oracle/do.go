package oracle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// errStatus is the error for an answer other than 2xx.
type errStatus struct {
	status int
	body   string
}

func (e *errStatus) Error() string { return fmt.Sprintf("answered %d: %s", e.status, e.body) }

// ask sends an operator's request. It returns an *errStatus for an answer other than 2xx.
func (h *harness) ask(server int, method, path string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader([]byte(text(body)))
	}
	request, err := http.NewRequestWithContext(h.ctx, method, h.world.URL(server)+path, reader)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := h.world.Transport().RoundTrip(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	content, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %w", method, path, &errStatus{response.StatusCode, string(content)})
	}
	switch answer := answer.(type) {
	case nil:
		return nil
	case *string:
		*answer = string(content)
		return nil
	}
	return json.Unmarshal(content, answer)
}

// do performs an act.
func (h *harness) do(a Act) error {
	server := a.Server % h.world.Servers()
	h.mu.Lock()
	d := h.devices[a.Device%len(h.devices)]
	e := h.model.entries[d.id]
	h.mu.Unlock()
	switch a.Do {
	case "set", "remove":
		return h.change(server, a, e)
	case "release":
		return h.release(server, a, e)
	case "go", "halt", "undo":
		return h.say(server, a.Do)
	case "name":
		return h.name(server, e, a.Name)
	case "restore":
		return h.restore(server, a)
	case "labels":
		return h.relabel(server, e, a.Labels)
	case "delete":
		return h.forget(server, e)
	case "revoke", "approve":
		return h.judge(server, e, a.Do)
	case "join":
		return h.join(a.Mood == "fresh")
	case "overtaken":
		return h.overtaken(server, d)
	case "repeat":
		h.mu.Lock()
		acked := d.acked
		h.mu.Unlock()
		if acked == nil || !d.kind.Reports {
			return nil
		}
		return h.deliver(server, d, *acked, 0)
	case "stop", "kill":
		return h.interrupt(server, a)
	case "backup":
		return h.backup()
	case "rollback":
		return h.rollback()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inNeed(d, a).act(a)
	return nil
}

// inNeed returns the device of an act. For an act that returns or corrects something, it returns the next device that
// needs that. The caller holds the lock.
func (h *harness) inNeed(d *device, a Act) *device {
	for i := range h.devices {
		next := h.devices[(d.number+i)%len(h.devices)]
		if a.Do == "return" && next.away || a.Do == "mood" && a.Mood == obeys && next.mood != obeys {
			return next
		}
	}
	return d
}

// act performs the part of an act that happens in the device. The caller holds the lock.
func (d *device) act(a Act) {
	switch a.Do {
	case "mood":
		d.mood = a.Mood
	case "drift":
		d.holds.config = patched(d.holds.config, a.Config)
		return
	case "register":
		if d.away || !d.kind.Signs && !d.kind.Reports && len(d.h.model.entries) > 3*d.h.options.Devices {
			return // the value differs each time
		}
		d.id = uuid.Nil
	case "leave":
		d.away = true
	case "return":
		d.away = false
	case "reboot":
	default:
		return
	}
	if d.interrupt != nil && a.Do != "mood" {
		d.interrupt()
	}
	if d.due = time.Now().Add(time.Duration(d.random.Int64N(int64(d.h.options.Interval/4) + 1))); a.Do == "mood" {
		return
	}
	d.poke()
}

// recordRevision records the revision of a change: the newest one in the server's history, if the change must have one.
// It also records what servers have done to releases meanwhile.
func (h *harness) recordRevision(server int, expected bool, layer string) (revision int64, err error) {
	h.mu.Lock()
	highest := h.highest
	h.mu.Unlock()
	others, err := h.catchUp(server, nil)
	if err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !expected {
		if len(others) > 0 {
			h.complain("history", "nothing was changed, and the history has %s", text(others))
		}
		return h.model.revision, nil
	}
	if len(others) != 1 || others[0].Layer != layer {
		h.complain("history", "a change of %s is told as %s", layer, text(others))
		return h.model.revision, nil
	}
	revision = others[0].Revision
	if h.model.restored && revision <= highest {
		h.complain("history", "after a restore revision %d was drawn, and devices may have seen %d", revision, highest)
	}
	return revision, nil
}

// change sets or removes a layer, and records it.
func (h *harness) change(server int, a Act, e *entry) error {
	name := a.Layer
	if name == "device" {
		if e == nil {
			return nil
		}
		name = ownLayer(e.id)
	}
	h.mu.Lock()
	present, there := h.model.layers[name]
	releasing := h.model.release != nil && h.model.release.layer == name // or it was a moment ago
	h.mu.Unlock()
	if a.Do == "remove" {
		err := h.ask(server, http.MethodDelete, "/targets/"+name+"/", nil, nil)
		if refused(err) && (!there || releasing) {
			return nil
		} else if err != nil {
			return err
		}
		return h.recordLayer(server, name, nil, there)
	}
	next := layer{a.Selector, a.Priority, a.Config}
	sent := serverapi.Config{} // different spellings of a view mean the same one
	for view, document := range a.Config {
		sent[a.Spelled+view] = document
	}
	err := h.ask(server, http.MethodPut, "/targets/"+name+"/", serverapi.LayerRequest{Selector: a.Selector, Priority: a.Priority, Config: sent}, nil)
	if refused(err) && releasing {
		return nil
	} else if err != nil {
		return err
	}
	return h.recordLayer(server, name, &next, !there || text(next) != text(present))
}

// refused reports whether an answer blames the client.
func refused(err error) bool {
	var status *errStatus
	return errors.As(err, &status) && status.status < http.StatusInternalServerError
}

// recordLayer records the layer that a change has set or removed.
func (h *harness) recordLayer(server int, name string, to *layer, changed bool) error {
	revision, err := h.recordRevision(server, changed, name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && changed {
		h.model.set(name, to, revision)
		h.model.restored = false
	}
	return err
}

// restore restores a layer to what it was after an earlier change.
func (h *harness) restore(server int, a Act) error {
	h.mu.Lock()
	var of []change
	for _, c := range h.model.changes {
		if !c.labelled {
			of = append(of, c)
		}
	}
	if len(of) == 0 {
		h.mu.Unlock()
		return nil
	}
	c := of[max(0, len(of)-1-a.Back)]
	present, there := h.model.layers[c.layer]
	h.mu.Unlock()
	err := h.ask(server, http.MethodPost, fmt.Sprintf("/history/%d/restore/", c.revision), nil, nil)
	if refused(err) {
		return h.recordLayer(server, c.layer, nil, false) // such as the layer of a deleted device
	} else if err != nil {
		return err
	}
	changed := there != (c.after != nil) || there && text(*c.after) != text(present)
	return h.recordLayer(server, c.layer, c.after, changed)
}

func (h *harness) relabel(server int, e *entry, labels map[string]string) error {
	if e == nil {
		return nil
	}
	patch := map[string]any{"site": nil, "stage": nil}
	for name, value := range labels {
		patch[name] = value
	}
	h.mu.Lock()
	after := maps.Clone(labels)
	for name, value := range e.labels {
		if strings.HasPrefix(name, "device.") {
			after[name] = value
		}
	}
	h.mu.Unlock()
	if err := h.ask(server, http.MethodPatch, "/devices/"+e.id.String()+"/labels/", patch, nil); err != nil {
		return err
	}
	h.mu.Lock()
	changed := !maps.Equal(after, e.labels)
	h.mu.Unlock()
	revision, err := h.recordRevision(server, changed, ownLayer(e.id))
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && changed {
		h.model.label(e, after, revision)
	}
	return err
}

// forget deletes a device. The device registers again when it notices.
func (h *harness) forget(server int, e *entry) error {
	if e == nil {
		return nil
	}
	h.mu.Lock()
	_, own := h.model.layers[ownLayer(e.id)]
	h.gone = ownLayer(e.id)
	delete(h.model.entries, e.id)
	h.mu.Unlock()
	if err := h.ask(server, http.MethodDelete, "/devices/"+e.id.String()+"/", nil, nil); err != nil {
		return err
	}
	if e.status == serverapi.Revoked {
		if err := h.allowKey(server, e.id); err != nil {
			return err
		}
	}
	err := h.recordLayer(server, ownLayer(e.id), nil, own)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = ""
	if r := h.model.release; r != nil && r.layer == ownLayer(e.id) { // there is nothing to undo
		next := *r
		next.before, h.model.release = nil, &next
	}
	return err
}

// allowKey permits a deleted device whose key is revoked to register again.
func (h *harness) allowKey(server int, device uuid.UUID) error {
	var list serverapi.RevokedKeys
	if err := h.ask(server, http.MethodGet, "/revoked-keys/", nil, &list); err != nil {
		return err
	}
	at := slices.IndexFunc(list.RevokedKeys, func(key serverapi.RevokedKey) bool { return key.UUID == device })
	if at < 0 {
		return fmt.Errorf("the key of the deleted device %s is not revoked any more", device)
	}
	return h.ask(server, http.MethodDelete, "/revoked-keys/"+list.RevokedKeys[at].KeyID+"/", nil, nil)
}

func (h *harness) judge(server int, e *entry, what string) error {
	if e == nil {
		return nil
	}
	if err := h.ask(server, http.MethodPost, "/devices/"+e.id.String()+"/"+what+"/", nil, nil); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e.status = map[string]string{"revoke": serverapi.Revoked, "approve": serverapi.Active}[what]
	return nil
}

// admit approves the devices that wait for approval, except one in four.
func (h *harness) admit() error {
	h.mu.Lock()
	var waiting []*entry
	for _, d := range h.devices {
		if e := h.model.entries[d.id]; e != nil && e.status == serverapi.Pending && d.number%4 != 3 {
			waiting = append(waiting, e)
		}
	}
	h.mu.Unlock()
	for _, e := range waiting {
		if err := h.judge(0, e, "approve"); err != nil {
			return err
		}
	}
	return nil
}

// overtaken lets a device report a change and then its earlier state, and delivers the first report last. Its signature
// shows that it was sent first. A device without signatures must not do this repeatedly, because two machines with one
// identity look the same.
func (h *harness) overtaken(server int, d *device) error {
	h.mu.Lock()
	if d.id == uuid.Nil || d.acked == nil || !d.kind.Reports || d.acked.UUID != d.id || !d.kind.Signs && d.counted < d.overtaken+50 {
		h.mu.Unlock()
		return nil
	}
	d.overtaken = d.counted
	before := d.holds.config
	d.holds.config = patched(before, astray)
	held := d.request()
	d.holds.config = before
	d.holds.sequence++
	now := d.request()
	h.mu.Unlock()
	if err := h.deliver(server, d, now, 0); err != nil {
		return err
	}
	return h.deliver(server, d, held, 2*time.Second)
}

// deliver sends a report of a device beside its own polls, with a signature as old as ago. The device does not get the
// answer.
func (h *harness) deliver(server int, d *device, request serverapi.PollRequest, ago time.Duration) error {
	h.mu.Lock()
	sent := h.sent(request)
	h.mu.Unlock()
	_, err := d.clientOf(server, ago).Poll(h.ctx, request, 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	sent.end(err)
	h.figures.Polls++
	if refused := (*serverapi.Error)(nil); errors.As(err, &refused) && !refused.Temporary() {
		return nil // the device is revoked or deleted
	}
	return err
}

// interrupt stops a server, and starts it again later.
func (h *harness) interrupt(server int, a Act) error {
	end := h.world.Stop
	if a.Do == "kill" {
		end = h.world.Kill
	}
	if err := end(server); err != nil {
		return err
	}
	h.world.Sleep(h.options.Interval * time.Duration(a.Back) / 100)
	return h.world.Start(server)
}

// backup makes a backup. It may or may not have the polls that are under way.
func (h *harness) backup() error {
	h.world.Settle()
	h.mu.Lock()
	saved := h.model.clone()
	h.saving = saved
	h.mu.Unlock()
	err := h.world.Backup()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.saving = nil
	if err != nil {
		return err
	}
	for id, e := range h.model.clone().entries {
		if saved.entries[id] == nil { // registered during the backup
			saved.entries[id] = e
		}
	}
	h.saved = saved
	return nil
}

// rollback restores the last backup.
func (h *harness) rollback() error {
	h.mu.Lock()
	saved := h.saved
	h.mu.Unlock()
	if saved == nil {
		return nil
	}
	for i := range h.world.Servers() {
		if err := h.world.Stop(i); err != nil {
			return err
		}
	}
	if err := h.world.Restore(); err != nil {
		return err
	}
	h.mu.Lock()
	h.model = saved.clone()
	h.model.restored = true
	h.era++
	h.mu.Unlock()
	for i := range h.world.Servers() {
		if err := h.world.Start(i); err != nil {
			return err
		}
	}
	return nil
}

// ids returns the devices that servers must show.
func (m *model) ids() []string {
	var list []string
	for id := range maps.Keys(m.entries) {
		list = append(list, id.String())
	}
	slices.Sort(list)
	return list
}
