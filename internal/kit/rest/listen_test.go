package rest_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"aspects-poc/internal/kit/rest"
)

// TestListen checks that one of many listeners gets a socket that was left behind, and the errors of the others.
func TestListen(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "listen") // short, as the path of a socket has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "snapd.socket")
	for range 20 {
		left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		left.SetUnlinkOnClose(false)
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
		listeners, refusals := make([]net.Listener, 4), make([]error, 4)
		var all sync.WaitGroup
		for i := range listeners {
			all.Go(func() { listeners[i], refusals[i] = rest.Listen(path) })
		}
		all.Wait()
		got := 0
		for i, listener := range listeners {
			switch {
			case listener != nil:
				got++
				if err := listener.Close(); err != nil {
					t.Error(err)
				}
			case !strings.Contains(refusals[i].Error(), "another process answers there: end it, or choose another folder"):
				t.Error(refusals[i])
			}
		}
		if got != 1 {
			t.Errorf("%d have it", got)
		}
	}
	if err := os.WriteFile(path, []byte("of somebody"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rest.Listen(path); err == nil || !strings.Contains(err.Error(), "the file is not a socket") {
		t.Errorf("in the place of a file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "of somebody" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if _, err := rest.Listen(filepath.Join(dir, "none", "snapd.socket")); err == nil {
		t.Error("in a folder that is not there")
	}
}
