package fleetsim

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"aspects-poc/internal/jsonvalue"
)

// A Summary is the result of a run. Times are in milliseconds.
type Summary struct {
	Devices      int            `json:"devices"`
	Registration float64        `json:"registration-ms"` // of all devices
	SignedAhead  float64        `json:"signing-ms"`      // before the clock started
	Seconds      float64        `json:"seconds"`         // of polling
	Due          float64        `json:"due-per-second"`  // 0 where polls follow one another
	Rate         float64        `json:"polls-per-second"`
	Polls        int            `json:"polls"`  // answered with 200 or 204
	Offers       int            `json:"offers"` // of Polls, those with a target to apply
	Failed       int            `json:"failed"`
	Errors       map[string]int `json:"errors,omitempty"` // by what they say
	P50          float64        `json:"p50-ms"`
	P95          float64        `json:"p95-ms"`
	P99          float64        `json:"p99-ms"`
	Max          float64        `json:"max-ms"`
	LastOffer    time.Time      `json:"last-offer,omitzero"` // when the last target arrived
}

// mostErrors is how many different errors are counted.
const mostErrors = 50

// A tally counts what happens. It is safe for concurrent use.
type tally struct {
	registration, ahead time.Duration
	started, ended      time.Time
	rate                float64

	mu        sync.Mutex      // guards the fields below
	latencies []time.Duration // of answered polls
	offers    int
	lastOffer time.Time
	errors    map[string]int
	bad       int
}

func (t *tally) begin(at time.Time, rate float64) { t.started, t.rate = at, rate }

func (t *tally) end(at time.Time) { t.ended = at }

func (t *tally) answered(latency time.Duration, offer bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latencies = append(t.latencies, latency)
	if offer {
		t.offers++
		t.lastOffer = time.Now()
	}
}

func (t *tally) failed(word string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bad++
	if t.errors == nil {
		t.errors = map[string]int{}
	}
	if _, known := t.errors[word]; !known && len(t.errors) >= mostErrors {
		word = "others"
	}
	t.errors[word]++
}

func (t *tally) failures() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bad
}

func (t *tally) summary(config Config) Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.latencies)
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	at := func(share float64) float64 {
		if len(t.latencies) == 0 {
			return 0
		}
		return milliseconds(t.latencies[min(int(share*float64(len(t.latencies))), len(t.latencies)-1)])
	}
	seconds := t.ended.Sub(t.started).Seconds()
	s := Summary{
		Devices: config.Devices, Registration: milliseconds(t.registration), SignedAhead: milliseconds(t.ahead),
		Seconds: seconds, Due: t.rate, Rate: float64(len(t.latencies)) / seconds, Polls: len(t.latencies), Offers: t.offers,
		Failed: t.bad, Errors: maps.Clone(t.errors), P50: at(0.5), P95: at(0.95), P99: at(0.99), Max: at(1), LastOffer: t.lastOffer,
	}
	return s
}

func (s Summary) writeJSON(out io.Writer) error {
	return jsonvalue.Write(out, s, "  ")
}

func (s Summary) writeText(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%d devices, registered in %.1f s\n", s.Devices, s.Registration/1000)
	fmt.Fprintf(&text, "%d polls in %.1f s: %.0f a second", s.Polls, s.Seconds, s.Rate)
	if s.Due > 0 {
		fmt.Fprintf(&text, " of %.0f that were due", s.Due)
	}
	fmt.Fprintf(&text, "\nlatency: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms\n", s.P50, s.P95, s.P99, s.Max)
	fmt.Fprintf(&text, "%d targets offered, %d polls failed\n", s.Offers, s.Failed)
	for _, word := range slices.SortedFunc(maps.Keys(s.Errors), func(a, b string) int { return s.Errors[b] - s.Errors[a] }) {
		fmt.Fprintf(&text, "  %d: %s\n", s.Errors[word], word)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// A bar shows progress on a terminal, in one line.
type bar struct {
	out io.Writer

	mu    sync.Mutex // guards the fields below
	shown time.Time
	wide  bool
}

// barInterval is the shortest time between two drawings.
const barInterval = 100 * time.Millisecond

func (b *bar) show(phase string, done, of int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.shown) < barInterval && done != of {
		return
	}
	b.shown, b.wide = now, true
	if of == 0 {
		fmt.Fprintf(b.out, "\r\x1b[K%s %d", phase, done)
		return
	}
	const width = 30
	full := done * width / of
	fmt.Fprintf(b.out, "\r\x1b[K[%s%s] %s %d of %d", strings.Repeat("#", full), strings.Repeat(".", width-full), phase, done, of)
}

// clear empties the bar's line.
func (b *bar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wide {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.wide = false
	}
}
