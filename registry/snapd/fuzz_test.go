package snapd_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/internal/machine"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/snapd"
)

// FuzzGet: for any answers of a server to a read and its change, Get returns values or an error, and only values that were
// requested.
func FuzzGet(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"type":"sync","result":{"sample-rate":3}}`, ``},
		{`{"type":"sync","result":{"other":3}}`, ``},
		{`{"type":"sync","result":null}`, ``},
		{`{"type":"async","change":"5","result":null}`, `{"type":"sync","result":{"id":"5","ready":true,"status":"Done","data":{"values":{"sample-rate":1}}}}`},
		{`{"type":"async","change":"5","result":null}`, `{"type":"sync","result":{"id":"5","ready":true,"status":"Done","data":{"confdb-error":"x: no data"}}}`},
		{`{"type":"async","change":"5","result":null}`, `{"type":"sync","result":{"id":"5","ready":true,"status":"Done"}}`},
		{`{"type":"async","change":"../x"}`, `{"type":"error","result":{"message":"not found"}}`},
		{`{"type":"error","result":{"message":"not found"}}`, `x`},
		{`{"type":"error","status-code":500,"result":{"message":"cannot read A: timed out waiting for access"}}`, ``},
		{``, ``},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	var mu sync.Mutex // guards the two answers
	var view, change []byte
	m := machine.Start(f, machine.Options{})
	m.Main.Intercept(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case strings.HasPrefix(r.URL.Path, "/v2/confdb/"):
			_, _ = w.Write(view)
		case strings.HasPrefix(r.URL.Path, "/v2/changes/"):
			_, _ = w.Write(change)
		default:
			return false
		}
		return true
	})
	b, err := snapd.Open(f.Context(), snapd.Options{Socket: m.Socket(), AccessTimeout: time.Millisecond})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = b.Close() })
	f.Fuzz(func(t *testing.T, first, second []byte) {
		mu.Lock()
		view, change = first, second
		mu.Unlock()
		for _, requests := range [][]string{nil, {"sample-rate"}} {
			// A change that never ends is waited for.
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			values, err := b.Get(ctx, telemetry, requests, backend.GetOptions{})
			if (len(values) > 0) == (err != nil) {
				t.Errorf("values %v, error %v", values, err)
			}
			if _, found := values["sample-rate"]; requests != nil && err == nil && (!found || len(values) != 1) {
				t.Errorf("asked for sample-rate, got %v", values)
			}
		}
	})
}
