package rest_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/machine/testclient"
)

func notices(t *testing.T, m *machine, query string) []any {
	t.Helper()
	status, answer := testclient.Send(t, m.client, "GET /v2/notices"+query, nil)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %v", query, status, answer)
	}
	return answer["result"].([]any)
}

func TestNotices(t *testing.T) {
	t.Parallel()
	m := serve(t, setup{})
	if list := notices(t, m, ""); len(list) != 0 {
		t.Errorf("before anything has happened: %v", list)
	}
	m.put(t, "control-telemetry", map[string]any{"sample-rate": 3.0})
	m.put(t, "control-telemetry", map[string]any{"sample-rate": 4.0})
	list := notices(t, m, "?types=change-update&keys=2")
	if len(list) != 1 {
		t.Fatalf("of change 2: %v", list)
	}
	notice := list[0].(map[string]any)
	after := notice["last-repeated"].(string)
	for _, member := range []string{"first-occurred", "last-occurred", "last-repeated"} {
		if _, err := time.Parse(time.RFC3339Nano, notice[member].(string)); err != nil {
			t.Errorf("%s: %v", member, err)
		}
		delete(notice, member)
	}
	if notice["occurrences"].(float64) < 2 {
		t.Errorf("it occurred %v times; it began and it ended", notice["occurrences"])
	}
	delete(notice, "occurrences")
	want := map[string]any{"id": notice["id"], "user-id": nil, "type": "change-update", "key": "2", "expire-after": "168h0m0s",
		"last-data": map[string]any{"kind": "set-confdb"}}
	if diff := cmp.Diff(want, notice); diff != "" {
		t.Errorf("notice (-want +got):\n%s", diff)
	}
	status, answer := testclient.Send(t, m.client, "GET /v2/notices/"+notice["id"].(string), nil)
	if status != http.StatusOK || answer["result"].(map[string]any)["key"] != "2" {
		t.Errorf("by its ID: %d %v", status, answer)
	}
	if list := notices(t, m, "?after="+url.QueryEscape(after)); len(list) != 0 {
		t.Errorf("after the last one: %v", list)
	}
	if list := notices(t, m, "?types=nosuch&timeout=1h"); len(list) != 0 {
		t.Errorf("of a type that does not exist: %v", list)
	}

	// One that waits is told of what comes.
	told := make(chan []any, 1)
	go func() { told <- notices(t, m, "?timeout=1h&after="+url.QueryEscape(after)) }()
	m.put(t, "control-telemetry", map[string]any{"sample-rate": 5.0})
	if list := <-told; len(list) == 0 || list[0].(map[string]any)["key"] != "3" {
		t.Errorf("who waited was told %v", list)
	}
	if list := notices(t, m, "?timeout=1ms&keys=99"); len(list) != 0 {
		t.Errorf("when time was up: %v", list)
	}
}

// A read that waits for its turn, and a wait for notices without a timeout, end when the server ends.
func TestShutdownEndsWaiting(t *testing.T) {
	t.Parallel()
	w, err := world.Open("", changes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	server, err := rest.New(rest.Options{World: w})
	if err != nil {
		t.Fatal(err)
	}
	socket := t.TempDir() + "/s"
	listener, err := rest.Listen(socket)
	if err != nil {
		t.Skip(err) // the path of a test's folder can be too long for a socket
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener, nil) }()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://localhost/v2/notices?timeout=1h", nil)
		response, err := testclient.New(socket).Do(r)
		if err == nil {
			_ = response.Body.Close()
		}
	}()
	if _, err := rest.Listen(socket); err == nil {
		t.Error("two listen on one socket")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-asked
}
