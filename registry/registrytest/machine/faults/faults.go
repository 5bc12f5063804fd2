// Package faults stands between a client and an imitated snapd. It records requests, and lets a test answer, hold or lose
// them.
//
//	layer := faults.Over(server.Handler())
//	layer.Intercept(faults.Lose(1, "GET /v2/confdb/", true))
//	layer.Await(0, func(r faults.Request) bool { return r.Method == "PUT" })
//
// What happens to a transaction inside of snapd is not its business: package machine holds and fails those.
package faults

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A Request is one that has come in.
type Request struct {
	Method, URI string
	Type        string // of the body
	Body        []byte
}

// String returns METHOD and URI.
func (r Request) String() string { return r.Method + " " + r.URI }

// An Interceptor is asked before a request is served; true means that it has answered. It may call serve, and panic with
// http.ErrAbortHandler to lose the connection.
type Interceptor func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool

// A Layer is an http.Handler over another one. Its methods are safe for concurrent use.
type Layer struct {
	below http.Handler

	mu        sync.Mutex // guards what follows
	arrived   *sync.Cond // of another request
	requests  []Request
	intercept Interceptor
}

// Over returns a layer over a handler.
func Over(below http.Handler) *Layer {
	l := &Layer{below: below}
	l.arrived = sync.NewCond(&l.mu)
	return l
}

// Intercept sets who is asked before each request; nil: nobody.
func (l *Layer) Intercept(by Interceptor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.intercept = by
}

// Requests returns the requests since the beginning or the last Reset.
func (l *Layer) Requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// Reset forgets the requests so far.
func (l *Layer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = nil
}

// Await waits until a request has come in that matches, not counting the first skip requests.
func (l *Layer) Await(skip int, match func(Request) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !slices.ContainsFunc(l.requests[skip:], match) {
		l.arrived.Wait()
	}
}

func (l *Layer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	l.mu.Lock()
	l.requests = append(l.requests, Request{Method: r.Method, URI: r.URL.RequestURI(), Type: r.Header.Get("Content-Type"), Body: text})
	l.arrived.Broadcast()
	intercept := l.intercept
	l.mu.Unlock()
	if intercept == nil || !intercept(w, r, l.below.ServeHTTP) {
		l.below.ServeHTTP(w, r)
	}
}

// Lose makes the next requests whose METHOD and path have a prefix lose their connection, after they were carried out or
// instead. A negative number means all of them.
func Lose(times int, prefix string, carriedOut bool) Interceptor {
	var mu sync.Mutex
	return func(_ http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool {
		mu.Lock()
		defer mu.Unlock()
		if times == 0 || !strings.HasPrefix(r.Method+" "+r.URL.Path, prefix) {
			return false
		}
		times--
		if carriedOut {
			serve(discard{}, r)
		}
		panic(http.ErrAbortHandler)
	}
}

type discard struct{}

func (discard) Header() http.Header            { return http.Header{} }
func (discard) Write(text []byte) (int, error) { return len(text), nil }
func (discard) WriteHeader(int)                {}
