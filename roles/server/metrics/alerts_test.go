package metrics_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/need"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/metrics"
)

const rules = "../../../docs/prometheus/"

// The alerting rules name only metrics and states that the server exports.
func TestAlertsKnowTheMetrics(t *testing.T) {
	m := metrics.New(nil)
	m.Watch(counted{})
	m.Request("POST", "/poll/", 204, time.Millisecond)
	if _, err := m.Store(store{err: os.ErrClosed}).Device(t.Context(), [16]byte{}); err == nil {
		t.Fatal("the store did not fail")
	}
	exported := scrape(t, m)
	text, err := os.ReadFile(rules + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`aspects_poc_\w+`).FindAllString(string(text), -1)
	if len(names) == 0 {
		t.Error("no rule names a metric")
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + name + `(_count)?[{ ]`).MatchString(exported) {
			t.Errorf("a rule names %s, which the server does not export", name)
		}
	}
	for _, match := range regexp.MustCompile(`state!?[=~]+"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		for state := range strings.SplitSeq(match[1], "|") {
			if !slices.Contains(fleet.StateNames(), state) {
				t.Errorf("a rule names the state %q, which no device has", state)
			}
		}
	}
}

func TestAlerts(t *testing.T) {
	promtool := need.Program(t, "promtool")
	for _, arguments := range [][]string{
		{"check", "config", "--syntax-only", rules + "prometheus.yaml"},
		{"check", "rules", rules + "alerts.yaml"},
		{"test", "rules", rules + "alerts-test.yaml"},
	} {
		if output, err := exec.CommandContext(t.Context(), promtool, arguments...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, output)
		}
	}
}
