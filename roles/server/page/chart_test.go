package page_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"aspects-poc/roles/internal/browsertest"
	"aspects-poc/roles/serverapi"

	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"
)

// counted returns points of statistics, one a second up to now, with two packets sent in each.
func counted(n int) []serverapi.Stats {
	peers := int64(3)
	points := make([]serverapi.Stats, n)
	for i := range points {
		points[i] = serverapi.Stats{At: now.Unix() - int64(n-1-i), Peers: &peers,
			Packets: map[string]serverapi.Packets{"eth0": {Sent: uint64(2 * i)}}}
	}
	return points
}

// TestManyPoints: the chart of 5,000 points has their number of packets, and the same first and last time, in no more
// points than a browser can draw.
func TestManyPoints(t *testing.T) {
	const many = 5_000
	w := example(t)
	w.count(counted(many)...)
	answer := get(w, "/page/devices/"+id.String()+"/chart/?kind=packets")
	var drawn struct {
		Times  []int64
		Series []struct{ Values []float64 }
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &drawn); err != nil {
		t.Fatal(err)
	}
	last, packets := now.Unix()-many+1, 0.0
	for i, at := range drawn.Times {
		packets += drawn.Series[0].Values[i] * float64(at-last)
		last = at
	}
	if len(drawn.Times) > 2000 || last != now.Unix() || math.Round(packets) != 2*(many-1) {
		t.Errorf("%d points up to %d have %f packets", len(drawn.Times), last, packets)
	}
}

// TestChartsInBrowser draws charts of no, one, two and many points in a real browser.
func TestChartsInBrowser(t *testing.T) {
	w := example(t)
	app := routes(w)
	app.GET("/events/", func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentType, "text/event-stream")
		c.Response().Flush()
		<-c.Request().Context().Done()
		return nil
	})
	server := httptest.NewServer(http.Handler(app))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	ctx, watch := browsertest.Open(t, server.URL)
	type axis struct{ From, To, Points, Low, High float64 }
	for _, test := range []struct {
		points, packets, peers int // points drawn
		seconds                float64
	}{{0, 0, 0, 0}, {1, 0, 1, 3600}, {2, 1, 2, 3600}, {5_000, 1199, 1200, 4_999}} {
		w.count(counted(test.points)...)
		err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/page/devices/"+id.String()+"/"), chromedp.WaitVisible(chromedp.CSS("#live.on")))
		if err != nil {
			t.Fatal(err, watch.Trouble())
		}
		for kind, want := range map[string]int{"packets": test.packets, "peers": test.peers} {
			box := fmt.Sprintf(`document.querySelector("#chart-%s")`, kind)
			if _, err := chromedp.Run(ctx, chromedp.Poll[bool](box+`.textContent !== ""`)); err != nil {
				t.Fatal(err, watch.Trouble())
			}
			if want == 0 {
				if !browsertest.Ask(t, ctx, chromedp.Evaluate[bool](box+`.textContent === `+box+`.dataset.none`)) {
					t.Errorf("%d points: the chart of %s is not empty", test.points, kind)
				}
				continue
			}
			got := browsertest.Ask(t, ctx, chromedp.Evaluate[axis](fmt.Sprintf(`(plot => ({from: plot.scales.x.min, to: plot.scales.x.max,
				points: plot.data[0].length, low: plot.scales.y.min, high: plot.scales.y.max}))(%s.plot)`, box)))
			end := float64(now.Unix())
			spanned := got.To - got.From
			if int(got.Points) != want || got.From > end || got.To < end || spanned < test.seconds || spanned > test.seconds*1.1 ||
				got.Low != 0 || got.High < 2 || got.High > 4 {
				t.Errorf("%d points: the chart of %s has %+v, which spans %f seconds", test.points, kind, got, spanned)
			}
		}
	}
	for _, trouble := range watch.Trouble() {
		t.Error(trouble)
	}
}
