package compile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A machine that has built nothing yet has no modules in its cache.
func TestModuleThatIsNotInTheCache(t *testing.T) {
	const root = "../.."
	for _, c := range cuts() {
		if _, err := download(t.Context(), root, c.module); err != nil { // fills the cache that serves the empty one
			t.Fatal(err)
		}
	}
	full, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	t.Setenv("GOMODCACHE", empty)
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(strings.TrimSpace(string(full)))+"/cache/download")
	t.Setenv("GOFLAGS", "-modcacherw") // so that the test can remove it
	for _, c := range cuts() {
		folder, err := download(t.Context(), root, c.module)
		if err != nil || !strings.HasPrefix(folder, empty) {
			t.Fatalf("%s: %q, %v", c.module, folder, err)
		}
		for _, name := range c.files {
			if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
				t.Error(err)
			}
		}
	}
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	if _, err := download(t.Context(), root, cuts()[0].module); err == nil || !strings.Contains(err.Error(), "GOPROXY=off") {
		t.Errorf("a download that nothing serves: %v", err)
	}
}
