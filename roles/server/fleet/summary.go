package fleet

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// summaryShare limits the share of time for summaries: a summary is valid for a multiple of the time that it took.
const summaryShare = 20

// leastSummary is the shortest time for which a summary is valid.
const leastSummary = time.Second

// A Summary counts devices.
type Summary struct {
	Devices  int
	States   map[State]int // all states, also those that no device has
	Silent   int
	Cloned   int
	Waiting  int           // polls that this server holds
	Revision int64         // of the last change of a layer
	Age      time.Duration // time since the count
}

// summary has the last summary. The zero value is ready for use.
type summary struct {
	stale atomic.Bool // an operator has changed something here, so that the next one must be new

	mu    sync.Mutex // guards the fields below; held during a count, so that there is one count at a time
	last  Summary
	made  time.Time
	until time.Time
}

// Summary counts the devices by state. The result may be some seconds old, because the cost of a count grows with the
// fleet, and counts may take only a small share of the time.
func (f *Fleet) Summary(ctx context.Context) (Summary, error) {
	f.summary.mu.Lock()
	defer f.summary.mu.Unlock()
	begin := time.Now()
	if f.summary.stale.Swap(false) || begin.After(f.summary.until) {
		counted, err := f.count(ctx)
		if err != nil {
			return Summary{}, err
		}
		f.summary.last, f.summary.made = counted, begin
		f.summary.until = time.Now().Add(max(leastSummary, summaryShare*time.Since(begin)))
	}
	last := f.summary.last
	last.Waiting, last.Age = f.Waiting(), time.Since(f.summary.made)
	return last, nil
}

func (f *Fleet) count(ctx context.Context) (Summary, error) {
	_ = f.flush(ctx) // the regular flush reports an error; the count then uses the stored times
	counted := Summary{States: map[State]int{}}
	var err error
	if counted.Revision, err = f.LastChange(ctx); err != nil {
		return Summary{}, err
	}
	for state := StateInSync; state <= StateNew; state++ {
		counted.States[state] = 0
	}
	if f.targets.Load().gate != nil { // with a gate, a target depends on more than labels
		err := f.countEach(ctx, &counted)
		return counted, err
	}
	groups, err := f.store.Standings(ctx, f.silentSince(), clonedFor*f.options.PollInterval)
	if err != nil {
		return Summary{}, err
	}
	newest := int64(0)
	for _, group := range groups {
		newest = max(newest, group.Own, group.Verdict.Revision)
	}
	targets, err := f.targets.since(ctx, newest)
	if err != nil {
		return Summary{}, err
	}
	if targets.gate != nil { // a release has begun meanwhile
		err := f.countEach(ctx, &counted)
		return counted, err
	}
	open := 0 // devices whose state depends on what they show
	for _, group := range groups {
		state, settled := derive(group.Status, group.Verdict, targets.wanted(group.Labels, group.Own, uuid.Nil, false))
		counted.States[state] += group.Count
		counted.Devices += group.Count
		counted.Silent += group.Silent
		counted.Cloned += group.Cloned
		if group.Mute && !settled {
			open += group.Count
		}
	}
	return counted, f.countOpen(ctx, &counted, open)
}

// countEach counts the devices one by one.
func (f *Fleet) countEach(ctx context.Context, counted *Summary) error {
	targets, devices, err := f.census(ctx)
	if err != nil {
		return err
	}
	open, silent := 0, f.silentSince().Unix()
	for _, device := range devices {
		state, settled := derive(device.Status, device.Verdict, targets.desired(device.ID, device.Labels, device.Own))
		counted.States[state]++
		counted.Devices++
		if device.LastSeen < silent {
			counted.Silent++
		}
		if device.Twins > device.Alone && device.LastSeen-device.Twins < int64(clonedFor*f.options.PollInterval/time.Second) {
			counted.Cloned++
		}
		if device.Mute && !settled {
			open++
		}
	}
	return f.countOpen(ctx, counted, open)
}

// census returns all devices, and a snapshot that is as new as the revisions that they run.
func (f *Fleet) census(ctx context.Context) (*snapshot, []Counted, error) {
	devices, err := f.store.Census(ctx)
	if err != nil {
		return nil, nil, err
	}
	newest := int64(0)
	for _, device := range devices {
		newest = max(newest, device.Own, device.Verdict.Revision)
	}
	targets, err := f.targets.since(ctx, newest)
	if err != nil {
		return nil, nil, err
	}
	for _, device := range devices {
		if targets.gate != nil && device.Verdict.Revision > targets.desired(device.ID, device.Labels, device.Own).Revision {
			targets, err = f.targets.anew(ctx) // another server has admitted the device
			break
		}
	}
	return targets, devices, err
}

// countOpen evaluates the devices that do not report what they run and have not polled since their target changed. They
// were counted as behind, and are in sync if they show their target.
func (f *Fleet) countOpen(ctx context.Context, counted *Summary, open int) error {
	for after := ""; open > 0; {
		list, next, err := f.store.Mute(ctx, after, scanRows)
		if err != nil {
			return err
		}
		for _, device := range list {
			view, err := f.view(ctx, device)
			if err != nil {
				return err
			}
			if _, settled := derive(device.Status, device.Verdict, view.Target.wanted); settled || open == 0 {
				continue
			}
			open--
			counted.States[StateBehind]--
			counted.States[view.State]++
		}
		if after = next; after == "" {
			return nil
		}
	}
	return nil
}
