package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"
	"aspects-poc/roles/serverapi"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// checking starts a server that checks targets, over a fleet that the test may use too.
func checking(t testing.TB, change ...func(*fleet.Options)) (base string, rules *fleet.Fleet) {
	t.Helper()
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	options := fleet.Options{Schema: network.Document("")}
	for _, change := range change {
		change(&options)
	}
	rules, err = fleet.Open(t.Context(), store, options)
	if err != nil {
		t.Fatal(err)
	}
	started := httptest.NewServer(api.New(rules, api.Options{MaxBody: 4096, Audit: audit.New(store, audit.Options{}), Tokens: store.Tokens()}))
	t.Cleanup(func() {
		rules.Release()
		started.Close()
		if err := rules.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return started.URL, rules
}

// registered registers a device with labels and returns its UUID.
func registered(t testing.TB, base, labels string) string {
	t.Helper()
	got := call(t, base, "POST", "/register/", `{"ip-address":"192.0.2.7","public-key-rsa":"`+uuid.NewString()+
		`","arch":"amd64","labels":`+labels+`}`)
	var device serverapi.RegisterResponse
	if err := json.Unmarshal([]byte(got.body), &device); err != nil || got.status != 200 {
		t.Fatal(got, err)
	}
	return device.UUID.String()
}

// TestOperatorsDay goes through what an operator does, in an order in which it happens.
func TestOperatorsDay(t *testing.T) {
	base, _ := checking(t)
	berlin, paris := registered(t, base, `{"site":"berlin"}`), registered(t, base, `{"site":"paris"}`)
	rate := func(n string) string { return `{"control-telemetry":{"sample-rate":` + n + `}}` }
	for _, step := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		tag                      string   // ETag
		want                     []string // parts of the answer; {B} and {P} are the devices
	}{
		{"no layer yet", "GET", "/targets/everyone/", "", nil, 200, `"0"`, []string{`"revision":0`, `"config":{}`}},
		{"everyone", "PUT", "/target-config/", `{"config":` + rate("4") + `}`, nil, 200, `"1"`, []string{rate("4")}},
		{"everyone's layer", "GET", "/targets/everyone/", "", nil, 200, `"1"`,
			[]string{`"layer":"everyone"`, `"hash":"sha-256=`, `"set-at":`}},
		{"stale", "PUT", "/targets/everyone/", `{"config":` + rate("5") + `}`, []string{`If-Match: "7"`}, 412, "",
			[]string{"urn:aspects-poc:problem:stale", `If-Match: \"7\" does not hold: the layer has the ETag \"1\""`}},
		{"one of several", "PUT", "/targets/everyone/", `{"config":` + rate("5") + `}`, []string{`If-Match: "7", "1"`}, 200, `"2"`, nil},
		{"weak tags do not match", "PUT", "/target-config/", `{"config":{}}`, []string{`If-Match: W/"2"`}, 412, "",
			[]string{`If-Match: W/\"2\" does not hold: the layer has the ETag \"2\". A weak ETag (W/\"…\") never matches in If-Match`}},
		{"a tag without quotes", "PUT", "/target-config/", `{"config":{}}`, []string{`If-Match: 2`}, 412, "",
			[]string{"An ETag stands in double quotes"}},
		{"another than this one", "PUT", "/target-config/", `{"config":{}}`, []string{`If-None-Match: W/"2"`}, 412, "",
			[]string{`If-None-Match: W/\"2\" does not hold: the layer has the ETag \"2\""`}},
		{"both conditions", "PUT", "/target-config/", `{"config":{}}`, []string{`If-Match: "2"`, "If-None-Match: *"}, 412, "",
			[]string{"If-None-Match: * does not hold"}},
		{"known already", "GET", "/target-config/", "", []string{`If-None-Match: "1", W/"2"`}, 304, `"2"`, nil},
		{"known layer", "GET", "/targets/everyone/", "", []string{`If-None-Match: "2"`}, 304, `"2"`, nil},
		{"any", "PUT", "/target-config/", `{"config":` + rate("6") + `}`, []string{`If-Match: *`}, 200, `"3"`, nil},
		{"refused", "PUT", "/targets/everyone/", `{"config":` + rate(`"x"`) + `}`, nil, 422, "",
			[]string{"urn:aspects-poc:problem:refused-target", `"field":"control-telemetry.sample-rate"`, "expected int type but value was string"}},
		{"refused in the original's shape", "PUT", "/target-config/", `{"config":{"light":{"on":true}}}`, nil, 422, "",
			[]string{"refused-target"}},
		{"dry run", "PUT", "/targets/labels/b/?dry-run=true", `{"selector":"device.site=berlin","config":` + rate("9") + `}`, nil, 200, "",
			[]string{`"devices":1`, `"uuid":"{B}"`, `"path":"control-telemetry.sample-rate","before":6,"after":9,"kind":"changed"`}},
		{"no selector", "PUT", "/targets/labels/b/", `{"config":{}}`, nil, 422, "", []string{`"field":"selector"`}},
		{"odd selector", "PUT", "/targets/labels/b/", `{"selector":"a==b","config":{}}`, nil, 422, "", []string{`"field":"selector"`}},
		{"selector of everyone", "PUT", "/targets/everyone/", `{"selector":"a","config":{}}`, nil, 422, "", []string{`"field":"selector"`}},
		{"odd name", "PUT", "/targets/labels/-/", `{"selector":"a","config":{}}`, nil, 422, "", []string{`"field":"name"`}},
		{"name with a slash", "PUT", "/targets/labels/x%2Fy/", `{"selector":"a","config":{}}`, nil, 422, "",
			[]string{`a layer's name must not have a slash: \"x/y\"`}},
		{"labels", "PUT", "/targets/labels/b/", `{"selector":"stage!=test, device.site=berlin","priority":5,"config":` + rate("9") + `}`,
			[]string{"If-None-Match: *"}, 200, `"4"`, []string{`"selector":"device.site=berlin,stage!=test"`, `"priority":5`}},
		{"once only", "PUT", "/targets/labels/b/", `{"selector":"site","config":{}}`, []string{"If-None-Match: *"}, 412, "",
			[]string{`If-None-Match: * does not hold: the layer has the ETag \"4\""`}},
		{"not there to match", "PUT", "/targets/labels/c/", `{"selector":"site","config":{}}`, []string{"If-Match: *"}, 412, "",
			[]string{"If-Match: * does not hold: there is no such layer"}},
		{"labels have no ETag", "PATCH", "/devices/{P}/labels/", `{"site":"oslo"}`, []string{`If-Match: "4"`}, 412, "",
			[]string{"what this request changes has no ETag"}},
		{"own", "PUT", "/targets/devices/{P}/", `{"config":{"control-tunnel":{"peers":["10.0.0.1"]}}}`, nil, 200, `"5"`, nil},
		{"of a stranger", "PUT", "/targets/devices/" + exampleID + "/", `{"config":{}}`, nil, 404, "", []string{"There is no such device"}},
		{"all layers", "GET", "/targets/", "", nil, 200, "",
			[]string{`{"revision":5,"layers":[{"layer":"everyone"`, `{"layer":"labels/b"`, `{"layer":"devices/{P}"`}},
		{"target", "GET", "/devices/{B}/target/?explain=true", "", nil, 200, "",
			[]string{`"revision":4`, `"layers":["everyone","labels/b"]`,
				`"explain":{"control-telemetry.sample-rate":{"layer":"labels/b","revision":4}}`}},
		{"device", "GET", "/devices/{P}/", "", nil, 200, "",
			[]string{`"state":"new"`, `"silent":false`, `"desired":{"revision":5,"hash":"sha-256=`, `"labels":{"device.site":"paris"}`}},
		{"devices", "GET", "/devices/?selector=device.site%3Dparis&state=new&silent=false&q=PARIS", "", nil, 200, "",
			[]string{`{"devices":[{"uuid":"{P}"`}},
		{"no devices", "GET", "/devices/?state=failed", "", nil, 200, "", []string{`{"devices":[]}`}},
		{"odd filters", "GET", "/devices/?selector=%21&state=odd&silent=maybe&limit=0", "", nil, 422, "",
			[]string{`"field":"selector"`, `"field":"state"`, `"field":"silent"`, `"field":"limit"`}},
		{"odd place", "GET", "/devices/?after=x", "", nil, 422, "", []string{"after is no place"}},
		{"labels changed", "PATCH", "/devices/{P}/labels/", `{"site":"berlin","device.site":null}`, nil, 200, "",
			[]string{`"labels":{"site":"berlin"}`, `"desired":{"revision":6`}},
		{"labels that only a device sets", "PATCH", "/devices/{P}/labels/", `{"device.site":"berlin"}`, nil, 422, "",
			[]string{`"field":"labels.device.site"`, "only the device sets such labels"}},
		{"odd labels", "PATCH", "/devices/{P}/labels/", `{"site":5}`, nil, 422, "", []string{`"field":"labels.site"`}},
		{"odd label", "PATCH", "/devices/{P}/labels/", `{"a b":"x"}`, nil, 422, "", []string{`"field":"labels.a b"`}},
		{"revoked", "POST", "/devices/{B}/revoke/", "", nil, 200, "", []string{`"state":"revoked"`}},
		{"its poll", "POST", "/poll/", `{"uuid":"{B}","config":{}}`, nil, 403, "", []string{"urn:aspects-poc:problem:revoked"}},
		{"approved", "POST", "/devices/{B}/approve/", "", nil, 200, "", []string{`"state":"new"`}},
		{"history", "GET", "/history/?limit=2", "", nil, 200, "",
			[]string{`"revision":6`, `"action":"labels","labels":{"site":"berlin"}`, `"revision":5`, `"next":5`}},
		{"of a layer", "GET", "/history/?layer=everyone", "", nil, 200, "", []string{`"revision":3`, `"revision":2`, `"revision":1`}},
		{"odd layer", "GET", "/history/?layer=odd", "", nil, 422, "", []string{`"field":"layer"`}},
		{"entry", "GET", "/history/2/", "", nil, 200, "", []string{`"before":` + rate("4"), `"after":` + rate("5")}},
		{"diff", "GET", "/history/3/diff/?against=1", "", nil, 200, "",
			[]string{`{"layer":"everyone","revision":3,"against":1,"changes":[{"path":"control-telemetry.sample-rate","before":4,"after":6,"kind":"changed"}]}`}},
		{"diff of labels", "GET", "/history/6/diff/", "", nil, 422, "", nil},
		{"restored", "POST", "/history/1/restore/", "", nil, 200, `"7"`, []string{`"restores":1`, `"after":` + rate("4")}},
		{"no such revision", "POST", "/history/99/restore/", "", nil, 404, "", nil},
		{"odd revision", "GET", "/history/x/", "", nil, 422, "", []string{`"field":"revision"`}},
		{"removed, dry", "DELETE", "/targets/labels/b/?dry-run=1", "", nil, 200, "", []string{`"devices":1`}},
		{"removed, stale", "DELETE", "/targets/labels/b/", "", []string{`If-Match: "3"`}, 412, "", nil},
		{"removed", "DELETE", "/targets/labels/b/", "", []string{`If-Match: "4"`}, 204, "", nil},
		{"not there", "GET", "/targets/labels/b/", "", nil, 404, "", []string{"There is no such layer"}},
		{"not there any more", "DELETE", "/targets/labels/b/", "", nil, 404, "", nil},
		{"summary", "GET", "/summary/", "", nil, 200, "", []string{`"devices":2`, `"new":2`, `"drifted":0`, `"revision":8`}},
		{"forgotten", "DELETE", "/devices/{P}/", "", nil, 204, "", nil},
		{"no device", "GET", "/devices/{P}/", "", nil, 404, "", []string{"There is no such device"}},
		{"no such device", "DELETE", "/devices/{P}/", "", nil, 404, "", nil},
		{"its next poll", "POST", "/poll/", `{"uuid":"{P}","config":{}}`, nil, 400, "", []string{"Agent not registered"}},
		{"its statistics", "GET", "/devices/{P}/stats/", "", nil, 404, "", nil},
		{"health", "GET", "/healthz", "", nil, 200, "", []string{`{"status":"ok"}`}},
		{"readiness", "GET", "/readyz", "", nil, 200, "", []string{`{"status":"ready"}`}},
	} {
		t.Run(step.name, func(t *testing.T) {
			fill := strings.NewReplacer("{B}", berlin, "{P}", paris)
			got := call(t, base, step.method, fill.Replace(step.path), fill.Replace(step.body), step.headers...)
			if got.status != step.status || got.header.Get("ETag") != step.tag {
				t.Errorf("got %d %s %s, want %d %s", got.status, got.header.Get("ETag"), got.body, step.status, step.tag)
			}
			for _, part := range step.want {
				if part = fill.Replace(part); !strings.Contains(got.body, part) {
					t.Errorf("%s is missing in %s", part, got.body)
				}
			}
			if step.status >= 400 && got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("content type %q", got.header.Get("Content-Type"))
			}
		})
	}
}

// TestReports has a device report, and looks at what is told of it.
func TestReports(t *testing.T) {
	base, _ := checking(t)
	id := registered(t, base, `{}`)
	call(t, base, "PUT", "/target-config/", `{"config":{"control-telemetry":{"sample-rate":4}}}`)
	poll := func(report string, headers ...string) answer {
		t.Helper()
		return call(t, base, "POST", "/poll/", `{"uuid":"`+id+`","config":{},"report":`+report+`}`, headers...)
	}
	got := poll(`{"sequence":5,"attempted":{"revision":1,"outcome":"refused","path":"a.b","reason":"no","at":7},`+
		`"stats":{"at":1,"packets":{"eth0":{"sent":18446744073709551615,"received":2}},"peers":3}}`, "Prefer: respond-async, wait=1; x")
	if got.status != 204 || got.header.Get("Poll-Interval") != "60" || got.header.Get("Date") == "" ||
		got.header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("%+v", got)
	}
	if got := poll(`{"sequence":4}`); got.status != 204 || got.header.Get("Report-Sequence") != "5" {
		t.Errorf("%+v", got)
	}
	device := call(t, base, "GET", "/devices/"+id+"/", "").body
	for _, part := range []string{`"state":"refused"`, `"sequence":5`, `"silent":false`,
		`"attempted":{"revision":1,"outcome":"refused","path":"a.b","reason":"no","at":7}`} {
		if !strings.Contains(device, part) {
			t.Errorf("%s is missing in %s", part, device)
		}
	}
	for _, test := range []struct{ report, want string }{
		{`5`, "report: must be an object, not a number"},
		{`{"sequence":-1,"more":1}`, "report.sequence: must not be less than 0, as -1 is|report.more: is not known here; known are sequence, instance, running, attempted, stats"},
		{`{"sequence":1.5}`, "report.sequence: must be a whole number of 64 bits, not 1.5"},
		{`{"running":{"revision":1}}`, "report.running.hash: is missing"},
		{`{"attempted":{"revision":1,"outcome":"odd"}}`, `report.attempted.outcome: must be applied, refused or failed, not "odd"`},
		{`{"stats":{"packets":{"eth0":{"sent":-1}}}}`, `report.stats: must be such as {"at":0,"packets":{"eth0":{"sent":1,"received":2}},"peers":3}`},
	} {
		var problem serverapi.Problem
		got := poll(test.report)
		if err := json.Unmarshal([]byte(got.body), &problem); err != nil || got.status != 422 {
			t.Errorf("%s: %d %v", test.report, got.status, err)
		}
		var fields []string
		for _, field := range problem.Errors {
			fields = append(fields, field.Field+": "+field.Message)
		}
		if diff := cmp.Diff(test.want, strings.Join(fields, "|")); diff != "" {
			t.Errorf("%s: %s", test.report, diff)
		}
	}
}

// TestWaitingPoll holds a poll back until the target changes.
func TestWaitingPoll(t *testing.T) {
	base, rules := checking(t)
	id := registered(t, base, `{}`)
	got := make(chan answer, 1)
	go func() { got <- call(t, base, "POST", "/poll/", `{"uuid":"`+id+`","config":{}}`, "Prefer: wait=9999") }()
	for rules.Waiting() == 0 {
		runtime.Gosched()
	}
	call(t, base, "PUT", "/target-config/", `{"config":{"control-telemetry":{"sample-rate":4}}}`)
	answer := <-got
	if answer.status != 200 || !strings.Contains(answer.body, `"revision":1`) ||
		answer.header.Get("Preference-Applied") != "wait=300" {
		t.Errorf("%+v", answer)
	}
}

func TestEvents(t *testing.T) {
	base, _ := checking(t)
	request, err := http.NewRequestWithContext(t.Context(), "GET", base+"/events/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("content type %q", kind)
	}
	lines := bufio.NewScanner(response.Body)
	next := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("%s did not come: %v", want, lines.Err())
	}
	next("retry: 3000")
	id := registered(t, base, `{}`)
	next("event: device")
	next(fmt.Sprintf(`data: {"kind":"device","uuid":"%s"}`, id))
	call(t, base, "PUT", "/target-config/", `{"config":{}}`)
	next("event: target")
	next(`data: {"kind":"target","revision":1,"layer":"everyone"}`)
}

// TestCloned has two machines report as one device, and an operator say that one of them is gone.
func TestCloned(t *testing.T) {
	base, _ := checking(t)
	id := registered(t, base, `{}`)
	shown := func(want int) {
		t.Helper()
		list, alone := call(t, base, "GET", "/devices/?cloned", "").body, call(t, base, "GET", "/devices/"+id+"/", "").body
		if strings.Count(list, id) != want || strings.Count(alone, `"cloned":true`) != want {
			t.Errorf("want %d: the list is %s, the device %s", want, list, alone)
		}
	}
	for turn := range 16 {
		body := fmt.Sprintf(`{"uuid":"%s","config":{},"report":{"sequence":%d,"instance":"%d"}}`, id, turn+1, turn%2)
		if got := call(t, base, "POST", "/poll/", body, "Content-Type: application/json"); got.status != 204 {
			t.Fatal(got)
		}
	}
	shown(1)
	for path, status := range map[string]int{"/devices/" + id + "/cloned/": 204, "/devices/" + uuid.NewString() + "/cloned/": 404, "/devices/x/cloned/": 404, "/devices/-/cloned/": 422} {
		if got := call(t, base, "DELETE", path, ""); got.status != status {
			t.Errorf("%s: %+v", path, got)
		}
	}
	shown(0)
}

// FuzzRequests sends any body to the endpoints of devices and operators: no answer may be the server's failure, and each
// refusal has to name a field or a reason.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{``, `{}`, `[]`, `{"uuid":"` + exampleID + `","config":{"a":null}}`,
		`{"uuid":"` + exampleID + `","config":{},"report":{"sequence":9223372036854775807,"running":{"revision":1,"hash":"x"}}}`,
		`{"config":{"control-telemetry":{"sample-rate":1e400}}}`, `{"selector":"a,!b","priority":-5,"config":{"a":[{}]}}`,
		`{"site":null}`, "{\"\xff\":1}", `{"config":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`} {
		for n := range byte(8) {
			f.Add(n, seed, "limit=1&after=2&selector=a&state=behind&dry-run=true")
		}
	}
	app := surface(f, open(f), io.Discard)
	f.Fuzz(func(t *testing.T, n byte, body, query string) {
		targets := []struct{ method, path string }{
			{"POST", "/register/"}, {"POST", "/poll/"}, {"PUT", "/target-config/"}, {"PUT", "/targets/labels/a/"},
			{"PUT", "/targets/devices/" + exampleID + "/"}, {"PATCH", "/devices/" + exampleID + "/labels/"},
			{"GET", "/devices/"}, {"GET", "/history/"},
		}
		target := targets[int(n)%len(targets)]
		request := httptest.NewRequest(target.method, target.path, strings.NewReader(body))
		request.URL.RawQuery = query
		recorder := httptest.NewRecorder()
		app.ServeHTTP(recorder, request)
		if recorder.Code >= 500 {
			t.Errorf("%s %s?%s %s: %d %s", target.method, target.path, query, body, recorder.Code, recorder.Body)
		}
		if recorder.Code >= 400 {
			var problem serverapi.Problem
			if err := json.Unmarshal(recorder.Body.Bytes(), &problem); err != nil || problem.Detail == "" {
				t.Errorf("%d without a reason: %s", recorder.Code, recorder.Body)
			}
		}
	})
}

func open(t testing.TB) *sqlite.Store {
	t.Helper()
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
