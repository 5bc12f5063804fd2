package serverapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var device = uuid.MustParse("ca155b32-2472-4650-afb0-c6f967328afe")

// answering starts a server that notes each request and gives the same answer to all.
func answering(t *testing.T, status int, header http.Header, body string) (*serverapi.Client, *[]string) {
	t.Helper()
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen = append(seen, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(content)))
		if r.Method != http.MethodGet && r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("content type %q", r.Header.Get("Content-Type"))
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		if _, err := io.WriteString(w, body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	client, err := serverapi.NewClient(server.URL+"/", serverapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client, &seen
}

func TestParseURL(t *testing.T) {
	for _, test := range []struct{ in, want, wantErr string }{
		{in: "http://127.0.0.1:8000", want: "http://127.0.0.1:8000"},
		{in: "https://fleet.example/api/", want: "https://fleet.example/api"},
		{in: "http://[::1]:8000/", want: "http://[::1]:8000"},
		{in: "", wantErr: `cannot use "" as server URL: it must begin with "http://" or "https://"`},
		{in: "127.0.0.1:8000", wantErr: `cannot use "127.0.0.1:8000" as server URL: first path segment in URL cannot contain colon`},
		{in: "ftp://x", wantErr: `cannot use "ftp://x" as server URL: it must begin with "http://" or "https://"`},
		{in: "http://", wantErr: `cannot use "http://" as server URL: it names no host`},
		{in: "http://:80", wantErr: `cannot use "http://:80" as server URL: it names no host`},
		{in: "http://u:p@x", wantErr: `cannot use "http://u:p@x" as server URL: it must not carry a user name or password`},
		{in: "http://x/?a=b", wantErr: `cannot use "http://x/?a=b" as server URL: it must not have a part after "?" or "#"`},
		{in: "http://x:port", wantErr: `cannot use "http://x:port" as server URL: invalid port ":port" after host`},
	} {
		got, err := serverapi.ParseURL(test.in)
		if got != test.want || fmt.Sprint(err) != cmpErr(test.wantErr) {
			t.Errorf("ParseURL(%q) = %q, %v; want %q, %s", test.in, got, err, test.want, cmpErr(test.wantErr))
		}
	}
}

func cmpErr(want string) string {
	if want == "" {
		return "<nil>"
	}
	return want
}

func TestRegister(t *testing.T) {
	client, seen := answering(t, 200, nil, `{"uuid":"ca155b32-2472-4650-afb0-c6f967328afe","registered":1719407517,
		"ip-address":"192.0.2.7","public-key-rsa":"PEM","arch":"amd64"}`)
	request := serverapi.RegisterRequest{IPAddress: "192.0.2.7", PublicKeyRSA: "PEM", Arch: "amd64"}
	got, err := client.Register(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	want := serverapi.RegisterResponse{UUID: device, Registered: 1719407517, RegisterRequest: request}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantSeen := []string{`POST /register/ {"ip-address":"192.0.2.7","public-key-rsa":"PEM","arch":"amd64"}`}
	if diff := cmp.Diff(wantSeen, *seen); diff != "" {
		t.Error(diff)
	}
}

func TestPoll(t *testing.T) {
	t.Run("target", func(t *testing.T) {
		header := http.Header{"Poll-Interval": {"60"}, "Date": {"Wed, 26 Jun 2024 13:11:57 GMT"}}
		client, seen := answering(t, 200, header,
			`{"config":{"a":{"n":9007199254740993,"gone":null}},"revision":5,"hash":"sha-256=x"}`)
		got, err := client.Poll(t.Context(), serverapi.PollRequest{UUID: device}, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := serverapi.PollAnswer{
			Offer: &serverapi.Offer{
				Config:   serverapi.Config{"a": map[string]any{"n": json.Number("9007199254740993"), "gone": nil}},
				Revision: 5, Hash: "sha-256=x",
			},
			Interval: time.Minute,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		wantSeen := []string{`POST /poll/ {"uuid":"ca155b32-2472-4650-afb0-c6f967328afe","config":{}}`}
		if diff := cmp.Diff(wantSeen, *seen); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("nothing to do", func(t *testing.T) {
		client, seen := answering(t, 204, http.Header{"Preference-Applied": {"wait=30"}}, "")
		request := serverapi.PollRequest{
			UUID: device, Config: serverapi.Config{"a": "<&>"},
			Report: &serverapi.Report{
				Sequence:  17,
				Running:   &serverapi.Running{Revision: 4, Hash: "sha-256=x"},
				Attempted: &serverapi.Attempted{Revision: 5, Outcome: serverapi.Refused, Path: "a.b", Reason: "no", At: 7},
				Stats:     &serverapi.Stats{At: 8, Packets: map[string]serverapi.Packets{"eth0": {Sent: 1, Received: 2}}, Peers: new(int64(3))},
			},
		}
		got, err := client.Poll(t.Context(), request, 45*time.Second)
		if err != nil || got.Offer != nil || got.Waited != 30*time.Second || got.Interval != 0 {
			t.Fatal(got, err)
		}
		wantSeen := []string{`POST /poll/ {"uuid":"ca155b32-2472-4650-afb0-c6f967328afe","config":{"a":"<&>"},` +
			`"report":{"sequence":17,"running":{"revision":4,"hash":"sha-256=x"},` +
			`"attempted":{"revision":5,"outcome":"refused","path":"a.b","reason":"no","at":7},` +
			`"stats":{"at":8,"packets":{"eth0":{"sent":1,"received":2}},"peers":3}}}`}
		if diff := cmp.Diff(wantSeen, *seen); diff != "" {
			t.Error(diff)
		}
	})
}

// TestHash compares with what sha256sum says of the canonical form, written out by hand.
func TestHash(t *testing.T) {
	const empty = "sha-256=RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=" // of {}
	for _, test := range []struct {
		config serverapi.Config
		want   string
	}{
		{nil, empty},
		{serverapi.Config{}, empty},
		{serverapi.Config{"b": json.Number("1.50"), "a": []any{nil, "<é>"}}, "sha-256=kT4AHlQ29Dn3EbKg31kDSh5xvsZuYb21Qh6SQOe70Og="},
		{serverapi.Config{"a": []any{nil, "<é>"}, "b": 1.5}, "sha-256=kT4AHlQ29Dn3EbKg31kDSh5xvsZuYb21Qh6SQOe70Og="},
	} {
		if got, err := test.config.Hash(); err != nil || got != test.want {
			t.Errorf("%v: %s, %v; want %s", test.config, got, err, test.want)
		}
	}
	if got, err := serverapi.HashJSON([]byte(`{"a":`)); err == nil {
		t.Error(got)
	}
}

func TestTargetAndState(t *testing.T) {
	client, seen := answering(t, 200, nil, `{"config":{"a":1},"registered":5,"arch":"arm64"}`)
	target, err := client.Target(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set, err := client.SetTarget(t.Context(), serverapi.Config{"a": "<&>"})
	if err != nil {
		t.Fatal(err)
	}
	state, err := client.State(t.Context(), device)
	if err != nil {
		t.Fatal(err)
	}
	want := serverapi.Config{"a": json.Number("1")}
	if diff := cmp.Diff([]any{want, want, want, int64(5), "arm64"},
		[]any{target, set, state.Config, state.Registered, state.Arch}); diff != "" {
		t.Error(diff)
	}
	wantSeen := []string{
		`GET /target-config/`,
		`PUT /target-config/ {"config":{"a":"<&>"}}`,
		`GET /state/ca155b32-2472-4650-afb0-c6f967328afe/`,
	}
	if diff := cmp.Diff(wantSeen, *seen); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name, body    string
		status        int
		header        http.Header
		wantText      string // after "cannot poll: URL answers "
		wantAfter     time.Duration
		notRegistered bool
		temporary     bool
	}{{
		name: "unknown device", status: 400, body: `{"detail":"Agent not registered"}`,
		wantText: "400 Bad Request: Agent not registered", notRegistered: true,
	}, {
		name: "another 400", status: 400, body: `{"detail":"the body is not JSON"}`,
		wantText: "400 Bad Request: the body is not JSON",
	}, {
		name: "fields", status: 422,
		body:     `{"detail":"no","errors":[{"field":"a","message":"is missing"},{"field":"b","message":"is odd"}]}`,
		wantText: "422 Unprocessable Entity: no: a: is missing; b: is odd",
	}, {
		name: "list of the original", status: 422, body: `{"detail":[{"loc":["body"]}]}`,
		wantText: `422 Unprocessable Entity: [{"loc":["body"]}]`,
	}, {
		name: "a proxy's page", status: 502, body: `<html>`, wantText: "502 Bad Gateway", temporary: true,
	}, {
		name: "seconds", status: 503, header: http.Header{"Retry-After": {"120"}}, body: `{}`,
		wantText: "503 Service Unavailable", wantAfter: 2 * time.Minute, temporary: true,
	}, {
		name: "date", status: 429, body: `[]`,
		header:   http.Header{"Retry-After": {"Wed, 21 Oct 2015 07:28:30 GMT"}, "Date": {"Wed, 21 Oct 2015 07:28:00 GMT"}},
		wantText: "429 Too Many Requests", wantAfter: 30 * time.Second, temporary: true,
	}, {
		name: "84 years", status: 503, header: http.Header{"Retry-After": {"2147483647"}}, body: `{}`,
		wantText: "503 Service Unavailable", wantAfter: time.Hour, temporary: true,
	}, {
		name: "more seconds than there are", status: 503, header: http.Header{"Retry-After": {"99999999999999999999"}}, body: `{}`,
		wantText: "503 Service Unavailable", wantAfter: time.Hour, temporary: true,
	}, {
		name: "the year 9999", status: 503,
		header:   http.Header{"Retry-After": {"Fri, 31 Dec 9999 23:59:59 GMT"}, "Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}},
		wantText: "503 Service Unavailable", wantAfter: time.Hour, temporary: true,
	}, {
		name: "a date of before", status: 503,
		header:   http.Header{"Retry-After": {"Thu, 01 Jan 1970 00:00:00 GMT"}, "Date": {"Fri, 31 Dec 9999 23:59:59 GMT"}},
		wantText: "503 Service Unavailable", temporary: true,
	}, {
		name: "a long text", status: 400, body: `{"detail":"` + strings.Repeat("ä", 600) + `"}`,
		wantText: "400 Bad Request: " + strings.Repeat("ä", 500) + "…",
	}, {
		name: "larger than a refusal is", status: 400, body: `{"detail":"` + strings.Repeat("x", 70_000) + `"}`,
		wantText: "400 Bad Request",
	}, {
		name: "deep", status: 400, body: `{"detail":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`,
		wantText: "400 Bad Request",
	}, {
		name: "nonsense", status: 503, header: http.Header{"Retry-After": {"soon"}}, body: ``,
		wantText: "503 Service Unavailable", temporary: true,
	}} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := answering(t, test.status, test.header, test.body)
			_, err := client.Poll(t.Context(), serverapi.PollRequest{UUID: device}, 0)
			var refused *serverapi.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			if want := "cannot poll: " + client.URL() + " answers " + test.wantText; err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
			got := []any{refused.Status, refused.RetryAfter, serverapi.IsNotRegistered(err), refused.Temporary()}
			want := []any{test.status, test.wantAfter, test.notRegistered, test.temporary}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What no fleet server answers is refused before it is decoded, in a text that does not repeat it.
func TestHostileAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"deep objects": `{"config":{"a":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000) + `},"revision":1}`,
		"deep lists":   `{"config":{"a":` + strings.Repeat("[", 2_000_000) + strings.Repeat("]", 2_000_000) + `},"revision":1}`,
		"many values":  `{"config":{"a":[0` + strings.Repeat(",0", 200_000) + `]},"revision":1}`,
		"a name twice": `{"config":{},"` + strings.Repeat("x", 5000) + `":1,"` + strings.Repeat("x", 5000) + `":1}`,
		"two targets":  `{"config":{},"config":{"a":1},"revision":1}`,
		"too large":    `{"config":{"a":"` + strings.Repeat("x", 17<<20) + `"}}`,
		"no UTF-8":     `{"config":{"a":"` + "\xff" + `"}}`,
		"no number":    `{"config":{"a":NaN}}`,
		"more":         `{"config":{}}{}`,
		"a list":       `[]`,
		"another type": `{"config":7}`,
		"nothing":      ``,
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := answering(t, 200, nil, body)
			answer, err := client.Poll(t.Context(), serverapi.PollRequest{UUID: device}, 0)
			if err == nil || !strings.Contains(err.Error(), "is not a fleet server's") {
				t.Fatal(answer, err)
			}
			if len(err.Error()) > 1500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
	for name, registered := range map[string]string{
		"at 1970": "602", "before 1970": "-5", "in 285 million years": "9007199254740991", "never": "0",
	} {
		t.Run("registered "+name, func(t *testing.T) {
			client, _ := answering(t, 200, nil, `{"uuid":"`+device.String()+`","registered":`+registered+`}`)
			_, err := client.Register(t.Context(), serverapi.RegisterRequest{})
			if err == nil || !strings.Contains(err.Error(), "the clock of "+client.URL()+" is wrong") {
				t.Error(err)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	var reached []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached = append(reached, r.URL.Path) }))
	defer other.Close()
	for to, want := range map[string]string{
		other.URL:                 "redirects to " + other.URL + ", which is another server",
		"https://fleet.example":   "redirects to https://fleet.example, which is another server",
		"http://captive.portal:1": "redirects to http://captive.portal:1, which is another server",
		"":                        "redirects more than 3 times", // itself
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			client, seen := answering(t, status, http.Header{"Location": {to + "/poll/"}}, "")
			_, err := client.Register(t.Context(), serverapi.RegisterRequest{EnrolmentToken: "a token"})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d to %q: got %v, want %s", status, to, err, want)
			}
			if to != "" && len(*seen) != 1 {
				t.Errorf("%d to %q: %d requests", status, to, len(*seen))
			}
		}
	}
	if len(reached) > 0 {
		t.Errorf("the other server got %q", reached)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Run("nobody there", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		client, err := serverapi.NewClient(server.URL, serverapi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		server.Close()
		_, err = client.Target(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), "cannot get the target: no answer from "+client.URL()+": ") {
			t.Fatal(err)
		}
		var refused *serverapi.Error
		if errors.As(err, &refused) || serverapi.IsNotRegistered(err) {
			t.Error("taken for a refusal")
		}
	})
	t.Run("deadline", func(t *testing.T) {
		stop := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
		defer server.Close()
		defer close(stop)
		client, err := serverapi.NewClient(server.URL, serverapi.Options{Timeout: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = client.Target(t.Context()); !errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), client.URL()+" in time: ") {
			t.Error(err)
		}
	})
	for name, body := range map[string]string{"not JSON": "<html>", "another shape": `{"config":[]}`, "nothing": "",
		"more behind it": `{"config":{}}}`, "no config": "{}"} {
		t.Run(name, func(t *testing.T) {
			client, _ := answering(t, 200, nil, body)
			_, err := client.Target(t.Context())
			if err == nil || !strings.Contains(err.Error(), "is not a fleet server's") {
				t.Error(err)
			}
		})
	}
	t.Run("registration without uuid", func(t *testing.T) {
		client, _ := answering(t, 200, nil, "{}")
		if got, err := client.Register(t.Context(), serverapi.RegisterRequest{}); err == nil {
			t.Error(got)
		}
	})
}
