package oracle_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/internal/browsertest"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
)

// A page is the list of devices in a browser, which is opened once and changes by itself from then on.
type page struct {
	t        *testing.T
	url      string
	pictures string // a directory; "" for none
	watch    *browsertest.Watch

	mu    sync.Mutex // guards the fields below
	ctx   context.Context
	looks int
}

// picturesEvery is how many looks lie between two pictures.
const picturesEvery = 40

func newPage(t *testing.T, url, pictures string) *page {
	return &page{t: t, url: url, pictures: pictures}
}

func (p *page) Name() string { return "the page in a browser" }

func (p *page) Close() {}

// States asks the page for what it shows now.
func (p *page) States() map[uuid.UUID]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		p.ctx, p.watch = browsertest.OpenFor(p.t, p.url, 24*time.Hour)
		if err := chromedp.Do(p.ctx, chromedp.Navigate(p.url+"/page/devices/"), chromedp.WaitVisible(chromedp.CSS("#live.on"))); err != nil {
			p.t.Errorf("open the page: %v", err)
		}
	}
	if p.looks++; p.pictures != "" && p.looks%picturesEvery == 1 {
		p.picture()
	}
	rows, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll("tr[id^=device-]")].map(row =>
		row.id.slice(7) + " " + [...row.querySelectorAll(".state")].map(mark => mark.classList[1]).join(" "))`))
	if err != nil {
		p.t.Errorf("ask the page: %v", err)
	}
	states := map[uuid.UUID]string{}
	for _, row := range rows {
		words := strings.Fields(row)
		if id, err := uuid.Parse(words[0]); err == nil && len(words) > 1 {
			states[id] = words[1]
		}
	}
	return states
}

// picture keeps what the page looks like on a phone, and on a desktop.
func (p *page) picture() {
	for name, size := range map[string][2]int64{"phone": {390, 844}, "desktop": {1280, 900}} {
		err := chromedp.Do(p.ctx, chromedp.EmulateViewport(size[0], size[1]))
		if err == nil {
			var image []byte
			if image, err = chromedp.Run(p.ctx, chromedp.FullScreenshot(100)); err == nil {
				err = os.WriteFile(filepath.Join(p.pictures, fmt.Sprintf("%s-%d-%s.png", name, p.looks, time.Now().Format("150405"))), image, 0o600)
			}
		}
		if err != nil {
			p.t.Errorf("a picture: %v", err)
		}
	}
}
