package server

import (
	"context"
	"time"

	"aspects-poc/roles/server/clock"
	"aspects-poc/roles/server/fleet"
)

// readClock reads the machine's clock; tests replace it.
var readClock = clock.Read

// followEvery is the time between two reads of a database's clock.
const followEvery = 10 * time.Second

// newClock returns the clock of a server: the clock of a database that several servers share, or else the machine's.
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
	serverClock := clock.New(options)
	if keeps && config.TrustClock && serverClock.Doubt() == nil {
		return serverClock, keeper.Settle(ctx, serverClock.Now())
	}
	return serverClock, nil
}

// readRemote reads the clock of a database.
func readRemote(ctx context.Context, timed fleet.Timed) (clock.Reading, error) {
	before := readClock()
	now, err := timed.Time(ctx)
	after := readClock()
	return clock.Reading{Wall: now, Since: (before.Since + after.Since) / 2}, err
}

// follow makes the server's clock follow that of a database, until ctx ends. While the database does not answer, the
// server's clock continues by itself.
func follow(ctx context.Context, serverClock *clock.Clock, timed fleet.Timed) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if remote, err := readRemote(ctx, timed); err == nil {
			serverClock.Set(remote)
		}
	}
}
