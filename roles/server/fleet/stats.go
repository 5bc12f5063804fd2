package fleet

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Statistics are thinned with age: all points of the newest part stay, of the older part every sixth, and of the oldest
// part every 24th. With the defaults: 5 minutes for 6 hours, half an hour for 2 days, 2 hours up to a week.
const (
	allFor        = 72  // steps
	everySixthFor = 576 // steps
	sixth         = 6
	twentyFourth  = 24
	thinEach      = 6 // points; a thinning waits for so many, so that not each write has one
)

// point returns the number of the point of statistics to which a time belongs, in steps since 1970; 0 if none is
// stored.
func (f *Fleet) point(now time.Time, stats string) uint32 {
	if stats == "" || f.options.StatsKeep < 0 {
		return 0
	}
	return uint32(now.Unix() / max(int64(f.options.StatsStep/time.Second), 1))
}

// statsOf returns a point with a device's counters; nil if none is stored.
func (f *Fleet) statsOf(point uint32, text string) *Stats {
	if point == 0 {
		return nil
	}
	step := max(int64(f.options.StatsStep/time.Second), 1)
	return &Stats{At: instant(int64(point) * step), Text: text}
}

// thinnings returns the thinnings of older points.
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

// Stats returns the points of a device's statistics since a time, the oldest first, and the smallest time between two
// points. A larger step thins them: of the points in one step, it returns the last.
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
