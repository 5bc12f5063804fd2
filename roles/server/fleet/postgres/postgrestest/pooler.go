package postgrestest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"aspects-poc/internal/need"
)

// Pooled starts a pgbouncer in transaction mode in front of a database of URL until the end of the test. It returns the
// database's address through the pgbouncer. Without a pgbouncer the test is skipped, or fails, as for PostgreSQL
// itself.
func Pooled(t testing.TB, address string) string {
	t.Helper()
	database, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	host := database.Query().Get("host")
	if host == "" {
		t.Skip("the database of ASPECTS_TEST_DATABASE is not behind a socket of this machine")
	}
	program := need.Program(t, "pgbouncer")
	user, err := unprivileged()
	if err != nil {
		lack(t, err)
	}
	directory, err := os.MkdirTemp("", "pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(directory); err != nil {
			t.Error(err)
		}
	})
	settings := fmt.Sprintf("[databases]\n* = host=%s user=aspects\n[pgbouncer]\nlisten_addr =\nlisten_port = 5432\n"+
		"unix_socket_dir = %s\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 8\n", host, directory)
	file := filepath.Join(directory, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	if user != nil {
		if err := os.Chown(directory, int(user.Uid), int(user.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	pooler, err := launch(exec.Command(program, file), user, directory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pooler.end(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	query := database.Query()
	query.Set("host", directory)
	database.RawQuery = query.Encode()
	if err := pooler.answers(database.String()); err != nil {
		t.Fatal(err)
	}
	return database.String()
}
