package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/packaging/compile"
)

// squash packs a folder into a file as `snap pack` does: owned by root, without extended attributes and fragments. The
// file appears only when it is complete.
func squash(ctx context.Context, dir, file, compression string, epoch int64) error {
	tool, err := exec.LookPath("mksquashfs")
	if err != nil {
		return errors.New("cannot pack the snap: there is no mksquashfs (apt install squashfs-tools)")
	}
	part := file + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // mksquashfs would append to an existing file
	}
	moment := strconv.FormatInt(epoch, 10)
	command := exec.CommandContext(ctx, tool, dir, part, "-noappend", "-comp", compression, "-all-root", "-no-xattrs",
		"-no-fragments", "-no-progress", "-quiet", "-mkfs-time", moment, "-all-time", moment)
	// mksquashfs fails if it gets both the options and the variable.
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "SOURCE_DATE_EPOCH=")
	})
	err = compile.Execute(command, "cannot pack "+filepath.Base(file))
	if err == nil {
		err = os.Rename(part, file)
	}
	if err != nil {
		if left := os.Remove(part); left != nil && !errors.Is(left, os.ErrNotExist) {
			err = fmt.Errorf("%w (and left %s behind)", err, part)
		}
	}
	return err
}
