package world_test

import (
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/registry/registrytest/testschema"
)

// TestStoredFormat opens a state.json of an earlier program, with a change that was interrupted, and opens it again after a
// write.
func TestStoredFormat(t *testing.T) {
	text, err := os.ReadFile("testdata/state-format-1.json")
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "state.json"), text, 0o600))
	for _, opened := range []string{"as it was", "after a write"} {
		w, err := world.Open(dir, changes.Options{})
		must(t, err)
		now := w.Facts.Now()
		if got := now.Stored(testschema.AccountID, testschema.Name); got != `{"metrics":{"sample-rate":3}}` {
			t.Errorf("%s: stored %s", opened, got)
		}
		if cookie, err := now.Cookie("custodian"); err != nil || cookie == "" {
			t.Errorf("%s: cookie %q, %v", opened, cookie, err)
		}
		if !now.Enabled() || len(now.Schemas()) != 1 || !now.Connected("custodian", "control-tunnel") || len(now.Config("custodian")) != 0 {
			t.Errorf("%s: on %v, %d confdb-schemas, connections %v, options %v", opened, now.Enabled(), len(now.Schemas()),
				now.Connections(), now.Config("custodian"))
		}
		change, err := w.Changes.Change("9")
		if err != nil || !change.Ready || change.Status != changes.Failed {
			t.Errorf("%s: the interrupted change: %+v, %v", opened, change, err)
		}
		if got := w.Changes.Notices(changes.NoticeFilter{Keys: []string{"1"}}); len(got) != 1 {
			t.Errorf("%s: notices %v", opened, got)
		}
		must(t, w.Facts.SetSystem(map[string]any{"refresh.retain": 2}))
		must(t, w.Close())
	}
}
