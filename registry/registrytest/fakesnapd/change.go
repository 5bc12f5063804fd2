package fakesnapd

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A change is snapd's record of something that is under way or over.
type change struct {
	id, kind, summary string
	looks             int           // to be asked for so often until it runs
	run               func(*change) // sets the outcome
	schema            string        // that it keeps others out of; "" for none

	ready   bool
	status  string
	err     string
	tasks   []map[string]any
	data    map[string]any
	spawned time.Time
}

type notice struct {
	id, kind string
	at       time.Time
	count    int
}

// begin records a change, and runs it if nothing is to be waited for.
func (f *Fake) begin(c *change) {
	c.id = strconv.Itoa(50 + len(f.changes))
	c.status, c.spawned = "Doing", time.Now()
	f.changes = append(f.changes, c)
	f.note(c)
	if c.schema != "" {
		f.ongoing[c.schema] = c
	}
	f.advance(c, c.looks == 0)
}

// advance runs a change if its time has come.
func (f *Fake) advance(c *change, now bool) {
	if c.ready || !now || c.schema != "" && (f.held || f.ongoing[c.schema] != c) {
		return
	}
	c.ready, c.status = true, "Done"
	c.run(c)
	f.note(c)
	if c.schema == "" {
		return
	}
	// The place is free: for a write that was refused and goes on all the same, else for whoever waits.
	delete(f.ongoing, c.schema)
	if waiting := f.leftover[c.schema]; len(waiting) > 0 {
		f.leftover[c.schema] = waiting[1:]
		f.ongoing[c.schema] = waiting[0]
		f.advance(waiting[0], true)
	}
}

// note records a notice about a change, and wakes whoever waits for one.
func (f *Fake) note(c *change) {
	at := time.Now()
	if !at.After(f.clock) {
		at = f.clock.Add(1)
	}
	f.clock = at
	n := f.notices[c.id]
	if n == nil {
		n = &notice{id: strconv.Itoa(1 + len(f.notices)), kind: c.kind}
		f.notices[c.id] = n
	}
	n.at, n.count = at, n.count+1
	close(f.moved)
	f.moved = make(chan struct{})
}

func (f *Fake) showChange(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	i := slices.IndexFunc(f.changes, func(c *change) bool { return c.id == id })
	if i < 0 {
		refuse(w, 404, "", fmt.Sprintf("cannot find change with id %q", id))
		return
	}
	c := f.changes[i]
	if c.looks > 0 {
		c.looks--
	}
	f.advance(c, c.looks == 0)
	result := map[string]any{
		"id": c.id, "kind": c.kind, "summary": c.summary, "status": c.status, "ready": c.ready,
		"spawn-time": c.spawned.UTC().Format(time.RFC3339Nano),
	}
	if c.ready {
		result["ready-time"] = c.spawned.UTC().Format(time.RFC3339Nano)
	}
	if c.err != "" {
		result["err"] = c.err
	}
	if c.data != nil {
		result["data"] = c.data
	}
	if c.tasks != nil {
		result["tasks"] = c.tasks
	}
	answer(w, result)
}

func (f *Fake) showNotices(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	after, err := time.Parse(time.RFC3339Nano, query.Get("after"))
	if err != nil && query.Has("after") {
		refuse(w, 400, "", `invalid "after" timestamp: `+err.Error())
		return
	}
	timeout, err := time.ParseDuration(query.Get("timeout"))
	if err != nil && query.Has("timeout") {
		refuse(w, 400, "", "invalid timeout: "+err.Error())
		return
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	keys := query["keys"]
	for {
		found := []map[string]any{}
		for key, n := range f.notices {
			if !n.at.After(after) || len(keys) > 0 && !slices.Contains(keys, key) {
				continue
			}
			at := n.at.UTC().Format(time.RFC3339Nano)
			found = append(found, map[string]any{
				"id": n.id, "user-id": nil, "type": "change-update", "key": key, "first-occurred": at,
				"last-occurred": at, "last-repeated": at, "occurrences": n.count, "expire-after": "168h0m0s",
				"last-data": map[string]any{"kind": n.kind},
			})
		}
		if len(found) > 0 || !f.wait(r, timer.C) {
			slices.SortFunc(found, func(a, b map[string]any) int {
				return f.notices[a["key"].(string)].at.Compare(f.notices[b["key"].(string)].at)
			})
			answer(w, found)
			return
		}
	}
}

// wait gives way until a change moves; false means that time is up, or the client has gone.
func (f *Fake) wait(r *http.Request, timeout <-chan time.Time) bool {
	moved := f.moved
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case <-moved:
		return true
	case <-timeout:
	case <-r.Context().Done():
	}
	return false
}
