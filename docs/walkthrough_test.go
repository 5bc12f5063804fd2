// Package docs has no code: its tests run what the documents say, in a shell and with the program as it is.
package docs

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/internal/program"
	"aspects-poc/internal/stocksnap"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
)

// A walkthrough is a document whose commands a test plays in one shell.
type walkthrough struct {
	file string
	// start prepares a shell. What the document names in one way and the test in another stands in pairs in as.
	start func(t *testing.T) (shell *exec.Cmd, as []string)
}

// walkthroughs lists the documents with sessions.
func walkthroughs() []walkthrough {
	return []walkthrough{
		{filepath.Join("..", "README.md"), func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, withExamples(t)) }},
		{filepath.Join("..", "examples", "README.md"), func(t *testing.T) (*exec.Cmd, []string) {
			return newShell(t, filepath.Join(withExamples(t), "examples", "proxy"), path(t)), nil
		}},
		{"install.md", func(t *testing.T) (*exec.Cmd, []string) { return newShell(t, t.TempDir(), path(t)), nil }},
		{"walkthrough.md", func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, t.TempDir()) }},
		{"safe-apply.md", func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, t.TempDir()) }},
		{"fleet.md", func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, t.TempDir()) }},
		{filepath.Join("operators", "releases.md"), func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, t.TempDir()) }},
		{filepath.Join("operators", "signatures.md"), func(t *testing.T) (*exec.Cmd, []string) {
			need.Program(t, "ssh-keygen")
			return withServer(t, t.TempDir())
		}},
		{"operators/first-ten-minutes.md", func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, t.TempDir()) }},
		{"operators/access.md", func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, t.TempDir()) }},
		{"operators/bad-days.md", func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, t.TempDir()) }},
		{"operators/folder.md", func(t *testing.T) (*exec.Cmd, []string) { return withServer(t, t.TempDir()) }},
		{"fleet-database.md", withDatabase},
		{"access.md", withDevice},
		{"devkit/README.md", beside},
		{"devkit/lint.md", beside},
		{"devkit/begin.md", func(t *testing.T) (*exec.Cmd, []string) {
			need.Program(t, "python3") // the hooks are in Python
			return beside(t)
		}},
		{"devkit/custodian.md", beside},
		{"devkit/test.md", beside},
		{"devkit/ci.md", beside},
		{"devkit/publish.md", beside},
		{"devkit/generate.md", func(t *testing.T) (*exec.Cmd, []string) {
			need.Programs(t, "python3", "unshare")
			return beside(t)
		}},
		{"devkit/emulated.md", func(t *testing.T) (*exec.Cmd, []string) {
			need.Programs(t, "curl", "unshare")
			return beside(t)
		}},
		{"devkit/serve.md", withStockSnap},
		{"library.md", withModule},
	}
}

// TestWalkthroughs runs what the documents say, as it is written, and compares what is printed.
func TestWalkthroughs(t *testing.T) {
	t.Parallel()
	for _, document := range walkthroughs() {
		t.Run(document.file, func(t *testing.T) {
			t.Parallel()
			shell, as := document.start(t)
			var back []string
			for i := 0; i < len(as); i += 2 {
				back = append(back, as[i+1], as[i])
			}
			playDocument(t, document.file, shell, strings.NewReplacer(as...), strings.NewReplacer(back...))
		})
	}
}

func path(t *testing.T) string { return "PATH=" + program.Dir(t) + ":" + os.Getenv("PATH") }

// withServer has the server that the document starts on a free port.
func withServer(t *testing.T, dir string) (*exec.Cmd, []string) {
	t.Helper()
	need.Program(t, "curl")
	address := freeAddress(t)
	return newShell(t, dir, path(t), "ASPECTS_LISTEN="+address, "ASPECTS_SERVER_URL=http://"+address, "ASPECTS_LOG_LEVEL=error"),
		[]string{"127.0.0.1:8000", address}
}

// withDevice has a server that runs, and a device that is registered there.
func withDevice(t *testing.T) (*exec.Cmd, []string) {
	t.Helper()
	shell, as := withServer(t, t.TempDir())
	t.Cleanup(register(t, shell))
	return shell, as
}

// register has a device register with a server that runs until stop is called.
func register(t *testing.T, shell *exec.Cmd) (stop func()) {
	t.Helper()
	binary := filepath.Join(program.Dir(t), "aspects-poc")
	server := exec.Command(binary, "server", "run")
	server.Dir, server.Env = shell.Dir, shell.Env
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		if err := server.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	}
	_, err = out.Read(make([]byte, 1)) // it says where it listens
	if err == nil {
		control := exec.Command(binary, "control", "run", "--once", "--registry", "file:registry")
		control.Dir, control.Env = shell.Dir, shell.Env
		var said []byte
		if said, err = control.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, said)
		}
	}
	if err != nil {
		stop()
		t.Fatal(err)
	}
	return stop
}

// withDatabase has a PostgreSQL, and the file of an embedded store with a device.
func withDatabase(t *testing.T) (*exec.Cmd, []string) {
	t.Helper()
	need.Programs(t, "psql", "pg_dump")
	address, err := url.Parse(postgrestest.Start(t, postgrestest.Options{}).URL(t))
	if err != nil {
		t.Fatal(err)
	}
	shell, as := withServer(t, t.TempDir())
	register(t, shell)()
	socket := address.Query().Get("host")
	shell.Env = append(shell.Env, "PGHOST="+socket, "PGUSER="+address.User.Username(), "PGDATABASE="+strings.TrimPrefix(address.Path, "/"))
	return shell, append(as, "postgres://fleet:PASSWORD@db.example.com/fleet?sslmode=verify-full", "postgres://fleet:PASSWORD@/fleet?host="+socket)
}

// withExamples returns a folder with a copy of the examples. It is not t.TempDir's: there will be a socket in it, whose
// name can have 107 bytes.
func withExamples(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join("..", "examples"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// beside has the examples, and a folder for sockets.
func beside(t *testing.T) (*exec.Cmd, []string) {
	t.Helper()
	dir := withExamples(t)
	return newShell(t, dir, path(t)), []string{"/tmp/proxy", filepath.Join(dir, "p")}
}

// withModule has the files that the document names above its blocks, in a folder for a module of its own. What the module
// needs is there, as this one has been built.
func withModule(t *testing.T) (*exec.Cmd, []string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name := regexp.MustCompile("`([a-z.]+)`:$")
	for _, block := range blocksOf(t, "library.md") {
		if file := name.FindStringSubmatch(block.above); file != nil {
			text := strings.Join(block.lines, "\n") + "\n"
			if err := os.WriteFile(filepath.Join(dir, file[1]), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	env := []string{path(t), "GOPROXY=off", "GONOSUMDB=*", "GOFLAGS=-mod=mod -trimpath", "GOWORK=off"}
	for _, variable := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		value, err := exec.Command("go", "env", variable).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, variable+"="+strings.TrimSpace(string(value)))
	}
	return newShell(t, dir, env...), []string{"/path/to/aspects-poc", root}
}

// withStockSnap has the snap command of a real snapd.
func withStockSnap(t *testing.T) (*exec.Cmd, []string) {
	t.Helper()
	need.Programs(t, "curl", "unshare")
	snap := t.TempDir()
	stocksnap.Find(t).Install(t, snap)
	return newShell(t, t.TempDir(), "PATH="+snap+":"+program.Dir(t)+":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8", "TZ=UTC"), nil
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
