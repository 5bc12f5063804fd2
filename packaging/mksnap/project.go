package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"aspects-poc/packaging/recipe"
)

// writeProject writes a folder in which snapcraft can run: snap/snapcraft.yaml of one role and a copy of the sources,
// because snapcraft's build machine sees only that folder. It replaces both.
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

// sources lists the files that git has or would add. In a tree without git it lists all files except what a build
// writes.
func (b build) sources(ctx context.Context) ([]string, error) {
	if _, err := os.Stat(filepath.Join(b.root, ".git")); err == nil {
		list, err := exec.CommandContext(ctx, "git", "-C", b.root, "ls-files", "-z", "--cached", "--others",
			"--exclude-standard").Output()
		if err != nil {
			return nil, fmt.Errorf("cannot list the sources: git ls-files: %w", err)
		}
		return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), nil
	}
	var list []string
	err := filepath.WalkDir(b.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(b.root, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "bin" || name == "build"):
			return filepath.SkipDir
		case !entry.IsDir() && filepath.Ext(name) != ".snap":
			list = append(list, name)
		}
		return nil
	})
	return list, err
}

func (b build) copySources(ctx context.Context, dir string) error {
	names, err := b.sources(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		from, to := filepath.Join(b.root, name), filepath.Join(dir, name)
		info, err := os.Lstat(from)
		if os.IsNotExist(err) {
			continue // deleted from the tree, but not yet from git
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
