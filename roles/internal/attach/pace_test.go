package attach_test

import (
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles/internal/attach"
)

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := attach.Pace{Interval: 10 * time.Second}
		if !pace.Due() {
			t.Error("the first cycle is not due")
		}
		time.Sleep(time.Second) // what the work took
		if !pace.Due() {
			t.Error("what is not done is not due any more")
		}
		pace.Done()
		if pace.Due() || pace.Left() != 10*time.Second {
			t.Errorf("due %v, left %v", pace.Due(), pace.Left())
		}
		time.Sleep(pace.Left())
		if !pace.Due() || pace.Left() <= 0 {
			t.Errorf("due %v, left %v", pace.Due(), pace.Left())
		}
		time.Sleep(3 * time.Second)
		pace.Done() // late: the next one stays where it was
		if pace.Left() != 7*time.Second {
			t.Errorf("left %v, want 7s", pace.Left())
		}
		time.Sleep(31 * time.Second)
		pace.Done() // those that passed are left out
		if pace.Left() != 6*time.Second {
			t.Errorf("left %v, want 6s", pace.Left())
		}
	})
}
