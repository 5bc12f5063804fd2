package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"aspects-poc/packaging/recipe"
)

// writeProject makes a folder that snapcraft can be run in: snap/snapcraft.yaml of one role, and a copy of the sources,
// as snapcraft's build machine sees nothing outside of the folder. What was in these two before is gone.
func (b build) writeProject(ctx context.Context, project *recipe.Project, dir string) error {
	text, err := project.YAML()
	if err != nil {
		return err
	}
	for _, old := range []string{"snap", "source"} {
		if err := os.RemoveAll(filepath.Join(dir, old)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "snap"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "snap", "snapcraft.yaml"), text, 0o644); err != nil {
		return err
	}
	return b.copySources(ctx, filepath.Join(dir, "source"))
}

// copySources copies the files that git knows or would know.
func (b build) copySources(ctx context.Context, dir string) error {
	list, err := exec.CommandContext(ctx, "git", "-C", b.root, "ls-files", "-z", "--cached", "--others",
		"--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("cannot list the sources: git ls-files: %w", err)
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		from, to := filepath.Join(b.root, name), filepath.Join(dir, name)
		info, err := os.Lstat(from)
		if os.IsNotExist(err) {
			continue // deleted, and not yet so in git
		}
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		switch {
		case info.Mode().IsRegular():
			err = copyFile(from, to, info.Mode().Perm())
		case info.Mode()&os.ModeSymlink != 0:
			var target string
			if target, err = os.Readlink(from); err == nil {
				err = os.Symlink(target, to)
			}
		}
		if err != nil {
			return fmt.Errorf("cannot copy the sources: %w", err)
		}
	}
	return nil
}
