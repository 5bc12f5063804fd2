// Package docs has no code: its tests run what the documents say, in a shell and with the program as it is.
package docs

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/internal/program"
	"aspects-poc/registry/registrytest/stocksnap"
)

// TestReadme runs the README's walk-through in a shell, as it is written, with the server on a free port, and compares
// what is printed.
func TestReadme(t *testing.T) {
	t.Parallel()
	need.Program(t, "curl")
	address := freeAddress(t)
	shell := newShell(t, "..", "PATH="+program.Dir(t)+":"+os.Getenv("PATH"),
		"ASPECTS_LISTEN="+address, "ASPECTS_SERVER_URL=http://"+address, "ASPECTS_LOG_LEVEL=error")
	playDocument(t, filepath.Join("..", "README.md"), shell, strings.NewReplacer("127.0.0.1:8000", address),
		strings.NewReplacer(address, "127.0.0.1:8000"))
}

// TestDevkit runs the development kit's ten minutes from an empty folder.
func TestDevkit(t *testing.T) {
	t.Parallel()
	as := strings.NewReplacer()
	playDocument(t, "devkit.md", newShell(t, t.TempDir(), "PATH="+program.Dir(t)+":"+os.Getenv("PATH")), as, as)
}

// TestDevelopmentPage runs the commands of docs/devkit-dev.md in a copy of the examples.
func TestDevelopmentPage(t *testing.T) {
	t.Parallel()
	// Not t.TempDir: there is a socket in it, whose name can have 107 bytes.
	dir, err := os.MkdirTemp("", "kit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join("..", "examples"))); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "p")
	playDocument(t, "devkit-dev.md", newShell(t, dir, "PATH="+program.Dir(t)+":"+os.Getenv("PATH")),
		strings.NewReplacer("/tmp/proxy", socket), strings.NewReplacer(socket, "/tmp/proxy"))
}

// TestDevkitServe runs the commands of docs/devkit-serve.md in a shell, as they are written.
func TestDevkitServe(t *testing.T) {
	t.Parallel()
	need.Programs(t, "curl", "unshare")
	snap := t.TempDir()
	stocksnap.Find(t).Install(t, snap)
	shell := newShell(t, t.TempDir(), "PATH="+snap+":"+program.Dir(t)+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8", "TZ=UTC")
	playDocument(t, "devkit-serve.md", shell, strings.NewReplacer(), strings.NewReplacer())
}

// newShell is a shell that works in a folder, with a home of its own and nothing else of this machine's settings.
func newShell(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	shell := exec.Command(need.Program(t, "bash"))
	shell.Dir = dir
	shell.Env = append(env, "HOME="+t.TempDir(), "GORACE="+os.Getenv("GORACE"))
	return shell
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
