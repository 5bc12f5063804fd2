package api_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server/api"

	"github.com/google/go-cmp/cmp"
)

// TestWhatIsNotUnderstood sends each operation queries, bodies and conditions that it does not know: it refuses them, says
// what may have been meant, and nothing is changed.
func TestWhatIsNotUnderstood(t *testing.T) {
	base, _ := checking(t)
	device := registered(t, base, `{"site":"berlin"}`)
	const body = `{"config":{"control-telemetry":{"sample-rate":4}}}`
	const labels = `{"selector":"device.site=berlin","config":{"control-telemetry":{"sample-rate":5}}}`
	for path, body := range map[string]string{"/targets/everyone/": body, "/targets/labels/b/": labels, "/targets/devices/" + device + "/": body} {
		if got := call(t, base, "PUT", path, body); got.status != 200 {
			t.Fatal(got)
		}
	}
	seen := func() (all []string) {
		for _, path := range []string{"/devices/" + device + "/", "/devices/", "/targets/", "/history/"} {
			all = append(all, call(t, base, "GET", path, "").body)
		}
		return all
	}
	before := seen()
	flags := []string{"dry-run", "explain", "silent", "cloned", "manifest", "full"} // which need no value
	for _, row := range api.Routes() {
		path := strings.NewReplacer(":uuid", device, ":name", "b", ":revision", "1").Replace(row.Path)
		known := strings.Fields(row.Takes.Query)
		queries := []string{"?unknown", "?unknown=1", "?%ff=1", "?=1", "?%zz=1", "?dry-run:true", "?;", "?%7f", "?dry%00run=1"}
		for _, name := range known {
			queries = append(queries, "?"+name+"=a&"+name+"=b", "?"+name+"=%ff", "?"+name+"=%00", "?"+name+"=%z", "?"+strings.ToUpper(name)+"=1",
				"?"+name+"s=1", "?"+name+"&unknown")
			if !slices.Contains(flags, name) {
				queries = append(queries, "?"+name)
			}
		}
		for _, name := range flags {
			queries = append(queries, "?"+name+"=", "?"+name+"=yes", "?"+name+"=true;", "?"+name+"=true&"+name+"=false", "?"+name+"%20=true",
				"?"+name+"=true%20", "?"+name[:len(name)-1], "?"+strings.ReplaceAll(name, "-", "_"), "?%20"+name)
		}
		for _, query := range queries {
			if name := query[1:]; slices.Contains(flags, name) && slices.Contains(known, name) {
				continue // the name has no hyphen, so nothing is changed in it
			}
			sent := ""
			if row.Takes.Body {
				sent = body
			}
			if got := raw(t, base, row.Method, path+query, sent); got.status != 422 || !strings.Contains(got.body, `"errors"`) {
				t.Errorf("%s %s: %d %s", row.Method, path+query, got.status, got.body)
			}
		}
		if !row.Takes.Body && row.Method != "GET" {
			for _, sent := range []string{`{"dry-run":true}`, "dry-run", "[]", "\xff"} {
				if got := call(t, base, row.Method, path, sent); got.status != 422 || !strings.Contains(got.body, "takes none") {
					t.Errorf("%s %s with %s: %d %s", row.Method, path, sent, got.status, got.body)
				}
			}
		}
	}
	if diff := cmp.Diff(before, seen()); diff != "" {
		t.Error("what was refused has changed something:\n" + diff)
	}
	for query, want := range map[string]string{
		"/devices/?selektor=site=nowhere": "selektor is no parameter of this request; did you mean selector?",
		"/devices/?State=behind":          "State is no parameter of this request; did you mean state?",
		"/devices/?colour=red":            "colour is no parameter of this request; known are selector, state, silent, cloned, name, q, limit, after",
		"/summary/?x":                     "x is no parameter of this request; known are limit",
		"/targets/everyone/?x":            "x is no parameter of this request; it takes none",
		"/devices/?state=":                `state must be one of`,
		"/devices/?state=silent":          `silent devices, in whatever state, are chosen by silent=true`,
		"/devices/?limit=1&limit=1":       "limit stands twice in the query",
		"/devices/?q=%ff":                 `q must be text in UTF-8 without a character of code 0, not \"%ff\"`,
	} {
		if got := call(t, base, "GET", query, ""); got.status != 422 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s lacks %s", query, got.status, got.body, want)
		}
	}
	for _, query := range []string{"/devices/?silent&after=&q=&selector=&limit=1&", "/history/?before=", "/devices/?&&silent=1",
		"/devices/" + device + "/target/?explain"} {
		if got := call(t, base, "GET", query, ""); got.status != 200 {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

// raw is call with a target that package net/url may not take.
func raw(t *testing.T, base, method, target, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, base, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Path, request.URL.RawQuery, _ = strings.Cut(target, "?")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}

// TestDryRuns asks each operation that changes layers what it would do, in each way of asking.
func TestDryRuns(t *testing.T) {
	base, _ := checking(t)
	device := registered(t, base, `{"site":"berlin"}`)
	tried := 0
	for _, row := range api.Routes() {
		if row.Takes.Query != "dry-run" {
			continue
		}
		path := strings.NewReplacer(":uuid", device, ":name", "b").Replace(row.Path)
		body := ""
		if row.Method == "PUT" {
			body = `{"config":{"control-telemetry":{"sample-rate":7}}}`
			if strings.Contains(path, "/labels/") {
				body = `{"selector":"device.site=berlin","config":{"control-telemetry":{"sample-rate":8}}}`
			}
			if strings.Contains(path, "/secrets/") {
				call(t, base, "PUT", path, `{"value":"a"}`)
				call(t, base, "PUT", "/target-config/", `{"config":{"control-tunnel":{"secret-key":{"$secret":"b"}}}}`)
				body = `{"value":"b"}`
			}
		}
		for _, query := range []string{"?dry-run", "?dry-run=true", "?dry-run=1", "?dry%2Drun"} {
			before := call(t, base, "GET", "/targets/", "").body
			got := call(t, base, row.Method, path+query, body)
			if got.status != 200 || !strings.HasPrefix(got.body, `{"devices":1,"changes":[{"uuid":"`+device) || got.header.Get("ETag") != "" {
				t.Errorf("%s %s: %d %v %s", row.Method, path+query, got.status, got.header, got.body)
			}
			if after := call(t, base, "GET", "/targets/", "").body; after != before {
				t.Errorf("%s %s has changed %s to %s", row.Method, path+query, before, after)
			}
			tried++
		}
		if got := call(t, base, row.Method, path+"?dry-run=false", body); got.status != 200 && got.status != 204 {
			t.Errorf("%s %s: %d %s", row.Method, path, got.status, got.body)
		}
		if row.Path == "/target-config/" { // what follows is to make a difference
			call(t, base, "PUT", path, `{"config":{}}`)
		}
	}
	if tried != 32 {
		t.Errorf("%d were tried", tried)
	}
}

// TestHead asks with HEAD whatever answers to GET: the same status and headers come, and no body.
func TestHead(t *testing.T) {
	base, _ := checking(t)
	device := registered(t, base, `{"site":"berlin"}`)
	if got := call(t, base, "PUT", "/targets/labels/b/", `{"selector":"device.site","config":{}}`); got.status != 200 {
		t.Fatal(got)
	}
	call(t, base, "PUT", "/targets/devices/"+device+"/", `{"config":{}}`)
	for _, row := range api.Routes() {
		if row.Method != "GET" {
			continue
		}
		path := strings.NewReplacer(":uuid", device, ":name", "b", ":revision", "1").Replace(row.Path)
		head := call(t, base, "HEAD", path, "")
		if row.Path == "/events/" { // GET has no end
			if head.status != 200 || head.header.Get("Content-Type") != "text/event-stream" {
				t.Error(head)
			}
			continue
		}
		for _, path := range []string{path, path + "?unknown", strings.TrimSuffix(path, "/")} {
			get, head := call(t, base, "GET", path, ""), call(t, base, "HEAD", path, "")
			for _, header := range []http.Header{get.header, head.header} {
				header.Del("Date")
				header.Del("X-Request-Id")
				if get.status == http.StatusTemporaryRedirect {
					header.Del("Content-Length") // 0, which only an answer with a body knows
				}
			}
			if diff := cmp.Diff(get.header, head.header); get.status != head.status || head.body != "" || diff != "" {
				t.Errorf("%s: GET %d, HEAD %d %q, headers (-GET +HEAD):\n%s", path, get.status, head.status, head.body, diff)
			}
		}
	}
}

// TestOtherMethods has methods that a path does not know: the answer tells which it knows, and nothing panics.
func TestOtherMethods(t *testing.T) {
	var log rolestest.Buffer
	app := newServer(t, &log).Config.Handler
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"OPTIONS", "/devices/", 204, "OPTIONS, GET, HEAD"},
		{"OPTIONS", "/targets/everyone/", 204, "OPTIONS, DELETE, GET, HEAD, PUT"},
		{"OPTIONS", "/nothing", 404, ""},
		{"TRACE", "/devices/", 405, "OPTIONS, GET, HEAD"},
		{"POST", "/devices/", 405, "OPTIONS, GET, HEAD"},
		{"DELETE", "/healthz", 405, "OPTIONS, GET, HEAD"},
		{"HEAD", "/poll/", 405, "OPTIONS, POST"},
		{"PROPFIND", "/poll/", 405, "OPTIONS, POST"},
		{"get", "/devices/", 405, "OPTIONS, GET, HEAD"},
		{"BREW", "/devices/", 405, "OPTIONS, GET, HEAD"},
		{"GET", "/healthz/", 307, ""},
		{"POST", "/devices", 307, ""},
	} {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(test.method, test.path, bytes.NewReader(nil))
		app.ServeHTTP(recorder, request)
		if recorder.Code != test.status || recorder.Header().Get("Allow") != test.allow {
			t.Errorf("%s %s: %d %v %s", test.method, test.path, recorder.Code, recorder.Header(), recorder.Body)
		}
		if want := "This path does not know " + test.method + "; it knows " + test.allow; test.status == 405 &&
			!strings.Contains(recorder.Body.String(), want) {
			t.Errorf("%s %s: %s", test.method, test.path, recorder.Body)
		}
	}
	if text := log.String(); strings.Contains(text, "panicked") {
		t.Error(text)
	}
}
