package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestWorkflowsPinActions keeps out of workflows what their authors may exchange: an action is named by the digest of
// its commit. Our own actions are named by their path, and a user's by a placeholder.
func TestWorkflowsPinActions(t *testing.T) {
	t.Parallel()
	uses := regexp.MustCompile(`(?m)^\s*(?:- )?uses: *(\S+)(.*)$`)
	pinned := regexp.MustCompile(`^[\w-]+/[\w./-]+@[0-9a-f]{40}$`)
	version := regexp.MustCompile(`^ # v\d+(\.\d+\.\d+)?$`)
	own := regexp.MustCompile(`^(\./|\[\[)`)
	count := 0
	for _, pattern := range []string{".github/workflows/*.yml", "action.yml", "internal/kit/scaffold/template/.github/workflows/*.yml",
		"docs/operators/*.yml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, use := range uses.FindAllStringSubmatch(string(text), -1) {
				count++
				if !own.MatchString(use[1]) && !(pinned.MatchString(use[1]) && version.MatchString(use[2])) {
					t.Errorf("%s uses %s%s: want OWNER/NAME@DIGEST # vVERSION", file, use[1], use[2])
				}
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d uses found", count)
	}
}
