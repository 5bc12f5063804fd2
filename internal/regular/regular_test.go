package regular_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"aspects-poc/internal/regular"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	listener, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // it is at its end
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("text"), 0o600), os.Symlink("file", at("link")), os.Symlink("pipe", at("link-to-pipe")),
		syscall.Mkfifo(at("pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		dir: "it is a folder", at("pipe"): "it is a named pipe", at("link-to-pipe"): "it is a named pipe", at("socket"): "it is a socket",
		"/dev/zero": "it is a device", at("file"): "", at("link"): "", os.DevNull: "",
	} {
		text, err := regular.Read(path)
		switch {
		case want == "" && (err != nil || path != os.DevNull && string(text) != "text"):
			t.Errorf("%s: %q, %v", path, text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), path+": "+want)):
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
	if _, err := regular.Read(at("none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
