package embedded_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
)

// watch begins a watch; patience only ends a test that would hang.
func watch(t *testing.T, b *embedded.Backend, name string) <-chan backend.Event {
	t.Helper()
	events, err := b.Watch(t.Context(), view(name))
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func next(t *testing.T, events <-chan backend.Event) backend.Event {
	t.Helper()
	select {
	case event, open := <-events:
		if !open {
			t.Fatal("the watch has ended")
		}
		return event
	case <-time.After(30 * time.Second):
		t.Fatal("no event")
	}
	return backend.Event{}
}

// wantRevisions checks that the next events have these revisions, and that no other event comes before the last one. The test makes
// a set for the last one.
func wantRevisions(t *testing.T, events <-chan backend.Event, want ...uint64) {
	t.Helper()
	var got []uint64
	for range want {
		event := next(t, events)
		if event.Err != nil {
			t.Fatal(event.Err)
		}
		got = append(got, event.Revision)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("revisions of events (-want +got):\n%s", diff)
	}
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

func TestWatch(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		all, notes, secret, first := watch(t, b, "all"), watch(t, b, "notes"), watch(t, b, "secret"), watch(t, b, "first")
		set(t, b, map[string]any{"count": number(1)})                               // 1
		set(t, b, map[string]any{"note": "a"})                                      // 2
		set(t, b, map[string]any{"note": "a", "count": number(1)})                  // nothing
		set(t, b, map[string]any{"hidden": "only written"})                         // 3
		set(t, b, map[string]any{"note": "b", "count": number(1)})                  // 4, count as it was
		set(t, b, map[string]any{"items.b": map[string]any{"size": number(1)}})     // 5
		set(t, b, map[string]any{"items.a": map[string]any{"size": number(1)}})     // 6
		set(t, b, map[string]any{"list": []any{"p", "p", "q"}})                     // 7
		set(t, b, map[string]any{"list-item[0]": nil})                              // 8
		set(t, b, map[string]any{"items.a.size": nil, "items.a.label": nil})        // 9
		set(t, b, map[string]any{"items.a.size": nil, "items.b": nil, "note": "c"}) // 10
		set(t, b, map[string]any{"items.a": map[string]any{"size": number(2)}})     // 11
		wantRevisions(t, all, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11)
		wantRevisions(t, notes, 2, 4, 10)
		wantRevisions(t, secret, 2, 4, 10)
		wantRevisions(t, first, 6, 9, 11)
	})
}

// An unset through open placeholders gives an event to views that name an entry below it.
func TestWatchOpenUnset(t *testing.T) {
	places(t, func(t *testing.T, b *embedded.Backend) {
		set(t, b, map[string]any{"items.a": map[string]any{"size": number(1)}, "note": "x"}) // 1
		set(t, b, map[string]any{"items.b": map[string]any{"size": number(1)}})              // 2
		first, notes := watch(t, b, "first"), watch(t, b, "notes")
		set(t, b, map[string]any{"items": nil}) // 3
		set(t, b, map[string]any{"note": "y"})  // 4
		wantRevisions(t, first, 3)
		wantRevisions(t, notes, 4)
	})
}

// Each commit of another process gives one event, as one of this process does.
func TestWatchOtherProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	b := openFile(t, path, standard)
	events := watch(t, b, "all")
	const processes, times = 3, 20
	for range processes {
		cmd := process(t, "count", path, "EMBEDDED_TEST_TIMES="+strconv.Itoa(times))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Wait() }() // what it did is checked below
	}
	for range times {
		if err := b.Update(t.Context(), view("all"), []string{"count"}, increment); err != nil {
			t.Fatal(err)
		}
	}
	var want []uint64
	for i := range (processes + 1) * times {
		want = append(want, uint64(i)+1)
	}
	wantRevisions(t, events, want...)
	wantDocument(t, b, "all", fmt.Sprintf(`{"count":%d}`, (processes+1)*times))
}

// If the kernel reports no changes, the watch checks the file regularly, and Status says how often.
func TestWatchWithoutNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	b := openFile(t, path, standard)
	b.WithoutNotify()
	events := watch(t, b, "all")
	status, err := b.Status(t.Context())
	if err != nil || status.Capabilities.WatchPushed || status.Capabilities.WatchEvery != time.Second {
		t.Errorf("status %+v, %v", status, err)
	}
	if err := process(t, "count", path, "EMBEDDED_TEST_TIMES=3").Run(); err != nil {
		t.Fatal(err)
	}
	wantRevisions(t, events, 1, 2, 3)
	set(t, b, map[string]any{"count": number(9)})
	wantRevisions(t, events, 4)
}

// A watcher that has missed more commits than the file records gets one event if its view shows something else.
func TestWatchGap(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "confdb.json"), filepath.Join(dir, "other.json")
	b := openFile(t, path, standard)
	set(t, b, map[string]any{"note": "x"}) // 1
	all, notes := watch(t, b, "all"), watch(t, b, "notes")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Commits of which only the outcome appears.
	put(t, other, text)
	elsewhere := openFile(t, other, standard)
	for i := range embedded.RingSize + 5 {
		set(t, elsewhere, map[string]any{"count": number(i)})
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	wantRevisions(t, all, embedded.RingSize+6)
	set(t, b, map[string]any{"note": "y"})
	wantRevisions(t, all, embedded.RingSize+7)
	wantRevisions(t, notes, embedded.RingSize+7)
}

// A later revision of the schema gives an event to the views that show something else.
func TestWatchSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	b := openFile(t, path, standard)
	set(t, b, map[string]any{"note": "x", "count": number(1)}) // 1
	all, notes := watch(t, b, "all"), watch(t, b, "notes")
	document := strings.Replace(string(lab(2, "")), `{"storage":"count"},`, "", 1)
	later := openFile(t, path, embedded.Options{Documents: []json.RawMessage{json.RawMessage(document)}})
	set(t, later, map[string]any{"hidden": "which nobody sees"}) // 2
	set(t, b, map[string]any{"note": "y"})                       // 3
	wantRevisions(t, all, 2, 3)
	wantRevisions(t, notes, 3)
}

func TestWatchDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "confdb.json")
	b := openFile(t, path, standard)
	set(t, b, map[string]any{"note": "x"})
	notes := watch(t, b, "notes")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, whole[:30])
	wantError(t, next(t, notes).Err, backend.ErrCorrupt, path)
	put(t, path, whole)
	set(t, b, map[string]any{"note": "y"})
	for {
		event := next(t, notes)
		if event.Err == nil {
			break // what was half written in between may have been told as well
		}
		wantError(t, event.Err, backend.ErrCorrupt, path)
	}
}

// A directory that is removed and made again is watched again.
func TestWatchDirectoryMadeAgain(t *testing.T) {
	root := t.TempDir()
	dir, made := filepath.Join(root, "state"), filepath.Join(root, "made")
	path := filepath.Join(dir, "confdb.json")
	b := openFile(t, path, standard)
	embedded.Recheck(b, 20*time.Millisecond)
	set(t, b, map[string]any{"note": "x"})
	notes := watch(t, b, "notes")
	if len(embedded.Notified(b)) == 0 {
		t.Skip("the kernel cannot report changes here")
	}
	elsewhere := openFile(t, filepath.Join(made, "confdb.json"), standard)
	set(t, elsewhere, map[string]any{"note": "y", "count": number(1)})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	wantError(t, next(t, notes).Err, backend.ErrCorrupt, path)
	if err := os.Rename(made, dir); err != nil {
		t.Fatal(err)
	}
	for {
		event := next(t, notes)
		if event.Err == nil {
			break
		}
		wantError(t, event.Err, backend.ErrCorrupt, path) // the parts of it that are removed one by one
	}
	wantDocument(t, b, "notes", `{"note":"y"}`)
	// It may have been seen before the directory was watched again.
	for deadline := time.After(30 * time.Second); !slices.Contains(embedded.Notified(b), dir); {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("what is watched is %q", embedded.Notified(b))
		}
	}
	set(t, b, map[string]any{"note": "z"})
	if event := next(t, notes); event.Err != nil {
		t.Error(event.Err)
	}
}

// A slow reader blocks no other reader, and gets the last event.
func TestWatchSlowReader(t *testing.T) {
	b, err := embedded.OpenMemory(t.Context(), standard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }() // in memory
	slow, quick := watch(t, b, "all"), watch(t, b, "all")
	last := uint64(0)
	for i := range embedded.QueueSize + 200 {
		set(t, b, map[string]any{"count": number(i)})
		last++
		wantRevisions(t, quick, last)
	}
	for before := uint64(0); before != last; {
		event := next(t, slow)
		if event.Revision <= before {
			t.Fatalf("revision %d after %d", event.Revision, before)
		}
		before = event.Revision
	}
}

// After the end of the last watch no goroutine runs, and after Close no file is open.
func TestNothingIsLeft(t *testing.T) {
	before, openBefore := goroutines(), openFiles(t)
	path := filepath.Join(t.TempDir(), "confdb.json")
	for round := range 3 {
		var backends []*embedded.Backend
		for range 50 {
			b, err := embedded.Open(t.Context(), path, standard)
			if err != nil {
				t.Fatal(err)
			}
			backends = append(backends, b)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var channels []<-chan backend.Event
		for _, b := range backends {
			events, err := b.Watch(ctx, view("all"))
			if err != nil {
				t.Fatal(err)
			}
			channels = append(channels, events)
		}
		// A file, an inotify instance with what the runtime needs to wait for it, and no more for fifty handles.
		if open := openFiles(t) - openBefore; open > 8 {
			t.Errorf("%d files open", open)
		}
		set(t, backends[0], map[string]any{"count": number(round)})
		for _, events := range channels {
			next(t, events)
		}
		if round == 0 {
			cancel()
		}
		for i, b := range backends {
			if round == 2 {
				go cancel()
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if _, open := <-channels[i]; open {
				t.Error("a watch goes on")
			}
		}
		cancel()
	}
	if n := embedded.OpenStores(); n != 0 {
		t.Errorf("%d stores are open", n)
	}
	// What a watcher of fsnotify has started ends soon after its Close.
	for deadline := time.Now().Add(30 * time.Second); goroutines() > before && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if now := goroutines(); now > before { // some of an earlier test may have ended meanwhile
		text := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", now, before, text[:runtime.Stack(text, true)])
	}
	// The runtime keeps one or two of its own for waiting.
	if now := openFiles(t); now > openBefore+2 {
		t.Errorf("%d open files, %d before", now, openBefore)
	}
}

// goroutines counts the goroutines in this package and the packages that it uses, without those of the test's runner.
func goroutines() int {
	text := make([]byte, 1<<20)
	n := 0
	for stack := range strings.SplitSeq(string(text[:runtime.Stack(text, true)]), "\n\n") {
		if strings.Contains(stack, "registry/embedded.") || strings.Contains(stack, "fsnotify") {
			n++
		}
	}
	return n
}

func openFiles(t *testing.T) int {
	t.Helper()
	return len(files(t, "/proc/self/fd"))
}
