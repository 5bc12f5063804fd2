package server

import (
	"context"
	"time"

	"aspects-poc/roles/server/clock"
	"aspects-poc/roles/server/fleet"
)

// readClock reads the machine's clock; tests replace it.
var readClock = clock.Read

// followEvery is the time between two looks at the clock of a database.
const followEvery = 10 * time.Second

// newClock returns the clock of a server: that of a database which several servers share, or the machine's.
func newClock(ctx context.Context, store fleet.Store, config Config) (*clock.Clock, error) {
	options := clock.Options{Log: config.Log, Read: readClock}
	if timed, ok := store.(fleet.Timed); ok {
		remote, err := readRemote(ctx, timed)
		if err != nil {
			return nil, err
		}
		options.Remote = &remote
	}
	keeper, keeps := store.(fleet.Timekeeper)
	if keeps && !config.TrustClock {
		var err error
		if options.Newest, err = keeper.Newest(ctx); err != nil {
			return nil, err
		}
	}
	told := clock.New(options)
	if keeps && config.TrustClock && told.Doubt() == nil {
		return told, keeper.Settle(ctx, told.Now())
	}
	return told, nil
}

// readRemote reads the clock of a database.
func readRemote(ctx context.Context, timed fleet.Timed) (clock.Reading, error) {
	before := readClock()
	now, err := timed.Time(ctx)
	after := readClock()
	return clock.Reading{Wall: now, Since: (before.Since + after.Since) / 2}, err
}

// follow has the clock follow that of a database, until ctx ends. While the database is away, the clock goes on.
func follow(ctx context.Context, told *clock.Clock, timed fleet.Timed) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if remote, err := readRemote(ctx, timed); err == nil {
			told.Set(remote)
		}
	}
}
