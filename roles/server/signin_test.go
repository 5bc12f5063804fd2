package server_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"aspects-poc/roles/internal/browsertest"
	"aspects-poc/roles/serverapi"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
)

// A person sits before a browser, and types the next of her passwords when it asks for one.
type person struct {
	mu        sync.Mutex // guards the fields below
	passwords []string
	asked     []fetch.AuthChallenge
}

// sitDown has somebody answer a browser's questions for a name and a password.
func sitDown(t *testing.T, ctx context.Context, passwords ...string) *person {
	t.Helper()
	p := &person{passwords: passwords}
	// Of its own context, with room: events must not be answered where they are told.
	todo := make(chan func(context.Context, *chromedp.Target) error, 1000)
	err := chromedp.Listen(ctx, func(event any) {
		switch event := event.(type) {
		case *fetch.EventRequestPaused:
			todo <- func(ctx context.Context, target *chromedp.Target) error {
				_, err := cdp.Call(ctx, target, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: event.RequestID})
				return err
			}
		case *fetch.EventAuthRequired:
			todo <- func(ctx context.Context, target *chromedp.Target) error {
				_, err := cdp.Call(ctx, target, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{
					RequestID: event.RequestID, AuthChallengeResponse: p.answer(event.AuthChallenge)})
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}

	go func() {

		for {
			select {
			case do := <-todo:
				// Requests that the page has given up meanwhile cannot be continued, and need not.
				_ = chromedp.Do(ctx, chromedp.Func(do))
			case <-ctx.Done():
				return
			}
		}
	}()
	yes := true
	enable := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, fetch.Enable, fetch.EnableParams{HandleAuthRequests: &yes})
		return err
	})
	if err := chromedp.Do(ctx, enable); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *person) answer(challenge *fetch.AuthChallenge) *fetch.AuthChallengeResponse {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, *challenge)
	if len(p.passwords) == 0 {
		return &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseCancelAuth}
	}
	password := p.passwords[0]
	p.passwords = p.passwords[1:]
	return &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseProvideCredentials,
		Username: "anybody", Password: password}
}

func (p *person) questions() []fetch.AuthChallenge {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]fetch.AuthChallenge(nil), p.asked...)
}

// TestSignIn opens the fleet page in a real browser where operators need a token: the browser asks, takes no wrong one,
// shows the fleet, live, with a token that may only read, which changes no target; one that may write does.
func TestSignIn(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, append(unsigned, "--state", state, "--listen", "127.0.0.1:0", "--target-schema", "none")...)
	device, err := client(t, started.url).Register(t.Context(),
		serverapi.RegisterRequest{IPAddress: "192.0.2.1", Arch: "arm64", PublicKeyRSA: "PEM"})
	if err != nil {
		t.Fatal(err)
	}
	reads := createToken(t, state, "wall-screen", "--read-only")
	writes := createToken(t, state, "anna")
	put := func(t *testing.T, ctx context.Context) int {
		t.Helper()
		status := browsertest.Ask(t, ctx, chromedp.Evaluate[int](`fetch("/target-config/", {method: "PUT",
			headers: {"Content-Type": "application/json"}, body: '{"config":{"a":1}}'}).then(answer => answer.status)`,
			chromedp.EvalAwaitPromise))
		return status
	}
	visit := func(t *testing.T, passwords ...string) (context.Context, *person) {
		t.Helper()
		ctx, watch := browsertest.Open(t, started.url)
		person := sitDown(t, ctx, passwords...)
		if err := chromedp.Do(ctx, chromedp.Navigate(started.url+"/page/devices/"), chromedp.WaitVisible(chromedp.CSS("#live.on"))); err != nil {
			t.Fatalf("%v; asked %v, seen so far: %v", err, person.questions(), watch.Trouble())
		}
		return ctx, person
	}
	t.Run("read-only", func(t *testing.T) {
		ctx, person := visit(t, "not a token", reads)
		asked := person.questions()
		if len(asked) != 2 || asked[0].Scheme != "basic" || !strings.Contains(asked[0].Realm, "token as password") {
			t.Errorf("the browser was asked %+v", asked)
		}
		row := fmt.Sprintf(`document.querySelector("#device-%s") !== null`, device.UUID)
		if !browsertest.Ask(t, ctx, chromedp.Evaluate[bool](row)) {
			t.Error("the device is not shown")
		}
		if status := put(t, ctx); status != 403 {
			t.Errorf("a token that may only read changes a target: %d", status)
		}
	})
	t.Run("read-write", func(t *testing.T) {
		ctx, _ := visit(t, writes)
		if status := put(t, ctx); status != 200 {
			t.Errorf("a token that may write is answered %d", status)
		}
		history := browsertest.Ask(t, ctx, chromedp.Evaluate[string](`fetch("/history/").then(answer => answer.text())`,
			chromedp.EvalAwaitPromise))
		if !strings.Contains(history, `"anna"`) || strings.Contains(history, "anybody") {
			t.Errorf("the history is %s", history)
		}
	})
	t.Run("without a token", func(t *testing.T) {
		ctx, _ := browsertest.Open(t, started.url)
		person := sitDown(t, ctx)
		_ = chromedp.Do(ctx, chromedp.Navigate(started.url+"/")) // what the browser makes of a refusal is its own
		text := browsertest.Ask(t, ctx, chromedp.Evaluate[string](`document.documentElement.outerHTML`))
		if len(person.questions()) != 1 || strings.Contains(text, device.UUID.String()) || strings.Contains(text, "192.0.2.1") {
			t.Errorf("asked %d times, and shown %s", len(person.questions()), text)
		}
	})
}
