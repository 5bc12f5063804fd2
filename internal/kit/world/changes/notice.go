package changes

import (
	"context"
	"slices"
	"time"
)

// A Notice says that something has happened to what Key names, once or repeatedly.
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

// A NoticeFilter selects notices; the zero value selects all.
type NoticeFilter struct {
	Types, Keys []string
	After       time.Time // only notices that were repeated later
}

const (
	changeUpdate = "change-update"
	noticesFor   = 7 * 24 * time.Hour
)

func (b *book) notices(filter NoticeFilter) []Notice {
	list := []Notice{}
	for _, n := range b.Notices {
		if len(filter.Types) > 0 && !slices.Contains(filter.Types, n.Type) ||
			len(filter.Keys) > 0 && !slices.Contains(filter.Keys, n.Key) || !n.LastRepeated.After(filter.After) {
			continue
		}
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b Notice) int { return a.LastRepeated.Compare(b.LastRepeated) })
	return list
}

// Notices returns the notices that a filter selects, sorted by the time of the last repetition.
func (r *Records) Notices(filter NoticeFilter) []Notice {
	b, done := r.open()
	defer done()
	return b.notices(filter)
}

// Notice returns a notice. found is false if there is none with the ID.
func (r *Records) Notice(id string) (notice Notice, found bool) {
	b, done := r.open()
	defer done()
	for _, n := range b.Notices {
		if n.ID == id {
			return *n, true
		}
	}
	return Notice{}, false
}

// WaitNotices waits until the filter selects a notice. It returns nil when ctx ends first.
func (r *Records) WaitNotices(ctx context.Context, filter NoticeFilter) []Notice {
	for {
		b, done := r.open()
		list, moved := b.notices(filter), b.moved
		done()
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
