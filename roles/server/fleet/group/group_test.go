package group_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/group"

	"github.com/google/go-cmp/cmp"
)

// TestGroup has callers come while a batch is under way: they go together, but for one that has left.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		odd := errors.New("odd")
		var batches [][]int
		busy := make(chan struct{})
		all := group.New(t.Context(), 1, 3, func(_ context.Context, batch []*group.Job[int]) error {
			var wants []int
			for _, job := range batch {
				wants = append(wants, job.Want)
				if job.Want%2 == 1 {
					job.Err = odd
				}
				job.Want *= 10
			}
			slices.Sort(wants)
			batches = append(batches, wants)
			<-busy
			return nil
		})
		call := func(ctx context.Context, want int, wantErr error) {
			go func() {
				got, err := all.Run(ctx, want)
				if !errors.Is(err, wantErr) || err == nil && got != want*10 {
					t.Errorf("%d: %d, %v", want, got, err)
				}
			}()
			synctest.Wait()
		}
		left, leave := context.WithCancel(t.Context())
		call(t.Context(), 2, nil)
		call(t.Context(), 3, odd)
		call(left, 100, context.Canceled)
		call(t.Context(), 4, nil)
		leave()
		synctest.Wait()
		call(t.Context(), 6, nil)
		call(t.Context(), 8, nil) // the batch of 3 is full
		close(busy)
		synctest.Wait()
		if diff := cmp.Diff([][]int{{2}, {3, 4, 6}, {8}}, batches); diff != "" {
			t.Error("batches (-want +got):\n" + diff)
		}
		all.Close()
		all.Close()
		if _, err := all.Run(t.Context(), 2); !errors.Is(err, fleet.ErrClosed) {
			t.Error(err)
		}
	})
}

// TestGroupFails has a batch fail as a whole.
func TestGroupFails(t *testing.T) {
	gone := errors.New("gone")
	all := group.New(t.Context(), 2, 8, func(context.Context, []*group.Job[int]) error { return gone })
	defer all.Close()
	if _, err := all.Run(t.Context(), 1); !errors.Is(err, gone) {
		t.Error(err)
	}
}
