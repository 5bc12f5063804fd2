package generate_test

import (
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/internal/kit/hookrun/snapctl"
)

// snapctlFolder returns a folder with the program snapctl, a link to this test program.
func snapctlFolder(t testing.TB) string {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(own, filepath.Join(dir, snapctl.Name)); err != nil {
		t.Fatal(err)
	}
	return dir
}
