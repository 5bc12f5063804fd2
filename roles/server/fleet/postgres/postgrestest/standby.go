package postgrestest

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Standby starts a standby of a cluster until the end of the test. From then on the cluster's commits wait for it.
func (c *Cluster) Standby(t testing.TB) *Cluster {
	t.Helper()
	directory, err := os.MkdirTemp("", "standby")
	if err != nil {
		t.Fatal(err)
	}
	standby := &Cluster{programs: c.programs, directory: directory, user: c.user, options: c.options,
		server: strings.Replace(c.server, url.QueryEscape(c.directory), url.QueryEscape(directory), 1)}
	t.Cleanup(func() {
		standby.Resume(t)
		if err := standby.remove(); err != nil {
			t.Error(err)
		}
	})
	if c.user != nil {
		if err := os.Chown(directory, int(c.user.Uid), int(c.user.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	backup := exec.Command(filepath.Join(c.programs, "pg_basebackup"), "--pgdata", standby.data(), "--write-recovery-conf", "--checkpoint=fast",
		"--no-sync", "--dbname", fmt.Sprintf("host=%s user=aspects application_name=standby", c.directory))
	backup.Dir = directory
	backup.SysProcAttr = &syscall.SysProcAttr{Credential: c.user}
	if output, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, bytes.TrimSpace(output))
	}
	if err := standby.run(); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()"} {
		if err := execute(c.server, statement); err != nil {
			t.Fatal(err)
		}
	}
	return standby
}

// Promote makes a standby the primary. It returns when that is done.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	if err := execute(c.server, "SELECT pg_promote()"); err != nil {
		t.Fatal(err)
	}
}

// Either returns the address of a cluster's database that also names another cluster.
func (c *Cluster) Either(address string, other *Cluster) string {
	return strings.Replace(address, url.QueryEscape(c.directory), url.QueryEscape(c.directory+","+other.directory), 1)
}

// Pause stops all processes of a cluster. They then refuse nothing and answer nothing, as after a power cut.
func (c *Cluster) Pause(t testing.TB) { c.signal(t, syscall.SIGSTOP) }

// Resume ends a Pause.
func (c *Cluster) Resume(t testing.TB) { c.signal(t, syscall.SIGCONT) }

func (c *Cluster) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if c.process == nil || c.process.over {
		return
	}
	processes := []int{c.process.Pid}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		list, err := os.ReadFile(thread)
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range strings.Fields(string(list)) {
			if pid, err := strconv.Atoi(child); err == nil {
				processes = append(processes, pid)
			}
		}
	}
	for _, pid := range processes {
		_ = syscall.Kill(pid, signal) // a process may have ended
	}
}
