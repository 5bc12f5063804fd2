package world

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// A Notice tells that something has happened to what Key names, once or repeatedly.
type Notice struct {
	ID            string            `json:"id"`
	Type          string            `json:"type"` // "change-update"
	Key           string            `json:"key"`  // of a change-update: the change's ID
	FirstOccurred time.Time         `json:"first-occurred"`
	LastOccurred  time.Time         `json:"last-occurred"`
	LastRepeated  time.Time         `json:"last-repeated"`
	Occurrences   int               `json:"occurrences"`
	LastData      map[string]string `json:"last-data,omitempty"`
	ExpireAfter   time.Duration     `json:"expire-after"`
}

// A NoticeFilter says which notices are wanted; the zero value wants all.
type NoticeFilter struct {
	Types, Keys []string
	After       time.Time // only those that were repeated later
}

const (
	changeUpdate = "change-update"
	noticesFor   = 7 * 24 * time.Hour
)

// note records that a change has moved. No two occurrences share a moment, so that clients can ask for what came later.
func (w *World) note(c *change) {
	now := w.options.Now().UTC()
	if !now.After(w.clock) {
		now = w.clock.Add(time.Nanosecond)
	}
	w.clock = now
	i := slices.IndexFunc(w.state.Notices, func(n *Notice) bool { return n.Type == changeUpdate && n.Key == c.ID })
	if i < 0 {
		w.state.LastNotice++
		w.state.Notices = slices.DeleteFunc(w.state.Notices, func(n *Notice) bool {
			return now.Sub(n.LastOccurred) > n.ExpireAfter
		})
		w.state.Notices = append(w.state.Notices, &Notice{ID: strconv.Itoa(w.state.LastNotice), Type: changeUpdate,
			Key: c.ID, FirstOccurred: now, ExpireAfter: noticesFor})
		i = len(w.state.Notices) - 1
	}
	n := w.state.Notices[i]
	n.LastOccurred, n.LastRepeated = now, now
	n.Occurrences++
	n.LastData = map[string]string{"kind": c.Kind}
}

// Notices returns what has been noticed, by the time of the last repetition.
func (w *World) Notices(filter NoticeFilter) []Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notices(filter)
}

func (w *World) notices(filter NoticeFilter) []Notice {
	list := []Notice{}
	for _, n := range w.state.Notices {
		if len(filter.Types) > 0 && !slices.Contains(filter.Types, n.Type) ||
			len(filter.Keys) > 0 && !slices.Contains(filter.Keys, n.Key) || !n.LastRepeated.After(filter.After) {
			continue
		}
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b Notice) int { return a.LastRepeated.Compare(b.LastRepeated) })
	return list
}

// Notice returns one notice.
func (w *World) Notice(id string) (Notice, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.state.Notices {
		if n.ID == id {
			return *n, true
		}
	}
	return Notice{}, false
}

// WaitNotices waits until there is a notice that is wanted, or ctx ends: then it returns none, and no error.
func (w *World) WaitNotices(ctx context.Context, filter NoticeFilter) []Notice {
	for {
		w.mu.Lock()
		list, moved := w.notices(filter), w.moved
		w.mu.Unlock()
		if len(list) > 0 {
			return list
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil
		}
	}
}
