package roster

import (
	"math/rand/v2"

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
