package fleetcmd

import "time"

// SetNow has ages counted from another clock than the machine's.
func SetNow(clock func() time.Time) { now = clock }
