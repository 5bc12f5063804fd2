package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/packaging/compile"
)

// compare returns an error if the meta folders of two snaps differ in names, kinds, modes, targets of links, or
// contents.
func compare(ctx context.Context, one, other string) (err error) {
	work, err := os.MkdirTemp("", "mksnap-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	var found [2]map[string]string
	for i, snap := range []string{one, other} {
		dir := filepath.Join(work, fmt.Sprint(i))
		command := exec.CommandContext(ctx, "unsquashfs", "-no-progress", "-quiet", "-dest", dir, snap, "meta")
		if err := compile.Execute(command, "cannot read "+snap); err != nil {
			return err
		}
		if found[i], err = describe(filepath.Join(dir, "meta")); err != nil {
			return err
		}
	}
	if len(found[0]) == 0 {
		return fmt.Errorf("cannot compare: %s has no meta folder", one)
	}
	var differences []string
	names := maps.Clone(found[0])
	maps.Copy(names, found[1])
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a, b := found[0][name], found[1][name]; a != b {
			differences = append(differences, fmt.Sprintf("%s:\n  %s: %s\n  %s: %s", name, one, text(a), other, text(b)))
		}
	}
	if len(differences) > 0 {
		return fmt.Errorf("the meta folders differ\n%s", strings.Join(differences, "\n"))
	}
	return nil
}

func text(description string) string {
	if description == "" {
		return "not there"
	}
	return strings.ReplaceAll(strings.TrimSpace(description), "\n", "\n    ")
}

// describe returns the files of a folder: name -> kind, mode and content.
func describe(dir string) (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(filepath.Dir(dir), path)
		if err != nil {
			return err
		}
		found[name] = info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] += " -> " + target
			return err
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			found[name] += "\n" + string(content)
			return err
		}
		return nil
	})
	return found, err
}
