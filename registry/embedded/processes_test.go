package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"aspects-poc/internal/program"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
)

// helper performs a task of this test binary when it runs as another process.
func helper(name string) int {
	helpers := map[string]func(ctx context.Context, b *embedded.Backend) error{
		"count": countUp, "write": writeForEver, "too-big": writeTooMuch, "hold": holdLock,
	}
	if err := func() error {
		ctx := context.Background()
		b, err := embedded.Open(ctx, os.Getenv("EMBEDDED_TEST_FILE"), standard)
		if err != nil {
			return err
		}
		return errors.Join(helpers[name](ctx, b), b.Close())
	}(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process prepares another process that runs a helper on a file.
func process(tb testing.TB, name, path string, environment ...string) *exec.Cmd {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), self)
	cmd.Env = append(os.Environ(), "EMBEDDED_TEST_HELPER="+name, "EMBEDDED_TEST_FILE="+path)
	cmd.Env = append(cmd.Env, environment...)
	cmd.Stderr = os.Stderr
	return cmd
}

func increment(current map[string]any) (map[string]any, error) {
	n := 0
	if old, ok := current["count"].(json.Number); ok {
		var err error
		if n, err = strconv.Atoi(old.String()); err != nil {
			return nil, err
		}
	}
	return map[string]any{"count": json.Number(strconv.Itoa(n + 1))}, nil
}

func countUp(ctx context.Context, b *embedded.Backend) error {
	times, err := strconv.Atoi(os.Getenv("EMBEDDED_TEST_TIMES"))
	for i := 0; i < times && err == nil; i++ {
		err = b.Update(ctx, view("all"), []string{"count"}, increment)
	}
	return err
}

// If several processes add to one counter, no addition is lost.
func TestProcessesShareACounter(t *testing.T) {
	t.Parallel()
	processes, times := 8, 1000
	if testing.Short() || program.Raced {
		times = 50
	}
	path := filepath.Join(t.TempDir(), "confdb.json")
	var running []*exec.Cmd
	for range processes {
		cmd := process(t, "count", path, "EMBEDDED_TEST_TIMES="+strconv.Itoa(times))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	b := openFile(t, path, embedded.Options{})
	wantDocument(t, b, "all", fmt.Sprintf(`{"count":%d}`, processes*times))
	if names := files(t, filepath.Dir(path)); !slices.Equal(names,
		[]string{"confdb.json", "confdb.json.lock", "confdb.json.previous"}) {
		t.Errorf("files left: %q", names)
	}
}

// If goroutines with several handles of one file add to one counter, no addition is lost.
func TestHandlesShareACounter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	handles, times := 8, 25
	var group sync.WaitGroup
	for range handles {
		b := openFile(t, path, standard)
		group.Go(func() {
			for range times {
				if err := b.Update(t.Context(), view("all"), []string{"count"}, increment); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	wantDocument(t, openFile(t, path, standard), "all", fmt.Sprintf(`{"count":%d}`, handles*times))
}

// writeForEver sets a number and a text that depends on it, and prints each number when it is stored.
func writeForEver(ctx context.Context, b *embedded.Backend) error {
	for i := 1; ; i++ {
		n := json.Number(strconv.Itoa(i))
		values := map[string]any{"count": n, "note": pattern(i)}
		if err := b.Set(ctx, view("all"), values); err != nil {
			return err
		}
		if _, err := fmt.Println(i); err != nil {
			return err
		}
	}
}

// pattern is a text of changing length, so that a mixture of two commits shows.
func pattern(i int) string { return strings.Repeat(strconv.Itoa(i)+" ", 1+i%997) }

// A writer that is killed at any moment loses no committed value, and leaves a whole file.
func TestKilledWriters(t *testing.T) {
	rounds := 40
	if testing.Short() || program.Raced {
		rounds = 8
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "confdb.json")
	random := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		cmd := process(t, "write", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		lines := bufio.NewScanner(out)
		for range 1 + random.IntN(20) {
			if !lines.Scan() {
				break
			}
			acknowledged, _ = strconv.Atoi(lines.Text())
		}
		// Somewhere in the next commit: a commit takes about a millisecond.
		spin(time.Duration(random.IntN(2000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				acknowledged = n
			}
		}
		_ = cmd.Wait() // it was killed

		b := openFile(t, path, embedded.Options{})
		got, err := b.Get(t.Context(), view("all"), []string{"count", "note"}, backend.GetOptions{})
		if err != nil {
			t.Fatalf("round %d, after %d: %v", round, acknowledged, err)
		}
		count, _ := strconv.Atoi(got["count"].(json.Number).String())
		// The next one may have been stored without the chance to say so.
		if count != acknowledged && count != acknowledged+1 || got["note"] != pattern(count) {
			t.Fatalf("round %d: stored %d, acknowledged %d", round, count, acknowledged)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	set(t, openFile(t, path, standard), map[string]any{"note": "after"})
	if names := files(t, dir); !slices.Equal(names,
		[]string{"confdb.json", "confdb.json.lock", "confdb.json.previous"}) {
		t.Errorf("files left: %q", names)
	}
}

// spin lets time pass without giving the processor away, as a sleep is too coarse to hit every step of a commit.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// writeTooMuch meets the limit on the size of files.
func writeTooMuch(ctx context.Context, b *embedded.Backend) error {
	if err := b.Set(ctx, view("all"), map[string]any{"note": "small"}); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 8192, Max: 8192}); err != nil {
		return err
	}
	err := b.Set(ctx, view("all"), map[string]any{"note": strings.Repeat("x", 10000)})
	if !errors.Is(err, backend.ErrStorage) || !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("set beyond the limit: %w", err)
	}
	fmt.Println(err)
	got, err := b.Get(ctx, view("all"), []string{"note"}, backend.GetOptions{})
	if err != nil || got["note"] != "small" {
		return fmt.Errorf("after it: %v, %w", got, err)
	}
	return b.Set(ctx, view("all"), map[string]any{"note": "small again"})
}

func TestFileTooBig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	out, err := process(t, "too-big", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("cannot set \"note\" through acc/lab/all: %s cannot be written: file too large; "+
		"nothing was changed (try: raise the limit on the size of files: ulimit -f unlimited)\n", path)
	if string(out) != want {
		t.Errorf("error %q, want %q", out, want)
	}
	wantDocument(t, openFile(t, path, standard), "all", `{"note":"small again"}`)
}

// holdLock holds the lock until its input ends.
func holdLock(ctx context.Context, b *embedded.Backend) error {
	return b.Update(ctx, view("all"), nil, func(map[string]any) (map[string]any, error) {
		fmt.Println("locked")
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return nil, err
	})
}

func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	b := openFile(t, path, embedded.Options{Documents: standard.Documents, AccessTimeout: 30 * time.Millisecond})
	set(t, b, map[string]any{"count": json.Number("1")})
	cmd := process(t, "hold", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("other process: %q, %v", line, err)
	}

	values := map[string]any{"count": json.Number("2")}
	err = b.Set(t.Context(), view("all"), values)
	wantError(t, err, backend.ErrBusy, path+".lock is held by another program, waited until ")
	var busy *backend.Error
	if !errors.As(err, &busy) || busy.Until.IsZero() {
		t.Errorf("error %+v does not say until when", busy)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err = b.Set(ctx, view("all"), values)
	wantError(t, err, backend.ErrInterrupted, path+".lock is held by another program", "fuser -v")
	wantError(t, err, context.DeadlineExceeded)
	wantDocument(t, b, "all", `{"count":1}`) // readers wait for nobody

	if _, err := in.Write([]byte("go on\n")); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	set(t, b, values)
}

// Two writers of one process wait for each other as well.
func TestBusyInside(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		set(t, b, map[string]any{"count": json.Number("1")})
		err := b.Update(t.Context(), view("all"), nil, func(map[string]any) (map[string]any, error) {
			// Long enough to be still there, on a busy machine, when Set begins to wait.
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return nil, b.Set(ctx, view("all"), map[string]any{"count": json.Number("2")})
		})
		wantError(t, err, backend.ErrInterrupted, "another part of this program is writing")
	})
}

// The next read sees another process's commit.
func TestReadersSeeOtherProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	b := openFile(t, path, standard)
	for i := range 5 {
		if err := process(t, "count", path, "EMBEDDED_TEST_TIMES=1").Run(); err != nil {
			t.Fatal(err)
		}
		wantDocument(t, b, "all", fmt.Sprintf(`{"count":%d}`, i+1))
	}
}
