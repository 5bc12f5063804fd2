package embedded_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
)

// These benchmarks measure the floor in the same run, turn by turn with what is measured, as a disk's speed drifts: to
// write, fsync and rename a file of the same size and to fsync its directory.
//
//	x-floor      time of the operation, divided by that of the floor
//	floor-ns/op  the floor itself

// floor returns the time to make a file durable in the cheapest way.
func floor(b *testing.B, dir string, text []byte) time.Duration {
	start := time.Now()
	file, err := os.OpenFile(filepath.Join(dir, "floor.new"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = file.Write(text)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = file.Close()
	}
	if err == nil {
		err = os.Rename(filepath.Join(dir, "floor.new"), filepath.Join(dir, "floor"))
	}
	if err == nil {
		err = embedded.RealDisk().SyncDir(dir)
	}
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// besideFloor reports the time of act on a store in path, and the floor for the store's file.
func besideFloor(b *testing.B, path string, act func(i int)) {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	text := make([]byte, info.Size())
	dir := b.TempDir()
	var own, least time.Duration
	i := 0
	for b.Loop() {
		least += floor(b, dir, text)
		start := time.Now()
		act(i)
		own += time.Since(start)
		i++
	}
	b.ReportMetric(float64(own.Nanoseconds())/float64(i), "ns/op")
	b.ReportMetric(float64(least.Nanoseconds())/float64(i), "floor-ns/op")
	b.ReportMetric(float64(own)/float64(least), "x-floor")
	b.ReportMetric(float64(info.Size()), "file-bytes")
}

// opened returns a store with some data, in a file or ("") in memory.
func opened(b *testing.B, path string, items int) *embedded.Backend {
	b.Helper()
	var store *embedded.Backend
	var err error
	if path == "" {
		store, err = embedded.OpenMemory(b.Context(), standard)
	} else {
		store, err = embedded.Open(b.Context(), path, standard)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	values := map[string]any{"count": number(1), "note": "benchmark", "list": []any{"p", "q"}}
	if items > 0 {
		all := map[string]any{}
		for i := range items {
			all[fmt.Sprintf("item-%05d", i)] = map[string]any{"size": number(i), "label": fmt.Sprintf("label of %d", i)}
		}
		values["items"] = all
	}
	if err := store.Set(b.Context(), view("all"), values); err != nil {
		b.Fatal(err)
	}
	return store
}

// everywhere runs a benchmark on a file and in memory.
func everywhere(b *testing.B, bench func(b *testing.B, path string)) {
	b.Run("file", func(b *testing.B) { bench(b, filepath.Join(b.TempDir(), "confdb.json")) })
	b.Run("mem", func(b *testing.B) { bench(b, "") })
}

// Aim: below 20 µs.
func BenchmarkGet(b *testing.B) {
	everywhere(b, func(b *testing.B, path string) {
		store := opened(b, path, 0)
		for name, requests := range map[string][]string{"key": {"count"}, "view": nil} {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := store.Get(b.Context(), view("all"), requests, backend.GetOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// Aim: within 1.3 times the floor.
func BenchmarkSetDurable(b *testing.B) {
	path := filepath.Join(b.TempDir(), "confdb.json")
	store := opened(b, path, 0)
	besideFloor(b, path, func(i int) { setCount(b, store, i) })
}

func BenchmarkSetMemory(b *testing.B) {
	store := opened(b, "", 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		setCount(b, store, i)
	}
}

func setCount(b *testing.B, store *embedded.Backend, i int) {
	if err := store.Set(b.Context(), view("all"), map[string]any{"count": number(i)}); err != nil {
		b.Fatal(err)
	}
}

const manyItems = 10_000

func setItem(b *testing.B, store *embedded.Backend, i int) {
	request := fmt.Sprintf("items.item-%05d.size", i*7919%manyItems)
	if err := store.Set(b.Context(), view("all"), map[string]any{request: number(i + 1_000_000)}); err != nil {
		b.Fatal(err)
	}
}

// Aim: below 1 ms in memory, and below 1 ms above the floor in a file.
func BenchmarkOneOf10000(b *testing.B) {
	b.Run("mem", func(b *testing.B) {
		store := opened(b, "", manyItems)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			setItem(b, store, i)
		}
	})
	b.Run("file", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "confdb.json")
		store := opened(b, path, manyItems)
		besideFloor(b, path, func(i int) { setItem(b, store, i) })
	})
	// One item modified, then all of them read, as a whole view and as a struct's worth of JSON.
	b.Run("mem-and-read-all", func(b *testing.B) {
		store := opened(b, "", manyItems)
		for i := 0; b.Loop(); i++ {
			setItem(b, store, i)
			values, err := store.Get(b.Context(), view("all"), nil, backend.GetOptions{})
			if err != nil || len(values["items"].(map[string]any)) != manyItems {
				b.Fatal(err)
			}
		}
	})
	b.Run("mem-and-read-one", func(b *testing.B) {
		store := opened(b, "", manyItems)
		for i := 0; b.Loop(); i++ {
			setItem(b, store, i)
			if _, err := store.Get(b.Context(), view("all"), []string{"items.item-00005"}, backend.GetOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReload10000 measures a reader's cost of another process's commit: it reads the whole file again.
func BenchmarkReload10000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "confdb.json")
	opened(b, path, manyItems)
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := embedded.Decode(text); err != nil {
			b.Fatal(err)
		}
	}
}

// Aim: below 50 ms from the beginning of the set to the event of the last watcher.
func BenchmarkTell1000Watchers(b *testing.B) {
	everywhere(b, func(b *testing.B, path string) {
		store := opened(b, path, 0)
		var told []<-chan backend.Event
		for range 1000 {
			events, err := store.Watch(b.Context(), view("all"))
			if err != nil {
				b.Fatal(err)
			}
			told = append(told, events)
		}
		for i := 0; b.Loop(); i++ {
			setCount(b, store, i)
			for _, events := range told {
				if event := <-events; event.Err != nil {
					b.Fatal(event.Err)
				}
			}
		}
	})
}
