// Package faults puts a layer between a client and an imitated snapd. The layer records requests and lets a test
// answer, hold or lose them. Its main type is Layer.
//
//	layer := faults.Over(server.Handler())
//	layer.Intercept(faults.Lose(1, "GET /v2/confdb/", true))
//	layer.Await(0, func(r faults.Request) bool { return r.Method == "PUT" })
//
// Package machine has the faults inside snapd, such as transactions that wait or fail.
package faults

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A Request is a recorded request.
type Request struct {
	Method, URI string
	Type        string // Content-Type of the body
	Body        []byte
}

// String returns METHOD and URI.
func (r Request) String() string { return r.Method + " " + r.URI }

// An Interceptor runs before each request and returns whether it has answered. It may call serve, and it may panic
// with http.ErrAbortHandler to lose the connection.
type Interceptor func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool

// A Layer is an http.Handler on top of another one. Its methods are safe for concurrent use.
type Layer struct {
	below http.Handler

	mu        sync.Mutex // guards what follows
	arrived   *sync.Cond // signals a new request
	requests  []Request
	intercept Interceptor
}

// Over returns a Layer on top of a handler.
func Over(below http.Handler) *Layer {
	l := &Layer{below: below}
	l.arrived = sync.NewCond(&l.mu)
	return l
}

// Intercept sets the Interceptor; nil removes it.
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

// Reset clears the recorded requests.
func (l *Layer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = nil
}

// Await waits for a request that matches, ignoring the first skip requests.
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
		panic(http.ErrAbortHandler) // the client is gone
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

// Lose returns an Interceptor that loses the connections of requests whose "METHOD PATH" begins with prefix. It does
// so the given number of times, or always if negative. If carriedOut is true, the request is served first.
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
