package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/internal/browsertest"
	"aspects-poc/roles/serverapi"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
)

// TestPageFollows looks at the page in a real browser while the fleet behind it changes at random moments, during a
// refresh too: a proxy holds the page's requests up for random times, before or after the server has answered. After each
// burst the page comes to show what the API says, and the numbers on it are those of its list. The page's own look now and
// then is half an hour away, so that nothing but what it was told can bring it there.
//
// ASPECTS_PAGE_SEED repeats a run, and ASPECTS_PAGE_ROUNDS makes it longer.
func TestPageFollows(t *testing.T) {
	seed, rounds := uint64(time.Now().UnixNano()), 12
	for name, take := range map[string]func(uint64){
		"ASPECTS_PAGE_SEED": func(n uint64) { seed = n }, "ASPECTS_PAGE_ROUNDS": func(n uint64) { rounds = int(n) },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			take(n)
		}
	}
	t.Logf("ASPECTS_PAGE_SEED=%d", seed)
	started := run(t, append(unsigned, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0",
		"--poll-interval", "1h", "--target-schema", "none")...)
	slow := slowProxy(t, started.url, seed)
	w := &world{fleetToLookAt: fleetToLookAt{t: t, api: client(t, started.url)}, url: started.url,
		random: rand.New(rand.NewPCG(seed, 1))}
	w.set(`{"v":{"a":0}}`)
	ctx, watch := browsertest.Open(t, slow.URL)
	if err := chromedp.Do(ctx, chromedp.Navigate(slow.URL+"/page/devices/"), chromedp.WaitVisible(chromedp.CSS("#live.on"))); err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		var acts []string
		for range 1 + w.random.IntN(6) {
			acts = append(acts, w.act())
			time.Sleep(time.Duration(w.random.IntN(700)) * time.Millisecond) // at any moment of a refresh
		}
		agreed := func() string {
			shown := browsertest.Ask(t, ctx, chromedp.Evaluate[string](shownOnPage))
			return difference(w.said(), shown)
		}
		begin := time.Now()
		deadline := begin.Add(time.Minute)
		for apart := agreed(); apart != ""; apart = agreed() {
			if time.Now().After(deadline) {
				t.Fatalf("round %d, after %s: %s; seen so far: %v", round, strings.Join(acts, ", "), apart, watch.Trouble())
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Logf("round %d: %d changes, %d devices, agreed after %s", round, len(acts), len(w.devices), time.Since(begin))
	}
	for _, trouble := range watch.Trouble() {
		t.Error(trouble)
	}
}

// slowProxy is the server behind a line that takes its time: a request waits before it reaches the server, and
// longer after the server has answered.
func slowProxy(t *testing.T, to string, seed uint64) *httptest.Server {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	var number atomic.Uint64
	hold := func(most int) {
		random := rand.New(rand.NewPCG(seed, number.Add(1)))
		time.Sleep(time.Duration(random.IntN(most)) * time.Millisecond)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(request *httputil.ProxyRequest) { request.SetURL(target) },
		FlushInterval: -1,
		ModifyResponse: func(response *http.Response) error {
			if response.Request.URL.Path == "/page/devices/" {
				hold(1500) // the server tells of a change a fifth of a second after it
			}
			return nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/page/devices/" {
			hold(200)
		}
		proxy.ServeHTTP(response, request)
	}))
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	return server
}

// A world is what changes behind the page.
type world struct {
	fleetToLookAt
	url     string
	random  *rand.Rand
	devices []uuid.UUID
	made    int
}

// act changes something, and says what.
func (w *world) act() string {
	w.t.Helper()
	if len(w.devices) < 3 {
		return w.arrive()
	}
	i := w.random.IntN(len(w.devices))
	device := w.devices[i]
	switch w.random.IntN(8) {
	case 0:
		return w.arrive()
	case 1:
		w.set(fmt.Sprintf(`{"v":{"a":%d}}`, w.revision+1))
		return "a new target"
	case 2:
		w.request(http.MethodPatch, "/devices/"+device.String()+"/labels/", fmt.Sprintf(`{"n":"%d"}`, w.random.IntN(100)))
		return "a label of " + device.String()
	case 3:
		what := []string{"revoke", "approve"}[w.random.IntN(2)]
		w.request(http.MethodPost, "/devices/"+device.String()+"/"+what+"/", "")
		return what + " " + device.String()
	case 4:
		w.request(http.MethodDelete, "/devices/"+device.String()+"/", "")
		w.devices = slices.Delete(w.devices, i, i+1)
		return "removal of " + device.String()
	}
	outcome := []string{"", serverapi.Applied, serverapi.Refused, serverapi.Failed}[w.random.IntN(4)]
	w.report(device, outcome)
	return fmt.Sprintf("%q of %s", outcome, device)
}

func (w *world) arrive() string {
	w.made++
	device := w.register(fmt.Sprintf("192.0.2.%d", w.made%250), "arm64", map[string]string{"n": fmt.Sprint(w.made)})
	w.devices = append(w.devices, device)
	return "arrival of " + device.String()
}

// report polls with an outcome of the present target; what is applied may have drifted since.
func (w *world) report(device uuid.UUID, outcome string) {
	w.t.Helper()
	hash, err := w.target.Hash()
	if err != nil {
		w.t.Fatal(err)
	}
	report := &serverapi.Report{}
	if outcome != "" {
		report.Attempted = &serverapi.Attempted{Revision: w.desired(device), Outcome: outcome, Reason: fmt.Sprint("reason ", w.random.IntN(9))}
	}
	config := serverapi.Config{"v": map[string]any{"a": w.random.IntN(3)}}
	if outcome == serverapi.Applied {
		report.Running = &serverapi.Running{Revision: report.Attempted.Revision, Hash: hash}
		if w.random.IntN(3) > 0 {
			config = w.target
		}
	}
	_, err = w.api.Poll(w.t.Context(), serverapi.PollRequest{UUID: device, Config: config, Report: report}, 0)
	if err != nil && !serverapi.IsProblem(err, serverapi.ProblemRevoked) {
		w.t.Fatal(err)
	}
}

// desired is the revision that a device is to have.
func (w *world) desired(device uuid.UUID) int64 {
	w.t.Helper()
	var shape serverapi.Device
	if err := json.Unmarshal(w.request(http.MethodGet, "/devices/"+device.String()+"/", ""), &shape); err != nil {
		w.t.Fatal(err)
	}
	return shape.Desired.Revision
}

func (w *world) request(method, path, body string) []byte {
	w.t.Helper()
	status, answer := send(w.t, method, w.url+path, body)
	if status >= 300 {
		w.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return answer
}

// said is what the API says, in the words of shownOnPage.
func (w *world) said() string {
	w.t.Helper()
	var list serverapi.DevicePage
	if err := json.Unmarshal(w.request(http.MethodGet, "/devices/?limit=1000", ""), &list); err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	counts := map[string]int{}
	for _, device := range list.Devices {
		running, desired := "–", "–"
		if device.Running != nil {
			running = fmt.Sprint(device.Running.Revision)
		}
		if device.Desired.Revision != 0 {
			desired = fmt.Sprint(device.Desired.Revision)
		}
		note := ""
		if device.Attempted != nil && (device.State == serverapi.StateRefused || device.State == serverapi.StateFailed) {
			note = device.Attempted.Reason
		}
		labels := "device.n=" + device.Labels["device.n"]
		if n, there := device.Labels["n"]; there {
			labels += " n=" + n
		}
		lines = append(lines, strings.Join([]string{device.UUID.String(), device.State, note, labels, desired, running}, " | "))
		counts[device.State]++
	}
	for state, n := range counts {
		lines = append(lines, fmt.Sprintf("%s: %d", state, n))
	}
	lines = append(lines, fmt.Sprintf("all: %d", len(list.Devices)))
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// shownOnPage is what the page shows of each device, and of each state that some have.
const shownOnPage = `[
	...[...document.querySelectorAll("tr[id^=device-]")].map(row => [row.id.slice(7), row.className,
		row.querySelector(".note")?.textContent.trim() ?? "",
		...[".labels", ".number:nth-of-type(3)", ".number:nth-of-type(4)"].map(cell => row.querySelector(cell).textContent.trim())].join(" | ")),
	...[...document.querySelectorAll(".counts li:not(.none)")].filter(one => one.id !== "count-silent")
		.map(one => (one.id.slice(6) || "all") + ": " + one.querySelector("b").textContent),
].sort().join("\n")`

// difference says in which lines two texts differ; "" for none.
func difference(want, got string) string {
	if want == got {
		return ""
	}
	wanted, shown := strings.Split(want, "\n"), strings.Split(got, "\n")
	var list []string
	for _, line := range wanted {
		if !slices.Contains(shown, line) {
			list = append(list, "lacks "+line)
		}
	}
	for _, line := range shown {
		if !slices.Contains(wanted, line) {
			list = append(list, "shows "+line)
		}
	}
	return "the page " + strings.Join(list, "; ")
}

// send makes a request.
func send(t *testing.T, method, url, body string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, text
}
