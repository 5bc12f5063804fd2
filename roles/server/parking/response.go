package parking

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// A response collects an answer. It is an http.ResponseWriter.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
	parked *Parked
	later  bool // parked again, so that there is no answer yet
}

// Header implements http.ResponseWriter.
func (r *response) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

// WriteHeader implements http.ResponseWriter.
func (r *response) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write implements io.Writer.
func (r *response) Write(text []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(text)
}

// http returns the whole answer in a minor version of HTTP/1. If last is true, the connection is closed afterwards.
func (r *response) http(minor int, last bool) *http.Response {
	r.WriteHeader(http.StatusOK)
	if r.Header().Get("Date") == "" {
		r.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return &http.Response{StatusCode: r.status, ProtoMajor: 1, ProtoMinor: minor, Header: r.header, ContentLength: int64(r.body.Len()),
		Body: io.NopCloser(&r.body), Close: last}
}

// SetReadDeadline and SetWriteDeadline serve http.ResponseController. They do nothing: the lot has its own deadlines.
func (r *response) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (r *response) SetWriteDeadline(time.Time) error { return nil }
