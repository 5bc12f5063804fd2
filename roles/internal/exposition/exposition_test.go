package exposition_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"aspects-poc/roles/internal/exposition"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/prototext"
)

// families has Prometheus' own parser read a page.
func families(t *testing.T, page string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatalf("%v in\n%s", err, page)
	}
	return found
}

// Counters and histograms read as those of Prometheus' client library that have counted the same.
func TestAsPrometheus(t *testing.T) {
	labels := []string{"method", "route", "status"}
	bounds := []float64{.001, .25, 1, 10}
	counters := exposition.NewCounters("failures_total", `What failed, "so" to speak \o/.`, labels...)
	histograms := exposition.NewHistograms("duration_seconds", "How long it took.", bounds, labels...)
	wantCounters := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "failures_total", Help: `What failed, "so" to speak \o/.`}, labels)
	wantHistograms := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "duration_seconds", Help: "How long it took.", Buckets: bounds}, labels)
	for range 2000 {
		values := []string{"GET", []string{"", `quo"ted`, `back\slash`, "two\nlines", "é"}[rand.IntN(5)], []string{"200", "404"}[rand.IntN(2)]}
		took := float64(rand.IntN(16)) // its sums are exact in any order
		if rand.IntN(4) == 0 {
			took = bounds[rand.IntN(2)*2+1]
		}
		counters.Add(values...)
		wantCounters.WithLabelValues(values...).Inc()
		histograms.Observe(took, values...)
		wantHistograms.WithLabelValues(values...).Observe(took)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(wantCounters, wantHistograms)
	list, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for _, family := range list {
		if _, err := expfmt.MetricFamilyToText(&want, family); err != nil {
			t.Fatal(err)
		}
	}
	var page bytes.Buffer
	histograms.Write(&page)
	counters.Write(&page)
	if diff := cmp.Diff(texts(families(t, want.String())), texts(families(t, page.String()))); diff != "" {
		t.Errorf("(-Prometheus +we)\n%s", diff)
	}
	if problems, err := promlint.New(&page).Lint(); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func texts(families map[string]*dto.MetricFamily) map[string]string {
	texts := map[string]string{}
	for name, family := range families {
		for _, metric := range family.Metric {
			texts[name+" "+prototext.Format(metric)] = family.GetHelp() + " " + family.GetType().String()
		}
	}
	return texts
}

func TestFamily(t *testing.T) {
	f := exposition.Family{Name: "device_info", Kind: exposition.Gauge, Help: "The device.", Labels: []string{"uuid"}}
	var page bytes.Buffer
	if f.Write(&page); page.Len() > 0 {
		t.Errorf("without samples it writes %q", &page)
	}
	f.Write(&page, exposition.Sample{Labels: []string{"b"}, Value: exposition.Count(-3)},
		exposition.Sample{Labels: []string{"a"}, Value: exposition.Count(uint64(1<<53 + 1))})
	exposition.Family{Name: "at", Kind: exposition.Gauge, Help: "When."}.Write(&page, exposition.Sample{Value: exposition.Number(1719407517.999)})
	want := `# HELP device_info The device.
# TYPE device_info gauge
device_info{uuid="a"} 9007199254740993
device_info{uuid="b"} -3
# HELP at When.
# TYPE at gauge
at 1719407517.999
`
	if diff := cmp.Diff(want, page.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// All values are counted, also when they come at the same time as the first of their series.
func TestAtOnce(t *testing.T) {
	counters := exposition.NewCounters("c", "Help.", "of")
	histograms := exposition.NewHistograms("h", "Help.", []float64{1}, "of")
	var page bytes.Buffer
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 1000 {
				counters.Add(exposition.Count(i % 10))
				histograms.Observe(float64(i%3), exposition.Count(i%10))
			}
		})
	}
	counters.Write(new(bytes.Buffer))
	histograms.Write(new(bytes.Buffer))
	group.Wait()
	counters.Write(&page)
	histograms.Write(&page)
	for i := range 10 {
		for _, want := range []string{`c{of="` + exposition.Count(i) + `"} 800`, `h_count{of="` + exposition.Count(i) + `"} 800`} {
			if !strings.Contains(page.String(), want+"\n") {
				t.Errorf("%s is missing in\n%s", want, &page)
			}
		}
	}
}

// One observation costs no allocation once its series is there.
func TestAllocations(t *testing.T) {
	histograms := exposition.NewHistograms("h", "Help.", []float64{1}, "method", "route", "status")
	histograms.Observe(.5, "GET", "/", "200")
	if n := testing.AllocsPerRun(100, func() { histograms.Observe(.5, "GET", "/", "200") }); n > 1 { // the key of sync.Map
		t.Errorf("%f allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	bounds := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}
	b.Run("ours", func(b *testing.B) {
		h := exposition.NewHistograms("h", "Help.", bounds, "method", "route", "status")
		b.ReportAllocs()
		for b.Loop() {
			h.Observe(.003, "GET", "/devices/:uuid/", "200")
		}
	})
	b.Run("client_golang", func(b *testing.B) {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Buckets: bounds}, []string{"method", "route", "status"})
		b.ReportAllocs()
		for b.Loop() {
			h.WithLabelValues("GET", "/devices/:uuid/", "200").Observe(.003)
		}
	})
}
