package postgrestest

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// oldest is the smallest supported major version of PostgreSQL.
const oldest = 15

// Options are options of Start. The zero value is for tests: it does not wait for the disk.
type Options struct {
	Durable bool // wait for the disk, as in production; for benchmarks
}

// A Cluster is a running PostgreSQL. Its methods are for one goroutine.
type Cluster struct {
	programs  string // folder of initdb and postgres
	directory string
	server    string // address of the database postgres
	user      *syscall.Credential
	options   Options

	process *process
}

// Start starts a cluster for one test, which may stop it and start it again.
func Start(t testing.TB, options Options) *Cluster {
	t.Helper()
	if os.Getenv("ASPECTS_TEST_DATABASE") != "" {
		t.Skip("ASPECTS_TEST_DATABASE is not this test's to stop and start")
	}
	cluster, err := start(options)
	if err != nil {
		lack(t, err)
	}
	t.Cleanup(func() {
		if err := cluster.remove(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}

func start(options Options) (*Cluster, error) {
	programs, err := find()
	if err != nil {
		return nil, err
	}
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	// Not below t.TempDir(), which only its owner may enter, and short: a socket's path has at most 107 bytes.
	directory, err := os.MkdirTemp("", "postgres")
	if err != nil {
		return nil, err
	}
	address := url.URL{Scheme: "postgres", User: url.User("aspects"), Path: "/postgres", RawQuery: url.Values{"host": {directory}}.Encode()}
	c := &Cluster{programs: programs, directory: directory, server: address.String(), user: user, options: options}
	if err := c.create(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	if err := c.run(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	return c, nil
}

// find returns the folder of PostgreSQL's programs.
func find() (string, error) {
	var candidates []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(path))
		}
	}
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	major := func(directory string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(directory))) // 0 for another name
		return n
	}
	slices.SortFunc(installed, func(a, b string) int { return major(b) - major(a) })
	candidates = append(candidates, installed...)
	for _, directory := range candidates {
		if version(filepath.Join(directory, "postgres")) < oldest {
			continue
		}
		if _, err := os.Stat(filepath.Join(directory, "initdb")); err == nil {
			return directory, nil
		}
	}
	return "", fmt.Errorf("PostgreSQL %d or later is neither in PATH nor in /usr/lib/postgresql", oldest)
}

// version returns the major version of a program of PostgreSQL; 0 if it is unknown.
func version(program string) int {
	text, err := exec.Command(program, "--version").Output() // postgres (PostgreSQL) 15.4 (Debian …)
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "(PostgreSQL) ")
	digits, _, _ := strings.Cut(after, ".")
	n, _ := strconv.Atoi(digits) // 0 for a beta, which has no number
	return n
}

// create makes the files of an empty cluster.
func (c *Cluster) create() error {
	if c.user != nil {
		if err := os.Chown(c.directory, int(c.user.Uid), int(c.user.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.Command(filepath.Join(c.programs, "initdb"), "--pgdata", c.data(), "--no-sync", "--no-locale",
		"--encoding", "UTF8", "--auth", "trust", "--username", "aspects")
	initdb.Dir = c.directory
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

func (c *Cluster) data() string { return filepath.Join(c.directory, "data") }

// run starts the server and waits until it answers.
func (c *Cluster) run() error {
	sync := "off"
	if c.options.Durable {
		sync = "on"
	}
	settings := []string{"listen_addresses=", "unix_socket_directories=" + c.directory, "shared_buffers=128MB",
		"max_connections=200", "fsync=" + sync, "full_page_writes=" + sync, "synchronous_commit=" + sync,
		"max_wal_size=2GB", "log_min_messages=warning"}
	server := exec.Command(filepath.Join(c.programs, "postgres"), "-D", c.data())
	for _, setting := range settings {
		server.Args = append(server.Args, "-c", setting)
	}
	process, err := launch(server, c.user, c.directory)
	if err != nil {
		return err
	}
	c.process = process
	return c.process.answers(c.server)
}

// Stop stops the server in order, with its connections, and waits for its end.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	if err := c.process.end(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// Crash ends the server with the loss of its memory, as a power cut does.
func (c *Cluster) Crash(t testing.TB) {
	t.Helper()
	if err := c.process.end(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
}

// Restart starts a stopped server, and waits until it answers.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	if err := c.run(); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) remove() error {
	return errors.Join(c.process.end(syscall.SIGQUIT), os.RemoveAll(c.directory))
}
