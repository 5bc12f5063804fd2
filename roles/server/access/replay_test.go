package access_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"aspects-poc/roles/server/access"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestReplays(t *testing.T) {
	type request struct {
		key, nonce string
		at         int // seconds after noon
		want       string
	}
	burst := func(n, at int, want string) (list []request) {
		for i := range n {
			list = append(list, request{"a", fmt.Sprintf("%d at %d", i, at), at, want})
		}
		return list
	}
	for _, test := range []struct {
		name     string
		requests []request
	}{
		{"the same again", []request{{"a", "1", 0, "fresh"}, {"a", "1", 0, "replayed"}}},
		{"the same nonce at another time is another request", []request{{"a", "1", 0, "fresh"}, {"a", "1", 1, "fresh"}}},
		{"another device's nonce", []request{{"a", "1", 0, "fresh"}, {"b", "1", 0, "fresh"}}},
		{"overtaken", []request{{"a", "1", 50, "fresh"}, {"a", "2", 10, "fresh"}, {"a", "1", 50, "replayed"},
			{"a", "2", 10, "replayed"}}},
		{"a burst is remembered whole", append(burst(20, 0, "fresh"), burst(20, 0, "replayed")...)},
		{"a poll each minute", []request{{"a", "1", 0, "fresh"}, {"a", "2", 60, "fresh"}, {"a", "3", 120, "fresh"},
			{"a", "4", 180, "fresh"}, {"a", "5", 240, "fresh"}, {"a", "1", 0, "behind"}, {"a", "0", 0, "behind"},
			{"a", "2", 60, "replayed"}, {"a", "late", 61, "fresh"}}},
		{"more than many in a second", append(burst(access.Many, 0, "fresh"), request{"a", "more", 0, "flooded"},
			request{"b", "other", 0, "fresh"}, request{"a", "next", 1, "fresh"}, request{"a", "again", 0, "behind"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			memory := access.NewReplays(5 * time.Minute)
			for i, request := range test.requests {
				at := noon.Add(time.Duration(request.at) * time.Second)
				if got := memory.Take(request.key, request.nonce, at, at); got != request.want {
					t.Errorf("request %d, %s of %s at %d: got %s, want %s", i, request.nonce, request.key, request.at, got,
						request.want)
				}
			}
		})
	}
}

// Whatever comes, in whatever order: nothing is taken twice, and nothing is called a replay that did not come before. What
// is newer than all that came from a device is taken, unless it floods. What is remembered is compared with all there was.
func TestReplaysTakeNothingTwice(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	newest := map[string]time.Time{}
	memory, taken := access.NewReplays(5*time.Minute), map[string]bool{}
	fresh := 0
	for i := range 50_000 {
		now := noon.Add(time.Duration(i) * 20 * time.Millisecond)
		created := now.Add(time.Duration(random.IntN(330)-300) * time.Second).Truncate(time.Second)
		if random.IntN(3) > 0 { // most devices have about the right time
			created = now.Truncate(time.Second)
		}
		key, nonce := fmt.Sprint(random.IntN(20)), fmt.Sprint(random.IntN(8))
		request := fmt.Sprint(key, nonce, created)
		got := memory.Take(key, nonce, created, now)
		if created.After(newest[key]) && got != "fresh" {
			t.Fatalf("%s is newer than all before, and %s", request, got)
		}
		newest[key] = later(newest[key], created)
		switch {
		case got == "replayed" && !taken[request]:
			t.Fatalf("%s did not come before", request)
		case got == "fresh" && taken[request]:
			t.Fatalf("%s was taken twice", request)
		case got == "fresh":
			fresh++
			taken[request] = true
		case got != "replayed" && got != "behind" && got != "flooded":
			t.Fatal(got)
		}
	}
	if fresh < 2_000 {
		t.Errorf("only %d were taken: the test does not test", fresh)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A flood of one device's nonces is bounded, and so is one of all devices together; what is too old to come again goes.
func TestReplaysAreBounded(t *testing.T) {
	memory := access.NewReplays(5 * time.Minute)
	counts := map[string]int{}
	for i := range 10_000 {
		counts[memory.Take("a", fmt.Sprint(i), noon, noon)]++
	}
	if diff := cmp.Diff(map[string]int{"fresh": access.Many, "flooded": 10_000 - access.Many}, counts); diff != "" {
		t.Errorf("one device (-want +got):\n%s", diff)
	}
	for device := range access.Spare/(access.Many-access.Few) + 1_000 {
		for i := range access.Many {
			memory.Take(fmt.Sprint(device), fmt.Sprint(i), noon, noon)
		}
	}
	if _, spare := memory.Size(); spare > access.Spare {
		t.Errorf("%d requests beyond the first few of each device, want at most %d", spare, access.Spare)
	}
	later := noon.Add(20 * time.Minute)
	for device := range 1_000 { // each part is swept when it is used
		memory.Take(fmt.Sprint("later ", device), "n", later, later)
	}
	if devices, spare := memory.Size(); devices != 1_000 || spare != 0 {
		t.Errorf("after the window %d devices and %d requests are left, want the 1000 of now", devices, spare)
	}
}

// BenchmarkReplays is what a device costs that polls once a minute, in memory and time.
func BenchmarkReplays(b *testing.B) {
	memory := access.NewReplays(5 * time.Minute)
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("%043d", i)
	}
	before := heap()
	for minute := range 12 {
		at := noon.Add(time.Duration(minute) * time.Minute)
		for _, key := range keys {
			memory.Take(key, key[minute:], at, at)
		}
	}
	grown := heap() - before
	n := 0
	for b.Loop() {
		at := noon.Add(12*time.Minute + time.Duration(n/len(keys))*time.Minute)
		memory.Take(keys[n%len(keys)], "nonce", at, at)
		n++
	}
	b.ReportMetric(float64(grown)/float64(len(keys)), "B/device")
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
