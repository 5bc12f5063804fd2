package faults_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"aspects-poc/internal/machine/faults"
)

func TestLayer(t *testing.T) {
	var served atomic.Int32
	layer := faults.Over(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		text, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, text)
	}))
	server := httptest.NewServer(layer)
	t.Cleanup(server.Close)
	put := func(path, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(r)
		if err != nil {
			return "lost"
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	expect := func(got, want string, wantServed int32) {
		t.Helper()
		if got != want || served.Load() != wantServed {
			t.Errorf("answered %q, served %d, want %q, %d", got, served.Load(), want, wantServed)
		}
	}
	expect(put("/a?x=y", "1"), "/a 1", 1)
	layer.Intercept(faults.Lose(1, "PUT /a", true))
	expect(put("/a", "2"), "lost", 2)
	expect(put("/a", "3"), "/a 3", 3)
	layer.Intercept(faults.Lose(-1, "PUT /a", false))
	expect(put("/a", "4"), "lost", 3)
	expect(put("/a", "5"), "lost", 3)
	expect(put("/b", "6"), "/b 6", 4)
	layer.Intercept(func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) bool {
		_, _ = io.WriteString(w, "mine")
		return true
	})
	expect(put("/a", "7"), "mine", 4)

	var all []string
	for _, r := range layer.Requests() {
		all = append(all, r.String()+" "+string(r.Body))
	}
	want := "PUT /a?x=y 1, PUT /a 2, PUT /a 3, PUT /a 4, PUT /a 5, PUT /b 6, PUT /a 7"
	if got := strings.Join(all, ", "); got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
	layer.Reset()
	arrived := make(chan struct{})
	go func() {
		defer close(arrived)
		layer.Await(0, func(r faults.Request) bool { return r.URI == "/late" })
	}()
	put("/late", "")
	<-arrived
}
