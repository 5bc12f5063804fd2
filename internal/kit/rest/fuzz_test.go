package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/machine/testclient"
)

// Each bad request gets an error in snapd's form, and does not affect the next one.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	m := serve(t, setup{})
	view := "/v2/confdb/" + viewID("control-telemetry").String()
	for _, test := range []struct {
		request, body string
		status        int
		message       string // begins so
	}{
		{"GET /", "", 404, "not found"},
		{"GET /v2", "", 404, "not found"},
		{"GET /v2/nosuch", "", 404, "not found"},
		{"GET /v2//changes", "", 404, "not found"},
		{"GET /v2/../etc/passwd", "", 404, "not found"},
		{"DELETE " + view, "", 405, `method "DELETE" not allowed`},
		{"HEAD2 /v2/changes", "", 405, `method "HEAD2" not allowed`},
		{"GET /v2/confdb/a/b", "", 404, "not found"},
		{"GET /v2/confdb/a/b/c/d", "", 404, "not found"},
		{"PUT " + view, "", 400, "cannot decode confdb request body: EOF"},
		{"PUT " + view, "{", 400, "cannot decode confdb request body: unexpected EOF"},
		{"PUT " + view, "[]", 400, "cannot decode confdb request body: json: cannot unmarshal array"},
		{"PUT " + view, `{"values":[]}`, 400, "cannot decode confdb request body: json: cannot unmarshal array"},
		{"PUT " + view, `{"values":null}`, 400, "cannot write confdb: request body contains no values"},
		{"PUT " + view, `{"values":{"sample-rate":1e999}}`, 400, "cannot decode confdb request body: json: cannot unmarshal number"},
		{"PUT " + view, `{"values":{"":1}}`, 400, ""},
		{"PUT " + view, `{"values":{"sample-rate":1},"options":{"access-timeout":"-1s"}}`, 400, `cannot write confdb: invalid access-timeout: "-1s"`},
		{"PUT " + view, `{"values":{"sample-rate":1},"options":{"access-timeout":5}}`, 400, "cannot decode confdb request body"},
		{"GET " + view + "?constraints=%7B", "", 400, `"constraints" must be a JSON object`},
		{"GET " + view + "?constraints=%7B%22a%22:null%7D", "", 400, `constraint value must be non-null scalar but parameter "a" has null constraint`},
		{"GET " + view + "?keys=%00", "", 500, ""},
		{"POST /v2/confdb", "{}", 400, `feature flag "confdb-control" is disabled`},
		{"GET /v2/changes?select=nosuch", "", 400, "select should be one of: all,in-progress,ready"},
		{"GET /v2/changes/%20", "", 404, `cannot find change with id " "`},
		{"POST /v2/changes/1", "{}", 404, `cannot find change with id "1"`},
		{"GET /v2/notices?after=yesterday", "", 400, `invalid "after" timestamp: `},
		{"GET /v2/notices?timeout=long", "", 400, "invalid timeout: "},
		{"GET /v2/notices?user-id=0&users=all", "", 400, `cannot use both "users" and "user-id" parameters`},
		{"GET /v2/notices?users=some", "", 400, `invalid "users" filter: must be "all"`},
		{"GET /v2/notices/nosuch", "", 404, `cannot find notice with ID "nosuch"`},
		{"POST /v2/notices", "{}", 403, "only snap command can record notices"},
		{"GET /v2/assertions/nosuch", "", 400, `invalid assert type: "nosuch"`},
		{"GET /v2/assertions/account?json=maybe", "", 400, `"json" query parameter when used must be set to`},
		{"GET /v2/assertions/account?remote=maybe", "", 400, `"remote" query parameter when used must be set to`},
		{"GET /v2/snaps?select=nosuch", "", 400, `invalid select parameter: "nosuch"`},
		{"GET /v2/snaps/nosuch", "", 404, "snap not installed"},
		{"GET /v2/snaps/nosuch/conf?keys=a.b", "", 400, `snap "nosuch" has no "a" configuration option`},
		{"PUT /v2/snaps/system/conf", "[]", 400, "cannot decode request body into patch values: "},
		{"GET /v2/connections?select=nosuch", "", 400, "unsupported select qualifier"},
		{"GET /v2/connections?snap=nosuch", "", 404, "snap not installed"},
		{"GET /v2/interfaces?select=nosuch", "", 400, "unsupported select qualifier"},
		{"POST /v2/interfaces", "", 400, "cannot decode request body into an interface action: EOF"},
		{"POST /v2/interfaces", "{}", 400, "interface action not specified"},
		{"POST /v2/interfaces", `{"action":"nosuch"}`, 400, `unsupported interface action: "nosuch"`},
		{"POST /v2/interfaces", `{"action":"connect"}`, 400, "at least one plug and slot is required"},
		{"POST /v2/interfaces", `{"action":"connect","plugs":[{},{}],"slots":[{}]}`, 501, "many-to-many operations are not implemented"},
		{"GET /v2/apps?select=nosuch", "", 400, `invalid select parameter: "nosuch"`},
		{"GET /v2/apps?names=nosuch", "", 404, `snap "nosuch" not found`},
		{"POST /v2/apps", `{"action":"start"}`, 400, "cannot perform operation on services without a list of services"},
		{"POST /v2/apps", `{"action":"start","names":["cust"]}`, 404, `snap "cust" has no services`},
		{"GET /v2/logs?names=nosuch", "", 404, `snap "nosuch" not found`},
		{"POST /v2/warnings", `{"action":"nosuch"}`, 400, `unknown warning action "nosuch"`},
	} {
		var body any
		if test.body != "" {
			body = test.body
		}
		status, answer := testclient.Send(t, m.client, test.request, body)
		result, _ := answer["result"].(map[string]any)
		message, _ := result["message"].(string)
		if status != test.status || answer["type"] != "error" || message == "" || !strings.HasPrefix(message, test.message) {
			t.Errorf("%s %s: %d %v, want %d %q", test.request, test.body, status, answer, test.status, test.message)
		}
	}
	for _, body := range []string{"", "[]", `{"args":[]}`, `{"args":["get"]}`, `{"context-id":"stale","args":["get","--view",":a"]}`, `{"args":1}`} {
		if status, answer := testclient.Send(t, m.snaps, "POST /v2/snapctl", body); status != http.StatusBadRequest || answer["type"] != "error" {
			t.Errorf("snapctl %s: %d %v", body, status, answer)
		}
	}
	huge := `{"values":{"server-url":"` + strings.Repeat("x", 17<<20) + `"}}`
	if status, answer := testclient.Send(t, m.client, "PUT /v2/confdb/"+viewID("control-device").String(), huge); status != http.StatusBadRequest {
		t.Errorf("a body without end: %d %v", status, answer)
	}
	if status, _ := testclient.Send(t, m.client, "GET /v2/system-info", nil); status != http.StatusOK {
		t.Errorf("after all that: %d", status)
	}
}

// FuzzRequests sends any method, path and body: no request causes a panic, and each answer has snapd's form.
func FuzzRequests(f *testing.F) {
	view := "/v2/confdb/" + viewID("control-telemetry").String()
	for _, seed := range [][3]string{
		{"GET", view + "?keys=sample-rate", ""}, {"PUT", view, `{"values":{"sample-rate":3}}`},
		{"PUT", "/v2/confdb/" + viewID("control-interfaces").String(), `{"values":{"config":{"eth0":{"ip-address":"10.0.0.1"}}}}`},
		{"GET", "/v2/confdb/" + viewID("control-interfaces").String() + `?constraints={"name":"eth0"}`, ""},
		{"GET", "/v2/changes?select=all&for=cust", ""}, {"POST", "/v2/changes/1", `{"action":"abort"}`},
		{"GET", "/v2/notices?types=change-update&keys=1&after=2026-01-01T00:00:00Z", ""}, {"GET", "/v2/notices/1", ""},
		{"GET", "/v2/assertions/confdb-schema?json=true", ""}, {"POST", "/v2/assertions", "type: account\n\nx"},
		{"PUT", "/v2/snaps/cust/conf", `{"a.b":{"c":1}}`}, {"GET", "/v2/snaps/cust/conf?keys=a.b", ""},
		{"GET", "/v2/connections?snap=cust&select=all", ""},
		{"POST", "/v2/interfaces", `{"action":"disconnect","plugs":[{"snap":"","plug":""}],"slots":[{"snap":"cust","slot":"control-tunnel"}]}`},
		{"POST", "/v2/apps", `{"action":"restart","names":["cust.svc"]}`}, {"GET", "/v2/logs?names=cust", ""},
		{"POST", "/v2/snapctl", `{"context-id":"COOKIE","args":["set","--view",":control-telemetry","sample-rate=4"]}`},
		{"POST", "/v2/snapctl", `{"context-id":"COOKIE","args":["get","-d","--view",":control-telemetry"]}`},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	w, err := world.Open("", changes.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = w.Close() })
	furnish(f, w, setup{})
	server, err := rest.New(rest.Options{World: w, Unsigned: true})
	if err != nil {
		f.Fatal(err)
	}
	cookie, err := w.Facts.Now().Cookie("cust")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, uri, body string) {
		body = strings.ReplaceAll(body, "COOKIE", cookie)
		// A wait ends with its context, not with the test.
		ctx, cancel := context.WithTimeout(rest.AsRoot(t.Context()), 50*time.Millisecond)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, "http://localhost", strings.NewReader(body))
		if err != nil {
			t.Skip("no request")
		}
		if r.URL, err = r.URL.Parse(uri); err != nil {
			t.Skip("no URI")
		}
		handler := server.Handler()
		if strings.HasPrefix(r.URL.Path, "/v2/snapctl") {
			handler = server.SnapHandler()
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		if recorder.Code/100 == 3 {
			return // to a cleaner path
		}
		media := recorder.Header().Get("Content-Type")
		if media != "application/json" || recorder.Header().Get("X-Ubuntu-Assertions-Count") != "" {
			return
		}
		var answer struct {
			Type   string
			Code   int `json:"status-code"`
			Result json.RawMessage
			Change string
		}
		if err := json.NewDecoder(bytes.NewReader(recorder.Body.Bytes())).Decode(&answer); err != nil {
			t.Fatalf("%s %s: %v: %s", method, uri, err, recorder.Body)
		}
		var failure struct{ Message string }
		switch {
		case answer.Code != recorder.Code && answer.Type != "error":
			t.Errorf("%s %s: status %d, status-code %d", method, uri, recorder.Code, answer.Code)
		case answer.Type == "async" && answer.Change == "":
			t.Errorf("%s %s: begun without a change", method, uri)
		case answer.Type == "error" && (json.Unmarshal(answer.Result, &failure) != nil || failure.Message == ""):
			t.Errorf("%s %s: an error without a message: %s", method, uri, recorder.Body)
		case answer.Type == "error" && strings.Contains(failure.Message, "panic"):
			t.Errorf("%s %s: %s", method, uri, failure.Message)
		case answer.Type != "sync" && answer.Type != "async" && answer.Type != "error":
			t.Errorf("%s %s: type %q", method, uri, answer.Type)
		}
	})
}
