package roster

import (
	"math/rand/v2"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// Made returns a roll of devices that are in no fleet.
func Made(devices int) *Roll {
	random := rand.New(rand.NewPCG(1, 2))
	roll := &Roll{rows: make([]Row, devices)}
	for i := range roll.rows {
		roll.rows[i] = Row{ID: uuid.New(), Registered: int64(i), State: fleet.State(1 + random.IntN(7)), LastSeen: random.Int64N(1000)}
	}
	return roll
}

// Age makes the roster's roll one that took a while to be made, and that has been good until some time ago.
func (r *Roster) Age(took, ago time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took, r.until = took, time.Now().Add(-ago)
}
