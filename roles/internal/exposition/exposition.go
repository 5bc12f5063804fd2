// Package exposition writes metrics in Prometheus' text format, version 0.0.4. A Family is its main type: the description
// of a metric, which writes samples. Histograms and Counters are families that count for themselves. What the metrics mean
// is left to the roles, and so is HTTP.
//
// The format is https://prometheus.io/docs/instrumenting/exposition_formats/. Prometheus' own client library brings a
// protobuf library along: 2.5 MB of a binary.
package exposition

import (
	"bytes"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// ContentType is the media type of the format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Kind is the type of a metric.
type Kind string

// The kinds of metric.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// A Family is a metric: its samples differ in the values of its labels.
type Family struct {
	Name   string
	Kind   Kind
	Help   string   // one sentence
	Labels []string // the names of the labels
}

// A Sample is one value of a metric.
type Sample struct {
	Labels []string // the values of the family's labels, in their order
	Value  string   // see Count and Number
}

// Count returns the text of a whole number.
func Count[N int | int64 | uint64](n N) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}

// Number returns the text of a number with a fraction.
func Number(n float64) string {
	if math.IsInf(n, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// Write writes the samples, sorted by the values of their labels. It writes nothing if there are none: a series that is
// absent says that its value is not known.
func (f Family) Write(page *bytes.Buffer, samples ...Sample) {
	if len(samples) == 0 {
		return
	}
	f.head(page)
	slices.SortFunc(samples, func(a, b Sample) int { return slices.Compare(a.Labels, b.Labels) })
	for _, s := range samples {
		f.line(page, "", s.Labels, "", s.Value)
	}
}

func (f Family) head(page *bytes.Buffer) {
	page.WriteString("# HELP " + f.Name + " " + helpEscapes.Replace(f.Help) + "\n# TYPE " + f.Name + " " + string(f.Kind) + "\n")
}

var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// line writes a sample. suffix follows the family's name; bound is the value of the label le, or "".
func (f Family) line(page *bytes.Buffer, suffix string, labels []string, bound, value string) {
	page.WriteString(f.Name)
	page.WriteString(suffix)
	separator := byte('{')
	label := func(name, value string) {
		page.WriteByte(separator)
		separator = ','
		page.WriteString(name)
		page.WriteString(`="`)
		_, _ = labelEscapes.WriteString(page, value) // a buffer takes everything
		page.WriteByte('"')
	}
	for i, name := range f.Labels {
		label(name, labels[i])
	}
	if bound != "" {
		label("le", bound)
	}
	if separator == ',' {
		page.WriteByte('}')
	}
	page.WriteByte(' ')
	page.WriteString(value)
	page.WriteByte('\n')
}

// MostLabels is the largest number of labels of Counters and Histograms.
const MostLabels = 3

// series finds what is counted by the values of the labels. A series begins with its first value.
type series[T any] struct{ m sync.Map } // from [MostLabels]string to *T

func (s *series[T]) of(labels []string, begin func() *T) *T {
	var key [MostLabels]string
	copy(key[:], labels)
	found, ok := s.m.Load(key)
	if !ok {
		found, _ = s.m.LoadOrStore(key, begin())
	}
	return found.(*T)
}

// all returns the series with the values of their labels, of which there are so many, in the order of these values.
func (s *series[T]) all(labels int) iter.Seq2[[]string, *T] {
	return func(yield func([]string, *T) bool) {
		found := map[[MostLabels]string]*T{}
		s.m.Range(func(key, value any) bool {
			found[key.([MostLabels]string)] = value.(*T)
			return true
		})
		for _, key := range slices.SortedFunc(maps.Keys(found), func(a, b [MostLabels]string) int { return slices.Compare(a[:], b[:]) }) {
			if !yield(key[:labels:labels], found[key]) {
				return
			}
		}
	}
}

// Counters is a family of counters, of at most MostLabels labels. It is safe for concurrent use.
type Counters struct {
	family Family
	counts series[atomic.Uint64]
}

// NewCounters returns counters without a series.
func NewCounters(name, help string, labels ...string) *Counters {
	return &Counters{family: Family{Name: name, Kind: Counter, Help: help, Labels: labels}}
}

// Add adds one to the counter with these values of the labels.
func (c *Counters) Add(labels ...string) {
	c.counts.of(labels, func() *atomic.Uint64 { return new(atomic.Uint64) }).Add(1)
}

// Write writes the counters.
func (c *Counters) Write(page *bytes.Buffer) {
	var samples []Sample
	for labels, count := range c.counts.all(len(c.family.Labels)) {
		samples = append(samples, Sample{labels, Count(count.Load())})
	}
	c.family.Write(page, samples...)
}

// Histograms is a family of histograms, of at most MostLabels labels. It is safe for concurrent use.
type Histograms struct {
	family Family
	bounds []float64
	counts series[histogram]
}

type histogram struct {
	mu      sync.Mutex
	buckets []uint64 // values up to the bound at the same place that are above the one before it; the last has no bound
	sum     float64
}

// NewHistograms returns histograms without a series. bounds are the upper bounds of the buckets, ascending; a value that is
// equal to a bound is in its bucket.
func NewHistograms(name, help string, bounds []float64, labels ...string) *Histograms {
	return &Histograms{family: Family{Name: name, Kind: Histogram, Help: help, Labels: labels}, bounds: bounds}
}

// Observe adds a value to the histogram with these values of the labels.
func (h *Histograms) Observe(value float64, labels ...string) {
	of := h.counts.of(labels, func() *histogram { return &histogram{buckets: make([]uint64, len(h.bounds)+1)} })
	bucket, _ := slices.BinarySearch(h.bounds, value)
	of.mu.Lock()
	defer of.mu.Unlock()
	of.buckets[bucket]++
	of.sum += value
}

// Write writes the histograms.
func (h *Histograms) Write(page *bytes.Buffer) {
	headed := false
	for labels, of := range h.counts.all(len(h.family.Labels)) {
		if !headed {
			h.family.head(page)
			headed = true
		}
		of.mu.Lock()
		buckets, sum := slices.Clone(of.buckets), of.sum
		of.mu.Unlock()
		total := uint64(0)
		for bucket, count := range buckets {
			bound := math.Inf(1)
			if bucket < len(h.bounds) {
				bound = h.bounds[bucket]
			}
			total += count
			h.family.line(page, "_bucket", labels, Number(bound), Count(total))
		}
		h.family.line(page, "_sum", labels, "", Number(sum))
		h.family.line(page, "_count", labels, "", Count(total))
	}
}
