package fleet

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Statistics are thinned with age: of the points of the last stretch all are kept, of those before it every sixth, of the
// oldest every 24th. With the standards: 5 minutes for 6 hours, half an hour for 2 days, 2 hours up to a week.
const (
	allFor        = 72  // steps
	everySixthFor = 576 // steps
	sixth         = 6
	twentyFourth  = 24
	thinEach      = 6 // points: what is thinned waits so long, so that not each write has to look
)

// point returns the number of the point of statistics that a time belongs to, in steps since 1970; 0 where none is kept.
func (f *Fleet) point(now time.Time, stats string) uint32 {
	if stats == "" || f.options.StatsKeep < 0 {
		return 0
	}
	return uint32(now.Unix() / max(int64(f.options.StatsStep/time.Second), 1))
}

// statsOf makes a point of what a device has counted; nil where none is kept.
func (f *Fleet) statsOf(point uint32, text string) *Stats {
	if point == 0 {
		return nil
	}
	step := max(int64(f.options.StatsStep/time.Second), 1)
	return &Stats{At: instant(int64(point) * step), Text: text}
}

// thinnings says which older points are to go.
func (f *Fleet) thinnings() []Thinning {
	step := max(f.options.StatsStep.Truncate(time.Second), time.Second)
	now := f.options.Now()
	if now.Unix()/int64(step/time.Second)%thinEach != 0 {
		return nil
	}
	return []Thinning{
		{Before: now.Add(-f.options.StatsKeep)},
		{Before: now.Add(-everySixthFor * step), Step: twentyFourth * step},
		{Before: now.Add(-allFor * step), Step: sixth * step},
	}
}

// Stats returns the points of a device's statistics from a time on, the oldest first, and the time that one point stands
// for at the least. A step that is larger than that thins them: of the points in one step, the last is returned.
func (f *Fleet) Stats(ctx context.Context, id uuid.UUID, since time.Time, step time.Duration) ([]Stats, time.Duration, error) {
	least := max(f.options.StatsStep.Truncate(time.Second), time.Second)
	step = max(step.Truncate(time.Second), least)
	if oldest := f.options.Now().Add(-f.options.StatsKeep); since.Before(oldest) {
		since = oldest
	}
	list, err := f.store.Stats(ctx, id, since)
	if err != nil || step == least {
		return list, step, err
	}
	thinned := list[:0]
	of := func(point Stats) int64 { return point.At.Unix() / int64(step/time.Second) }
	for i, point := range list {
		if i == len(list)-1 || of(list[i+1]) != of(point) {
			thinned = append(thinned, point)
		}
	}
	return thinned, step, nil
}
