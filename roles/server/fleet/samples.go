package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Samples are taken each minute. Those of the last day are stored, and one of each quarter of an hour for a week.
const (
	SampleStep   = time.Minute
	fineSamples  = 24 * time.Hour
	coarseStep   = 15 * time.Minute
	SamplesKept  = 7 * 24 * time.Hour
	silentMember = "silent" // beside the names of states in the text of a sample
)

// A Sample is the number of devices in each state at a time.
type Sample struct {
	At     time.Time
	States map[State]int // without states that no device has
	Silent int           // in any state
}

// A StoredSample is a Sample in the form of stores.
type StoredSample struct {
	At   time.Time
	Text string // a JSON object: name of a state, or "silent" -> number of devices
}

type samples interface {
	// Sample stores a sample, replaces one of the same time, and deletes others. A crash may lose the sample.
	Sample(ctx context.Context, sample StoredSample, thin []Thinning) error
	// Samples returns the samples since a time, the oldest first.
	Samples(ctx context.Context, since time.Time) ([]StoredSample, error)
}

// Sample counts the devices and stores the counts. Servers that share a store take the same sample, once a minute.
func (f *Fleet) Sample(ctx context.Context) error {
	counted, err := f.Summary(ctx)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for state, n := range counted.States {
		if n > 0 {
			counts[state.String()] = n
		}
	}
	if counted.Silent > 0 {
		counts[silentMember] = counted.Silent
	}
	text, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	now := toSecond(f.options.Now())
	return f.store.Sample(ctx, StoredSample{At: now.Truncate(SampleStep), Text: string(text)}, []Thinning{
		{Before: now.Add(-SamplesKept)},
		{Before: now.Add(-fineSamples), Step: coarseStep},
	})
}

// Samples returns the samples since a time, the oldest first.
func (f *Fleet) Samples(ctx context.Context, since time.Time) ([]Sample, error) {
	stored, err := f.store.Samples(ctx, since)
	if err != nil {
		return nil, err
	}
	list := make([]Sample, 0, len(stored))
	for _, one := range stored {
		var counts map[string]int
		if err := json.Unmarshal([]byte(one.Text), &counts); err != nil {
			return nil, err
		}
		sample := Sample{At: one.At, States: map[State]int{}, Silent: counts[silentMember]}
		for name, n := range counts {
			if state, known := ParseState(name); known {
				sample.States[state] = n
			}
		}
		list = append(list, sample)
	}
	return list, nil
}

// sampleNowAndThen takes samples until ctx ends.
func (f *Fleet) sampleNowAndThen(ctx context.Context) {
	ticker := time.NewTicker(SampleStep)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := f.Sample(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, ErrOutage) && !failing { // the store logs an outage
			f.options.Log.Error("cannot store the number of devices in each state; trying again", "error", err)
		}
		failing = err != nil
	}
}
