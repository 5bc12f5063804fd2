package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/internal/need"
)

const largest = 1 << 20 // bytes of a file that git keeps

// TestTrackedFiles keeps out of git what was built: nothing in it is large, and what is executable is a script.
func TestTrackedFiles(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(".git"); err != nil {
		t.Skip("these sources are not from git")
	}
	files := tracked(t, ".")
	if _, ok := files["go.mod"]; !ok {
		t.Fatalf("git tracks no go.mod among %d files", len(files))
	}
	for _, complaint := range unwanted(t, ".", files) {
		t.Error(complaint)
	}
}

// The test itself must be able to fail.
func TestTrackedFilesAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"plain", "text", 0o644}, {"script", "#!/bin/sh\n", 0o755}, {"folder/large", strings.Repeat("x", largest+1), 0o644},
		{"binary", "\x7fELF", 0o755}, {"no script", "echo\n", 0o755}, {"empty", "", 0o755},
	} {
		path := filepath.Join(dir, file.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file.text), file.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}} {
		if out, err := git(t, dir, args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	want := []string{"binary is executable and no script", "empty is executable and no script",
		"folder/large has 1048577 bytes, and 1048576 are the most", "no script is executable and no script"}
	if got := unwanted(t, dir, tracked(t, dir)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// tracked lists the files that git has, or would have after git commit, and whether they are executable.
func tracked(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out, err := git(t, dir, "ls-files", "-z", "--stage").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	files := map[string]bool{}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if mode, name, ok := strings.Cut(entry, "\t"); ok {
			files[name] = strings.HasPrefix(mode, "100755 ")
		}
	}
	return files
}

// git is a git command that takes the repository in dir for its user's, whoever's it is.
func git(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), need.Program(t, "git"), append([]string{"-c", "safe.directory=*"}, args...)...)
	command.Dir = dir
	return command
}

// unwanted says which of the files do not belong into git.
func unwanted(t *testing.T, dir string, files map[string]bool) (complaints []string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue // removed and not yet committed, or a link
		}
		if info.Size() > largest {
			complaints = append(complaints, fmt.Sprintf("%s has %d bytes, and %d are the most", name, info.Size(), largest))
		}
		if files[name] && !startsScript(t, path) {
			complaints = append(complaints, name+" is executable and no script")
		}
	}
	return complaints
}

func startsScript(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	start := make([]byte, 2)
	_, err = io.ReadFull(file, start)
	return err == nil && bytes.Equal(start, []byte("#!"))
}
