package fleetcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// atOnce is the number of devices that are changed in parallel.
const atOnce = 8

// forAll calls do for each device, several in parallel, and prints the progress on a terminal. It continues after
// failures. It returns the changed devices in the order of the IDs. The error lists the failed devices by cause, with
// their names.
func (s *session) forAll(ids []uuid.UUID, names []string, do func(context.Context, uuid.UUID) (serverapi.Device, error)) (
	changed []serverapi.Device, _ error,
) {
	devices, failures := make([]serverapi.Device, len(ids)), make([]error, len(ids))
	var ready atomic.Int64
	done := s.busyWith(func() string { return fmt.Sprintf("%d of %s", ready.Load(), devicesOf(len(ids))) })
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, id := range ids {
		group.Go(func() error {
			if failures[i] = s.Err(); failures[i] == nil {
				devices[i], failures[i] = do(s, id)
			}
			ready.Add(1)
			return nil
		})
	}
	_ = group.Wait() // failures has the errors
	done()
	var causes []error // without repetitions
	failed := map[string][]string{}
	for i, err := range failures {
		if err == nil {
			changed = append(changed, devices[i])
			continue
		}
		if failed[err.Error()] == nil {
			causes = append(causes, err)
		}
		failed[err.Error()] = append(failed[err.Error()], names[i])
	}
	switch {
	case causes == nil:
		return changed, nil
	case len(ids) == 1:
		return nil, causes[0]
	}
	for i, cause := range causes {
		causes[i] = fmt.Errorf("%s: %w", strings.Join(failed[cause.Error()], ", "), cause)
	}
	return changed, fmt.Errorf("%d of %s failed:\n%w", len(ids)-len(changed), devicesOf(len(ids)), errors.Join(causes...))
}
