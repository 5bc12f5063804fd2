package snapenv_test

import (
	"testing"

	"aspects-poc/roles/internal/snapenv"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	inside := map[string]string{
		"SNAP": "/snap/x_lab/x1", "SNAP_NAME": "x", "SNAP_INSTANCE_NAME": "x_lab", "SNAP_REVISION": "x1",
		"SNAP_VERSION": "0.3", "SNAP_DATA": "/var/snap/x_lab/x1", "SNAP_COMMON": "/var/snap/x_lab/common",
		"SNAP_COOKIE": "c00k1e",
	}
	tests := []struct {
		name   string
		vars   map[string]string
		want   snapenv.Snap
		inside bool
	}{
		{"outside", nil, snapenv.Snap{}, false},
		{"inside", inside, snapenv.Snap{
			Name: "x", Instance: "x_lab", Revision: "x1", Version: "0.3", Dir: "/snap/x_lab/x1", Data: "/var/snap/x_lab/x1",
			Common: "/var/snap/x_lab/common", Cookie: "c00k1e",
		}, true},
		{"no instance name", map[string]string{"SNAP_NAME": "x"}, snapenv.Snap{Name: "x", Instance: "x"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := snapenv.Read(func(name string) string { return test.vars[name] })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Inside() != test.inside {
				t.Errorf("inside: %v", got.Inside())
			}
		})
	}
}
