package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"
	"aspects-poc/roles/serverapi"

	"github.com/google/go-cmp/cmp"
)

func TestMalformed(t *testing.T) {
	base := newServer(t, io.Discard).URL
	operations := description(t, base)
	const id = `"uuid":"` + exampleID + `"`
	deep := strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		fields                   []string // "field: message"
		detail                   string   // where no fields are named
	}{
		{"no body", "POST", "/register/", "", nil, 422, []string{"body: is empty; it must be a JSON object"}, ""},
		{"white space", "POST", "/poll/", " \n", nil, 422, []string{"body: is empty; it must be a JSON object"}, ""},
		{"all missing", "POST", "/register/", "{}", nil, 422,
			[]string{"ip-address: is missing", "public-key-rsa: is missing", "arch: is missing"}, ""},
		{"one missing", "POST", "/poll/", "{" + id + "}", nil, 422, []string{"config: is missing"}, ""},
		{"unknown", "PUT", "/target-config/", `{"config":{},"extra":1,"Config":{}}`, nil, 422,
			[]string{"extra: is not known here; known are config", "Config: is not known here; did you mean config?"}, ""},
		{"all kinds at once", "POST", "/register/", `{"ip-address":"here","arch":5,"colour":"red"}`, nil, 422, []string{
			`ip-address: must be an IPv4 or IPv6 address, not "here"`, "public-key-rsa: is missing",
			"arch: must be a string, not a number", "colour: is not known here; known are ip-address, public-key-rsa, arch, labels, enrolment-token",
		}, ""},
		{"empty string", "POST", "/register/", `{"ip-address":"::1","arch":" ","public-key-rsa":""}`, nil, 422,
			[]string{"public-key-rsa: must not be empty", "arch: must not be empty"}, ""},
		{"long string", "POST", "/register/",
			`{"ip-address":"::1","public-key-rsa":"x","arch":"` + strings.Repeat("ü", 65) + `"}`, nil, 422,
			[]string{"arch: must not be longer than 64 characters"}, ""},
		{"null", "POST", "/poll/", `{"uuid":null,"config":null}`, nil, 422,
			[]string{"uuid: must be a string, not null", "config: must be an object, not null"}, ""},
		{"array", "PUT", "/target-config/", `{"config":[]}`, nil, 422, []string{"config: must be an object, not an array"}, ""},
		{"boolean", "PUT", "/target-config/", `{"config":true}`, nil, 422,
			[]string{"config: must be an object, not a boolean"}, ""},
		{"string", "PUT", "/target-config/", `{"config":"{}"}`, nil, 422,
			[]string{"config: must be an object, not a string"}, ""},
		{"no UUID", "POST", "/poll/", `{"uuid":"7","config":{}}`, nil, 422, []string{`uuid: must be a UUID, not "7"`}, ""},
		{"UUID in odd brackets", "POST", "/poll/", `{"uuid":"<` + exampleID + `>","config":{}}`, nil, 422,
			[]string{`uuid: must be a UUID, not "<` + exampleID + `>"`}, ""},
		{"UUID in the path", "GET", "/state/-/", "", nil, 422, []string{`uuid: must be the ID of a device, the beginning of one, or a device's name, not "-"`}, ""},
		{"not an object", "POST", "/poll/", `[1]`, nil, 422, []string{"body: must be an object, not an array"}, ""},
		{"not JSON", "POST", "/poll/", `uuid=7`, nil, 422,
			[]string{"body: is not JSON at byte 0: invalid character 'u' at start of value"}, ""},
		{"not JSON inside", "PUT", "/target-config/", `{"config":{"a":[1,}}`, nil, 422,
			[]string{"config.a.1: is not JSON at byte 18: invalid character '}' at start of value"}, ""},
		{"a bad number", "PUT", "/target-config/", `{"config":{"a":01}}`, nil, 422,
			[]string{"config: is not JSON at byte 16: invalid character '1' after object value (expecting ',' or '}')"}, ""},
		{"breaks off", "PUT", "/target-config/", `{"config":{"a":`, nil, 422, []string{"body: breaks off at byte 15"}, ""},
		{"breaks off in a string", "PUT", "/target-config/", `{"config":{"a":"x`, nil, 422,
			[]string{"body: breaks off at byte 17"}, ""},
		{"goes on", "PUT", "/target-config/", `{"config":{}} {"config":{}}`, nil, 422,
			[]string{"body: goes on behind the JSON value, at byte 14"}, ""},
		{"goes on with a bracket", "PUT", "/target-config/", `{"config":{}}}`, nil, 422,
			[]string{"body: goes on behind the JSON value, at byte 13"}, ""},
		{"twice at the top", "PUT", "/target-config/", `{"config":{"a":1},"config":{}}`, nil, 422,
			[]string{"config: stands twice in the same object, again at byte 18"}, ""},
		{"twice below", "PUT", "/target-config/", `{"config":{"a":{"b":1,"b":1}}}`, nil, 422,
			[]string{"config.a.b: stands twice in the same object, again at byte 22"}, ""},
		{"twice, escaped", "PUT", "/target-config/", `{"config":{"a":1,"\u0061":2}}`, nil, 422,
			[]string{"config.a: stands twice in the same object, again at byte 17"}, ""},
		{"not UTF-8", "PUT", "/target-config/", "{\"config\":{\"a\":\"\xff\"}}", nil, 422,
			[]string{"body: is not UTF-8 at byte 16"}, ""},
		{"half a surrogate pair", "PUT", "/target-config/", `{"config":{"a":"\ud800"}}`, nil, 422,
			[]string{"config.a: is not JSON at byte 16: invalid surrogate pair `\\ud800\"}}` in string"}, ""},
		{"too deep", "PUT", "/target-config/", `{"config":` + deep + `}`, nil, 422,
			[]string{"config: cannot be taken: a configuration nests no deeper than 128 levels"}, ""},

		{"too large", "PUT", "/target-config/", `{"config":{"a":"` + strings.Repeat("x", 4096) + `"}}`, nil, 413, nil,
			"The body must not be larger than 4096 bytes"},
		{"what curl sends by itself", "PUT", "/target-config/", `{"config":{}}`,
			[]string{"Content-Type: application/x-www-form-urlencoded"}, 200, nil, ""},
		{"a form's body", "PUT", "/target-config/", `config=%7B%7D`, []string{"Content-Type: application/x-www-form-urlencoded"}, 422,
			[]string{"body: is not JSON at byte 0: invalid character 'c' at start of value"}, ""},
		{"a browser's form", "POST", "/poll/", `{}`,
			[]string{"Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin"}, 415, nil,
			`Content-Type must be application/json in UTF-8, not "application/x-www-form-urlencoded"`},
		{"a form of several parts", "POST", "/poll/", `{}`, []string{"Content-Type: multipart/form-data; boundary=x"}, 415, nil,
			`Content-Type must be application/json in UTF-8, not "multipart/form-data; boundary=x"`},
		{"text", "POST", "/poll/", `{}`, []string{"Content-Type: text/plain"}, 415, nil,
			`Content-Type must be application/json in UTF-8, not "text/plain"`},
		{"charset", "POST", "/poll/", `{}`, []string{"Content-Type: application/json; charset=latin1"}, 415, nil,
			`Content-Type must be application/json in UTF-8, not "application/json; charset=latin1"`},
		{"nonsense type", "POST", "/poll/", `{}`, []string{"Content-Type: ;;"}, 415, nil,
			`Content-Type must be application/json in UTF-8, not ";;"`},
		{"compressed", "POST", "/poll/", `{}`, []string{"Content-Encoding: gzip"}, 415, nil,
			`Content-Encoding "gzip" is not known here; send the body as it is`},
		{"another type of JSON", "PUT", "/target-config/", `{"config":{}}`,
			[]string{"Content-Type: application/merge-patch+json"}, 200, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := call(t, base, test.method, test.path, test.body, test.headers...)
			if got.status != test.status {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			path := strings.Replace(test.path, "/-/", "/{uuid}/", 1)
			if _, there := operations[path][strings.ToLower(test.method)].Responses[strconv.Itoa(got.status)]; !there {
				t.Errorf("the description of %s does not know %d", path, got.status)
			}
			if test.status == 200 {
				return
			}
			var problem serverapi.Problem
			if err := json.Unmarshal([]byte(got.body), &problem); err != nil {
				t.Fatal(err)
			}
			var fields, words []string
			for _, field := range problem.Errors {
				fields = append(fields, field.Field+": "+field.Message)
				words = append(words, field.Field+" "+field.Message)
			}
			if test.detail == "" {
				test.detail = strings.Join(words, "; ")
			}
			if diff := cmp.Diff(test.fields, fields); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
			if problem.Detail != test.detail || problem.Status != test.status || problem.Title == "" {
				t.Errorf("got %+v", problem)
			}
		})
	}
}

// TestAnswersStaySmall has bodies and paths that would come back, and into the log, at length.
func TestAnswersStaySmall(t *testing.T) {
	var log rolestest.Buffer
	fleet := newServer(t, &log)
	members := make([]string, 150)
	for i := range members {
		members[i] = fmt.Sprintf(`"m%d":1`, i)
	}
	for name, body := range map[string]string{
		"a deep place":      `{"config":{"a":` + strings.Repeat("[", 2000) + "x",
		"a long name":       `{"config":{"` + strings.Repeat("n", 3000) + `":x`,
		"a long name again": `{"config":{},"` + strings.Repeat("ü", 1500) + `":1}`,
		"many names":        `{"config":{},` + strings.Join(members, ",") + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			before := len(log.String())
			got := call(t, fleet.URL, "PUT", "/target-config/", body, "Content-Type: application/json")
			if got.status != 422 || len(got.body) > 2000 || !utf8.ValidString(got.body) {
				t.Errorf("%d, %d bytes: %.500s", got.status, len(got.body), got.body)
			}
			if n := len(log.String()) - before; n > 2000 {
				t.Errorf("%d bytes of log", n)
			}
		})
	}
	got := call(t, fleet.URL, "PUT", "/target-config/", `{"config":{},`+strings.Join(members, ",")+`}`)
	if want := `m0 is not known here; known are config; `; !strings.Contains(got.body, want) {
		t.Errorf("%s lacks %q", got.body, want)
	}
	if want := `body has 140 more members that are not known here`; !strings.Contains(got.body, want) {
		t.Errorf("%s lacks %q", got.body, want)
	}
	before := len(log.String())
	call(t, fleet.URL, "GET", "/"+strings.Repeat("p", 5000), "", "Content-Type: "+strings.Repeat("t", 5000))
	call(t, fleet.URL, "POST", "/poll/", "", "Content-Type: "+strings.Repeat("t", 5000))
	if n := len(log.String()) - before; n > 2000 {
		t.Errorf("%d bytes of log", n)
	}
}

// TestChunkedTooLarge has a body that does not tell its size.
func TestChunkedTooLarge(t *testing.T) {
	started := newServer(t, io.Discard)
	response, err := started.Client().Post(started.URL+"/poll/", "application/json",
		io.MultiReader(strings.NewReader(`{"config":"`), strings.NewReader(strings.Repeat("x", 1<<20))))
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 413 {
		t.Error(response.Status)
	}
}

// TestBrokenBodies sends less than was promised: once the line drops, once nothing more comes.
func TestBrokenBodies(t *testing.T) {
	app := newServer(t, io.Discard).Config.Handler
	slow := httptest.NewUnstartedServer(app)
	slow.Config.ReadTimeout = 50 * time.Millisecond
	slow.Config.ReadHeaderTimeout = time.Minute // on a busy machine the headers alone may take longer than the body may
	slow.Start()
	defer slow.Close()
	for name, want := range map[string]string{"stops": "HTTP/1.1 408 ", "drops": "HTTP/1.1 400 "} {
		t.Run(name, func(t *testing.T) {
			connection, err := net.Dial("tcp", slow.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = connection.Close() }() // the server closes first
			if _, err := io.WriteString(connection, "POST /poll/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
				t.Fatal(err)
			}
			if name == "drops" {
				if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			got, err := io.ReadAll(connection)
			if err != nil || !strings.HasPrefix(string(got), want) {
				t.Errorf("%q %v", got, err)
			}
		})
	}
}

// FuzzBodies sends anything to everything: the answer is never a 5xx, and always says which field is wrong.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{}`, `{"config":{"a":[1,null]}}`, `{"uuid":"` + exampleID + `","config":{"a":1.0}}`,
		`{"ip-address":"::1","public-key-rsa":"x","arch":"amd64"}`, `{"config":{"a":1,"a":2}}`, "{\"\xff\":1}", `[`, `1e999`} {
		f.Add([]byte(seed), "application/json")
	}
	f.Add([]byte(`{}`), "text/plain; charset=\"")
	app := newServer(f, io.Discard).Config.Handler
	f.Fuzz(func(t *testing.T, body []byte, kind string) {
		for path, method := range map[string]string{"/register/": "POST", "/poll/": "POST", "/target-config/": "PUT"} {
			request := httptest.NewRequest(method, path, strings.NewReader(string(body)))
			request.Header.Set("Content-Type", kind)
			recorder := httptest.NewRecorder()
			app.ServeHTTP(recorder, request)
			got := recorder.Body.String()
			switch recorder.Code {
			case 200, 204:
				continue
			case 400, 413, 415, 422:
			default:
				t.Fatalf("%s answers %d %s", path, recorder.Code, got)
			}
			var problem serverapi.Problem
			if err := json.Unmarshal([]byte(got), &problem); err != nil || problem.Detail == "" ||
				problem.Status != recorder.Code || recorder.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%s answers %d %s: %v", path, recorder.Code, got, err)
			}
			if recorder.Code == 422 && (len(problem.Errors) == 0 || problem.Errors[0].Message == "") {
				t.Fatalf("%s names no field: %s", path, got)
			}
			if recorder.Code == 400 && problem.Detail != serverapi.NotRegistered {
				t.Fatalf("%s answers %s", path, got)
			}
		}
	})
}

// TestDefaultLimit is the limit that users get.
func TestDefaultLimit(t *testing.T) {
	app := api.New(nil, api.Options{})
	recorder := httptest.NewRecorder()
	body := `{"config":"` + strings.Repeat("x", 1<<20) + `"}`
	app.ServeHTTP(recorder, httptest.NewRequest("PUT", "/target-config/", strings.NewReader(body)))
	if recorder.Code != 413 || !strings.Contains(recorder.Body.String(), "1048576 bytes") {
		t.Error(recorder.Code, recorder.Body)
	}
}

// A body has at most as many values as the client accepts in an answer.
func TestManyValues(t *testing.T) {
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := fleet.Open(t.Context(), store, fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(rules.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	started := httptest.NewServer(api.New(rules, api.Options{}))
	t.Cleanup(started.Close)
	for _, test := range []struct {
		name, config string
		status       int
		want         string
	}{
		{"many values", `{"v":[` + strings.Repeat("0,", 99_000) + `0]}`, 200, ""},
		{"too many values", `{"v":[` + strings.Repeat("0,", 100_000) + `0]}`, 413, "more than 100000 values"},
		{"too many values, and not JSON", `{"v":[` + strings.Repeat("0,", 100_000) + `}`, 413, "more than 100000 values"},
		{"not JSON", `{"v":[` + strings.Repeat("000 ", 60_000) + `]}`, 422, "is not JSON"},
	} {
		got := call(t, started.URL, "PUT", "/target-config/", `{"config":`+test.config+`}`)
		if got.status != test.status || !strings.Contains(got.body, test.want) {
			t.Errorf("%s: %d %.500s", test.name, got.status, got.body)
		}
	}
}
