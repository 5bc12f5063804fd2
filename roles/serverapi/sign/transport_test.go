package sign_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"
)

// A strict server takes requests of its own time only, and counts those that came.
type strict struct {
	t       *testing.T
	clock   time.Time
	kind    string // of the refusal
	date    string // "" means the clock's
	decline bool   // refuses whatever comes
	came    atomic.Int64
}

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.came.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	input, err := sign.ParseInput(r.Header)
	if err != nil {
		s.t.Error(err)
		return
	}
	base, err := sign.Received(r).Base(input)
	if err != nil {
		s.t.Error(err)
		return
	}
	if err := sign.Verify(&key().PublicKey, base, input.Signature); err != nil {
		s.t.Errorf("%v over\n%s", err, base)
	}
	if r.Header.Get(sign.DigestHeader) != sign.Digest(body) {
		s.t.Errorf("the digest is not that of %q", body)
	}
	w.Header().Set("Date", s.clock.UTC().Format(http.TimeFormat))
	if s.date != "" {
		w.Header().Set("Date", s.date)
	}
	if !s.decline && input.Created.Sub(s.clock).Abs() < 5*time.Minute {
		_, _ = io.WriteString(w, "fine")
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(serverapi.Problem{Type: s.kind, Status: 401, Detail: "too late"})
}

func TestTransportLearnsTheClock(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name    string
		device  time.Time // the device's clock
		server  *strict
		want    string
		came    int64
		learned time.Duration
	}{
		{"right", now, &strict{clock: now}, "fine", 1, 0},
		{"an hour ahead", now.Add(time.Hour), &strict{clock: now, kind: serverapi.ProblemClock}, "fine", 2, -time.Hour},
		{"born in 1970", time.Unix(100, 0), &strict{clock: now, kind: serverapi.ProblemClock}, "fine", 2,
			now.Sub(time.Unix(100, 0))},
		{"refused all the same", time.Unix(100, 0), &strict{clock: now, kind: serverapi.ProblemClock, decline: true},
			"too late", 2, now.Sub(time.Unix(100, 0))},
		{"another refusal", time.Unix(100, 0), &strict{clock: now, kind: serverapi.ProblemSignature}, "too late", 1, 0},
		{"no date", time.Unix(100, 0), &strict{clock: now, kind: serverapi.ProblemClock, date: "yesterday"}, "too late", 1, 0},
		{"a date that cannot be", now, &strict{clock: time.Unix(1, 0), kind: serverapi.ProblemClock}, "too late", 1, 0},
		{"a date too far ahead", now, &strict{clock: now.AddDate(100, 0, 0), kind: serverapi.ProblemClock}, "too late", 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.server.t = t
			started := httptest.NewServer(test.server)
			defer started.Close()
			transport := sign.NewTransport(newSigner(t), sign.Options{Now: func() time.Time { return test.device }})
			defer transport.CloseIdleConnections()
			client := http.Client{Transport: transport}
			for again, came := range []int64{test.came, test.came + 1} {
				if test.want != "fine" && again > 0 {
					break
				}
				response, err := client.Post(started.URL+"/poll/", "application/json", strings.NewReader(`{"a":1}`))
				if err != nil {
					t.Fatal(err)
				}
				content, err := io.ReadAll(response.Body)
				if err := response.Body.Close(); err != nil {
					t.Fatal(err)
				}
				if err != nil || !strings.Contains(string(content), test.want) {
					t.Errorf("answer %q, %v", content, err)
				}
				if got := test.server.came.Load(); got != came {
					t.Errorf("the server saw %d requests, want %d", got, came)
				}
			}
			if got := transport.Offset(); got != test.learned {
				t.Errorf("learned %s, want %s", got, test.learned)
			}
		})
	}
}

// A redirection is another path, and needs another signature.
func TestTransportSignsRedirections(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	checked := &strict{t: t, clock: now}
	mux := http.NewServeMux()
	mux.Handle("/poll/", checked)
	mux.HandleFunc("/poll", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/poll/", http.StatusTemporaryRedirect)
	})
	started := httptest.NewServer(mux)
	defer started.Close()
	transport := sign.NewTransport(newSigner(t), sign.Options{Now: func() time.Time { return now }})
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	response, err := client.Post(started.URL+"/poll", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK || checked.came.Load() != 1 {
		t.Errorf("%s, %v, %d requests", response.Status, err, checked.came.Load())
	}
}

// A client of the fleet server whose requests are signed.
func ExampleTransport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		input, err := sign.ParseInput(r.Header)
		fmt.Println(input.Components, err)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	signer, err := sign.NewSigner(key())
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := serverapi.NewClient(server.URL, serverapi.Options{Transport: sign.NewTransport(signer, sign.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := client.Poll(context.Background(), serverapi.PollRequest{}, 0)
	fmt.Println(answer.Offer, err)
	// Output:
	// [@method @authority @path content-digest] <nil>
	// <nil> <nil>
}
