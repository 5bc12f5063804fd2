package generate_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"aspects-poc/internal/kit/hookrun"
)

// The test is the snapctl of the programs that it runs.
func TestMain(m *testing.M) {
	if hookrun.IsSnapctl(os.Args[0]) {
		os.Exit(hookrun.Snapctl(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// snapctl returns a folder with the program snapctl.
func snapctl(t testing.TB) string {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(own, filepath.Join(dir, "snapctl")); err != nil {
		t.Fatal(err)
	}
	return dir
}
