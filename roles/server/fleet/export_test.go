package fleet

import (
	"context"

	"github.com/google/uuid"
)

// Forget is what a notice of another server's report does.
func (f *Fleet) Forget(id uuid.UUID) { f.known.forget([]uuid.UUID{id}) }

// Waits reports whether a poll of a device is held back.
func (f *Fleet) Waits(id uuid.UUID) bool {
	f.waiting.mu.Lock()
	defer f.waiting.mu.Unlock()
	return f.waiting.of[id] != nil
}

// Flush writes what has been seen.
func (f *Fleet) Flush(ctx context.Context) error { return f.flush(ctx) }

// Part tells of devices that are not cloned any more.
func (f *Fleet) Part(ctx context.Context) { f.parted(ctx) }

// CountNow is Summary, but never of before.
func (f *Fleet) CountNow(ctx context.Context) (Summary, error) { return f.count(ctx) }

// Compose merges configurations in their order.
func Compose(configs ...Config) (Config, error) {
	var tiers []tier
	for _, config := range configs {
		tier, err := tierOf(Layer{Config: config})
		if err != nil {
			return Config{}, err
		}
		tiers = append(tiers, tier)
	}
	c, err := compose(tiers, nil)
	if err != nil {
		return Config{}, err
	}
	return c.config, nil
}
