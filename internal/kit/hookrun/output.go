package hookrun

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// The limits of a hook's output, as on snapd. A tail keeps the end of it.
const (
	outputLines = 100
	outputSize  = 10 << 10
)

// A tail is a writer that keeps the end of what is written.
type tail struct{ kept []byte }

func (t *tail) Write(text []byte) (int, error) {
	t.kept = append(t.kept, text[max(len(text)-outputSize, 0):]...)
	if len(t.kept) > 2*outputSize { // rarely, because it copies
		t.kept = bytes.Clone(t.kept[len(t.kept)-outputSize:])
	}
	return len(text), nil
}

// Bytes returns the last lines. The first of them may lack its beginning.
func (t *tail) Bytes() []byte {
	text := t.kept[max(len(t.kept)-outputSize, 0):]
	lines := 0
	for i := len(text) - 2; i >= 0; i-- { // a newline at the end ends the last line
		if text[i] == '\n' {
			if lines++; lines == outputLines {
				return text[i+1:]
			}
		}
	}
	return text
}

// unstarted returns the error for a program that could not start, with the reason and, if there is one, the remedy.
func unstarted(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("cannot run %s: exec format error: a script must begin with a line that names its interpreter, such as #!/bin/sh", path)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot run %s: permission denied: chmod +x makes it executable", path)
	case errors.Is(err, syscall.ENOENT):
		if interpreter, found := interpreterOf(path); found {
			hint := ""
			if strings.HasSuffix(interpreter, "\r") {
				hint = ": the script has the line ends of Windows"
			}
			return fmt.Errorf("cannot run %s: its interpreter %q does not exist%s", path, interpreter, hint)
		}
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // without the path
	}
	return fmt.Errorf("cannot run %s: %w", path, err)
}

// interpreterOf returns the interpreter that the first line of a script names.
func interpreterOf(path string) (string, bool) {
	file, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer func() { _ = file.Close() }() // opened for reading
	head := make([]byte, 256)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", false
	}
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	line, found := strings.CutPrefix(line, "#!")
	words := strings.Split(strings.TrimLeft(line, " \t"), " ")
	return words[0], found
}
