package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"aspects-poc/packaging/compile"
	"aspects-poc/packaging/recipe"
)

// stage writes to dir the content of a role's snap except meta/snap.yaml. snapcraft calls stage and writes that file
// itself.
func (b build) stage(ctx context.Context, role string, project *recipe.Project, dir string) error {
	work, err := os.MkdirTemp("", "mksnap-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // the folder is temporary
	binary := filepath.Join(work, compile.Program)
	if err := compile.Binary(ctx, b.root, b.Build, b.arch, kind(project), binary); err != nil {
		return err
	}
	if err := layOut(dir, role, binary, project.Hooks()); err != nil {
		return fmt.Errorf("cannot lay out the %s snap: %w", role, err)
	}
	return nil
}

// kind returns the kind of binary for a role's snap.
func kind(project *recipe.Project) compile.Kind {
	if project.Device() {
		return compile.Device
	}
	return compile.Whole
}

// layOut writes the tree of a role's snap: the binary, a link with the role's name, and a link for each hook.
func layOut(dir, role, binary string, hooks []string) error {
	bin, meta := filepath.Join(dir, "bin"), filepath.Join(dir, "meta", "hooks")
	for _, folder := range []string{dir, bin, filepath.Dir(meta), meta} {
		if err := makeFolder(folder); err != nil {
			return err
		}
	}
	if err := copyFile(binary, filepath.Join(bin, compile.Program), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(compile.Program, filepath.Join(bin, compile.Program+"-"+role)); err != nil {
		return err
	}
	for _, hook := range hooks {
		if err := os.Symlink(filepath.Join("..", "..", "bin", compile.Program), filepath.Join(meta, hook)); err != nil {
			return err
		}
	}
	return nil
}

// writeMeta writes the files that snapcraft makes by itself.
func (b build) writeMeta(dir string, project *recipe.Project) error {
	text, err := project.SnapYAML(b.arch)
	if err != nil {
		return err
	}
	if err := makeFolder(filepath.Join(dir, "meta", "gui")); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "meta", "snap.yaml"), text)
}

// makeFolder, copyFile and writeFile set the mode whatever the umask is, because the mode becomes part of the snap.

func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

func writeFile(path string, text []byte) error {
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

func copyFile(from, to string, mode os.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // only read
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err == nil {
		err = target.Chmod(mode)
	}
	if closed := target.Close(); err == nil {
		err = closed
	}
	return err
}
