package rolestest

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// OnTerminal calls run with a terminal for its output and returns that output. Without terminals the test is skipped.
func OnTerminal(t *testing.T, run func(terminal *os.File)) string {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer screen.Close() //nolint:errcheck // it was only read
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	if _, err := term.MakeRaw(int(terminal.Fd())); err != nil { // otherwise line ends become two characters
		t.Fatal(err)
	}
	var output []byte
	var reading sync.WaitGroup
	reading.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, err := screen.Read(buffer)
			output = append(output, buffer[:n]...)
			if err != nil {
				if !errors.Is(err, syscall.EIO) { // the error after the last writer has closed
					t.Errorf("cannot read the terminal: %v", err)
				}
				return
			}
		}
	})
	run(terminal)
	if err := terminal.Close(); err != nil {
		t.Error(err)
	}
	reading.Wait()
	return string(output)
}
