package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"aspects-poc/roles/server/audit"

	"github.com/google/uuid"
)

// A memory is a store that keeps records in memory, and fails when it is told to.
type memory struct {
	mu      sync.Mutex
	records []audit.Record
	last    int64
	trouble error
}

func (m *memory) AddRecord(_ context.Context, record audit.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.trouble != nil {
		return m.trouble
	}
	if !slices.ContainsFunc(m.records, func(r audit.Record) bool { return r.Act == record.Act }) {
		m.last++
		record.Number = m.last
		m.records = append(m.records, record)
	}
	return nil
}

func (m *memory) Records(_ context.Context, filter audit.Filter, limit int) (list []audit.Record, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, record := range m.records {
		if record.Number > filter.After && len(list) < limit {
			list = append(list, record)
		}
	}
	return list, m.trouble
}

func (m *memory) LastRecord(context.Context) (int64, error) { return m.last, m.trouble }

func (m *memory) TrimRecords(context.Context, time.Time, int64) error { return m.trouble }

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trouble = err
}

func (m *memory) add(t *testing.T, n int) {
	t.Helper()
	for range n {
		if err := m.AddRecord(t.Context(), audit.Record{Act: uuid.New(), Name: "ann", Verb: "set"}); err != nil {
			t.Fatal(err)
		}
	}
}

// follow copies what is there to a file, as a server does between two starts.
func follow(t *testing.T, path string, store audit.Store) (log string) {
	t.Helper()
	var text bytes.Buffer
	file, err := audit.OpenFile(t.Context(), path, store, slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	file.Follow(ended)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// numbers returns the numbers of the records in files.
func numbers(t *testing.T, paths ...string) (list []int64) {
	t.Helper()
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var record struct{ Number int64 }
			if err := json.Unmarshal([]byte(line), &record); err != nil || !strings.HasSuffix(line, "\n") {
				t.Fatalf("%q: %v", line, err)
			}
			list = append(list, record.Number)
		}
	}
	return list
}

func upTo(n int64) (list []int64) {
	for i := range n {
		list = append(list, i+1)
	}
	return list
}

func same(t *testing.T, what string, want, got []int64) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestFile stops a server in the middle of everything: the file has each record once.
func TestFile(t *testing.T) {
	store := &memory{}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	follow(t, path, store)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	store.add(t, 3)
	follow(t, path, store)
	same(t, "three", upTo(3), numbers(t, path))

	// A crash after the lines, and before the position.
	if err := os.WriteFile(path+".position", []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store.add(t, 1)
	follow(t, path, store)
	same(t, "after a crash", upTo(4), numbers(t, path))

	// A crash in a line.
	appendTo(t, path, `{"number":5,"ti`)
	store.add(t, 2)
	follow(t, path, store)
	same(t, "after a crash in a line", upTo(6), numbers(t, path))

	// The file was moved away while no server ran, and is gone.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	store.add(t, 1200) // more than a page
	follow(t, path, store)
	same(t, "of two files", upTo(1206), numbers(t, path+".1", path))

	// The database is another one.
	other := &memory{}
	other.add(t, 2)
	if log := follow(t, path, other); !strings.Contains(log, "another database") {
		t.Error(log)
	}
	if got := numbers(t, path); !slices.Equal(got[len(got)-2:], upTo(2)) {
		t.Errorf("of another database: %v", got[len(got)-5:])
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFileIsRotated moves the file away while the server runs, and makes the disk full for a while.
func TestFileIsRotated(t *testing.T) {
	store := &memory{}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		file, err := audit.OpenFile(t.Context(), path, store, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			file.Follow(ctx)
		}()
		second := func() {
			time.Sleep(1100 * time.Millisecond)
			synctest.Wait()
		}
		store.add(t, 2)
		second()
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		store.add(t, 2)
		second()
		same(t, "moved away", upTo(4), numbers(t, path+".1", path))

		// A full disk: no file may grow beyond what this one has.
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		limit := limitFiles(t, uint64(info.Size())+20)
		store.add(t, 3)
		second()
		second()
		same(t, "on a full disk", []int64{3, 4}, numbers(t, path))
		limit()
		second()
		same(t, "with room again", upTo(7), numbers(t, path+".1", path))

		store.fail(errors.New("the database is away"))
		second()
		store.fail(nil)
		store.add(t, 1)
		end()
		<-ended
		same(t, "at the end", upTo(8), numbers(t, path+".1", path))
		for _, once := range []string{"file too large", "the database is away"} {
			if strings.Count(log.String(), once) != 1 {
				t.Errorf("%s is not logged once:\n%s", once, log.String())
			}
		}
		if _, err := audit.OpenFile(t.Context(), path, store, slog.Default()); !errors.Is(err, audit.ErrFileInUse) {
			t.Errorf("a second server: %v", err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
}

// limitFiles makes writes fail that would let a file grow beyond a size, until the returned function is called.
func limitFiles(t *testing.T, size uint64) (end func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // else it ends the process
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(limit syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	set(syscall.Rlimit{Cur: size, Max: before.Max})
	return func() { set(before) }
}

func TestFileIsNone(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "a folder", text: "no record of an audit log", filepath.Join(dir, "missing", "x"): "no such file"} {
		if _, err := audit.OpenFile(t.Context(), path, &memory{}, slog.Default()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestLogOwes has a store that fails: what it could not take is written later, once.
func TestLogOwes(t *testing.T) {
	store := &memory{}
	now := time.Date(2024, 6, 26, 15, 0, 0, 0, time.UTC)
	log := audit.New(store, audit.Options{Now: func() time.Time { return now }})
	for i := range 5 {
		store.fail(nil)
		if i%2 == 0 {
			store.fail(errors.New("away"))
		}
		pending := log.Begin(audit.Record{Name: fmt.Sprint(i)})
		log.Settle(t.Context(), pending, 403)
		log.Settle(t.Context(), pending, 403)
	}
	if err := log.Maintain(t.Context()); err == nil {
		t.Error("the store takes nothing")
	}
	store.fail(nil)
	for range 2 {
		if err := log.Maintain(t.Context()); err != nil {
			t.Error(err)
		}
	}
	var names []string
	for _, record := range store.records {
		names = append(names, record.Name)
	}
	if got := strings.Join(names, ""); got != "13024" {
		t.Errorf("records of %s", got)
	}

	for i := range 150 { // 15 seconds apart, and so 37 minutes
		log.Stranger(t.Context(), audit.Record{Address: fmt.Sprint(i)})
		now = now.Add(15 * time.Second)
	}
	if err := log.Close(t.Context()); err != nil {
		t.Error(err)
	}
	times, records := int64(0), store.records[5:]
	for _, record := range records {
		times += record.Times
	}
	if times != 150 || len(records) > 39 {
		t.Errorf("%d records of %d requests", len(records), times)
	}
}

// TestCleanRecords keeps tokens and control characters out of the log.
func TestCleanRecords(t *testing.T) {
	token := "aspects-operate-" + strings.Repeat("Q", 26)
	record := audit.Record{Thing: "tokens/" + token, Agent: "\x1b[2J" + strings.Repeat("ü", 500), Reason: strings.ToUpper(token)}.Clean()
	if record.Thing != "tokens/aspects-operate-…" || strings.Contains(record.Reason, "QQ") || len(record.Agent) > audit.MaxText+len("…") ||
		strings.Contains(record.Agent, "\x1b") {
		t.Errorf("%+v", record)
	}
}
