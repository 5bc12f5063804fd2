// Package regular reads files that a user has named, such as in a flag. It refuses anything but a regular file: a named pipe would
// block until a program writes into it, and some devices never end. Its main function is Read.
package regular

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Read returns the content of a file, or of the file that a link leads to. os.DevNull counts as an empty file.
func Read(path string) ([]byte, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; run this as the user whose file it is", err)
	}
	return text, err
}

// Check returns an error if path is something else than a file, such as a folder. A missing file is no error.
func Check(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() || path == os.DevNull {
		return nil // the read returns a better error
	}
	return &fs.PathError{Op: "read", Path: path, Err: errors.New("it is " + kind(info.Mode()) + ", and not a file")}
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
