package api_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"
	"aspects-poc/roles/server/swagger"
	"aspects-poc/roles/serverapi"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

const exampleID = "ca155b32-2472-4650-afb0-c6f967328afe"

// newServer starts the real surface over a real store, with one device whose UUID is exampleID.
func newServer(t testing.TB, log io.Writer) *httptest.Server {
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
	app := surface(t, store, log)
	started := httptest.NewServer(app)
	t.Cleanup(started.Close)
	return started
}

func surface(t testing.TB, store fleet.Store, log io.Writer) http.Handler {
	t.Helper()
	ids := []uuid.UUID{uuid.MustParse(exampleID)}
	rules, err := fleet.Open(t.Context(), store, fleet.Options{
		Now: func() time.Time { return time.Unix(1719407517, 0) },
		NewID: func() (uuid.UUID, error) {
			if len(ids) > 0 {
				id := ids[0]
				ids = nil
				return id, nil
			}
			return uuid.NewRandom()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rules.Close(); err != nil {
			t.Error(err)
		}
	})
	identity := fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: "PEM", Arch: "amd64"}
	if _, err := rules.Register(t.Context(), identity, nil, fleet.Active); err != nil {
		t.Fatal(err)
	}
	options := api.Options{MaxBody: 4096, Log: slog.New(slog.NewTextHandler(log, nil)), Audit: audit.New(store, audit.Options{})}
	if kept, is := store.(*sqlite.Store); is {
		options.Tokens = kept.Tokens()
	}
	return api.New(rules, options)
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a request with the headers given as "Name: value".
func call(t testing.TB, base, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, strings.TrimSuffix(string(content), "\n")}
}

func client(t *testing.T, url string) *serverapi.Client {
	t.Helper()
	client, err := serverapi.NewClient(url, serverapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// TestOriginalClients sends what clients of the original proof of concept send, byte by byte, in the order of a
// device's life.
func TestOriginalClients(t *testing.T) {
	base := newServer(t, io.Discard).URL
	const plain = "Content-Type: application/json"
	const id = `"uuid": "` + exampleID + `"`
	hash, err := serverapi.HashJSON([]byte(`{"a":{"b":9007199254740993,"c":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		want                     string
	}{
		{"target before any", "GET", "/target-config/", "", nil, 200, `{"config":{}}`},
		{"state after registration", "GET", "/state/" + exampleID + "/", "", nil, 200,
			`{"registered":1719407517,"ip-address":"192.0.2.7","public-key-rsa":"PEM","arch":"amd64","config":{}}`},
		{"in step with nothing", "POST", "/poll/", `{` + id + `, "config": {"a": {"b": 1}}}`, []string{plain}, 204, ``},
		{"set target", "PUT", "/target-config/", `{"config": {"a": {"b": 9007199254740993, "c": null}}}`,
			[]string{plain}, 200, `{"config":{"a":{"b":9007199254740993,"c":null}}}`},
		{"get target", "GET", "/target-config/", "", nil, 200, `{"config":{"a":{"b":9007199254740993,"c":null}}}`},
		{"not in step", "POST", "/poll/", `{"config": {"a": {"b": 1}}, ` + id + `}`,
			[]string{"Content-Type: application/json; charset=utf-8"}, 200,
			`{"config":{"a":{"b":9007199254740993,"c":null}},"revision":1,"hash":"` + hash + `"}`},
		{"in step", "POST", "/poll/", `{` + id + `, "config": {"a": {"b": 9007199254740993}, "x": "<é&>"}}`, nil, 204, ``},
		{"state after polls", "GET", "/state/" + exampleID + "/", "", nil, 200,
			`{"registered":1719407517,"ip-address":"192.0.2.7","public-key-rsa":"PEM","arch":"amd64",` +
				`"config":{"a":{"b":9007199254740993},"x":"<é&>"}}`},
		{"poll of a stranger", "POST", "/poll/",
			`{"uuid": "11111111-2472-4650-afb0-c6f967328afe", "config": {}}`, []string{plain}, 400,
			`{"title":"Bad Request","status":400,"detail":"Agent not registered"}`},
		{"state of a stranger", "GET", "/state/11111111-2472-4650-afb0-c6f967328afe/", "", nil, 400,
			`{"title":"Bad Request","status":400,"detail":"Agent registration not found"}`},
	} {
		t.Run(step.name, func(t *testing.T) {
			got := call(t, base, step.method, step.path, step.body, step.headers...)
			if got.status != step.status || got.body != step.want {
				t.Errorf("got  %d %s\nwant %d %s", got.status, got.body, step.status, step.want)
			}
			if kind := got.header.Get("Content-Type"); step.status == 200 && kind != "application/json" ||
				step.status == 400 && kind != "application/problem+json" {
				t.Errorf("content type %q", kind)
			}
		})
	}
	t.Run("register", func(t *testing.T) {
		got := call(t, base, "POST", "/register/",
			`{"ip-address": "172.16.0.3", "public-key-rsa": "ssh-rsa AAAA", "arch": "arm64"}`, plain)
		var registered serverapi.RegisterResponse
		if err := json.Unmarshal([]byte(got.body), &registered); err != nil || got.status != 200 {
			t.Fatal(got, err)
		}
		if registered.UUID.Version() != 4 {
			t.Errorf("UUID of version %d", registered.UUID.Version())
		}
		want := `{"uuid":"` + registered.UUID.String() + `","registered":1719407517,"ip-address":"172.16.0.3",` +
			`"public-key-rsa":"ssh-rsa AAAA","arch":"arm64","status":"active"}`
		if got.body != want {
			t.Errorf("got  %s\nwant %s", got.body, want)
		}
	})
}

func TestClient(t *testing.T) {
	client, err := serverapi.NewClient(newServer(t, io.Discard).URL, serverapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	identity := serverapi.RegisterRequest{IPAddress: "fe80::1", PublicKeyRSA: "own PEM", Arch: "riscv64"}
	device, err := client.Register(t.Context(), identity)
	if err != nil {
		t.Fatal(err)
	}
	target := serverapi.Config{"v": map[string]any{"n": json.Number("18446744073709551615")}}
	set, err := client.SetTarget(t.Context(), target)
	if err != nil || cmp.Diff(target, set) != "" {
		t.Fatal(set, err)
	}
	poll := func(config serverapi.Config) *serverapi.Offer {
		t.Helper()
		got, err := client.Poll(t.Context(), serverapi.PollRequest{UUID: device.UUID, Config: config}, 0)
		if err != nil {
			t.Fatal(err)
		}
		return got.Offer
	}
	if offer := poll(serverapi.Config{"v": map[string]any{}}); offer == nil || cmp.Diff(target, offer.Config) != "" {
		t.Fatal(offer)
	}
	if offer := poll(target); offer != nil {
		t.Fatal(offer)
	}
	state, err := client.State(t.Context(), device.UUID)
	want := serverapi.State{Registered: device.Registered, RegisterRequest: identity, Config: target}
	if diff := cmp.Diff(want, state); err != nil || diff != "" {
		t.Fatal(diff, err)
	}
	_, stateErr := client.State(t.Context(), uuid.New())
	_, pollErr := client.Poll(t.Context(), serverapi.PollRequest{UUID: uuid.New()}, 0)
	if !serverapi.IsNotRegistered(stateErr) || !serverapi.IsNotRegistered(pollErr) {
		t.Error(stateErr, pollErr)
	}
}

func TestPaths(t *testing.T) {
	base := newServer(t, io.Discard).URL
	for _, test := range []struct {
		method, path string
		status       int
		location     string
		kind         string
	}{
		{"POST", "/register", 307, "/register/", "application/problem+json"},
		{"POST", "/poll?a=b", 307, "/poll/?a=b", "application/problem+json"},
		{"PUT", "/target-config", 307, "/target-config/", "application/problem+json"},
		{"GET", "/state/" + exampleID, 307, "/state/" + exampleID + "/", "application/problem+json"},
		{"GET", "/state/a%20b%2F", 307, "/state/a%20b%2F/", "application/problem+json"},
		{"GET", "/", 307, "docs/index.html", ""},
		{"GET", "/docs", 307, "docs/index.html", ""},
		{"GET", "/docs/", 307, "index.html", ""},
		{"GET", "/docs/index.html", 200, "", "text/html; charset=utf-8"},
		{"GET", "/docs/index.html?x=/y", 200, "", "text/html; charset=utf-8"},
		{"GET", "/docs/swagger-ui.css", 200, "", "text/css; charset=utf-8"},
		{"GET", "/docs/swagger-ui-bundle.js", 200, "", "application/javascript"},
		{"GET", "/openapi.json", 200, "", "application/json"},
		{"GET", "/docs/swagger-ui.css.map", 404, "", "application/problem+json"},
		{"GET", "/docs/nothing.html", 404, "", "application/problem+json"},
		{"GET", "/docs/..%2fopenapi.json", 404, "", "application/problem+json"},
		{"GET", "/nothing", 404, "", "application/problem+json"},
		{"GET", "//example.org/register", 404, "", "application/problem+json"},
		{"GET", "/register/", 405, "", "application/problem+json"},
		{"DELETE", "/target-config/", 405, "", "application/problem+json"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			got := call(t, base, test.method, test.path, "")
			if got.status != test.status || got.header.Get("Location") != test.location ||
				got.header.Get("Content-Type") != test.kind {
				t.Errorf("got %d %v %s", got.status, got.header, got.body)
			}
			if want := "Nothing was done: the path has a slash at its end, " + test.location; got.status == 307 && test.kind != "" &&
				!strings.Contains(got.body, want) {
				t.Errorf("%q is not in %s", want, got.body)
			}
			documentation := test.path == "/" || test.path == "/openapi.json" || strings.HasPrefix(test.path, "/docs")
			if documentation && test.status != 404 {
				head := call(t, base, "HEAD", test.path, "")
				for _, header := range []http.Header{got.header, head.header} {
					header.Del("Date")
					if got.status == http.StatusTemporaryRedirect {
						header.Del("Content-Length") // 0, which only an answer with a body knows
					}
					header.Del("X-Request-Id")
				}
				if diff := cmp.Diff(got.header, head.header); head.status != got.status || head.body != "" || diff != "" {
					t.Errorf("HEAD: %d with %d bytes, headers (-GET +HEAD):\n%s", head.status, len(head.body), diff)
				}
			}
			if test.status == 405 && got.header.Get("Allow") == "" {
				t.Error("which methods are allowed is not told")
			}
		})
	}
}

// TestUIFiles: what the page of Swagger UI loads is served, and nothing else of it is in the binary.
func TestUIFiles(t *testing.T) {
	base := newServer(t, io.Discard).URL
	var loaded []string
	for _, found := range regexp.MustCompile(`(?:src|href)="\./([^"]+)"`).FindAllStringSubmatch(call(t, base, "GET", "/docs/index.html", "").body, -1) {
		loaded = append(loaded, found[1])
		if got := call(t, base, "GET", "/docs/"+found[1], ""); got.status != 200 || len(got.body) < 500 {
			t.Errorf("%s: %d with %d bytes", found[1], got.status, len(got.body))
		}
	}
	listed := swagger.UIFiles()
	slices.Sort(loaded)
	slices.Sort(listed)
	if diff := cmp.Diff(listed, loaded); diff != "" {
		t.Errorf("files of the page (-listed +loaded):\n%s", diff)
	}
}

func TestDescriptionIsCached(t *testing.T) {
	base := newServer(t, io.Discard).URL
	first := call(t, base, "GET", "/openapi.json", "")
	if first.status != 200 || len(first.body) < 100 {
		t.Fatal(first.status, len(first.body))
	}
	again := call(t, base, "GET", "/openapi.json", "", "If-None-Match: "+first.header.Get("ETag"))
	if again.status != 304 || again.body != "" {
		t.Errorf("%d with %d bytes", again.status, len(again.body))
	}
}

func TestOtherSites(t *testing.T) {
	base := newServer(t, io.Discard).URL
	got := call(t, base, "PUT", "/target-config/", `{"config":{}}`, "Sec-Fetch-Site: cross-site")
	if got.status != 403 || !strings.Contains(got.body, `"detail":"Pages of other sites`) {
		t.Error(got)
	}
	if got := call(t, base, "PUT", "/target-config/", `{"config":{}}`, "Sec-Fetch-Site: same-origin"); got.status != 200 {
		t.Error(got)
	}
}

func TestAccessLog(t *testing.T) {
	var log rolestest.Buffer
	started := newServer(t, &log)
	got := call(t, started.URL, "GET", "/state/"+exampleID+"/", "", "X-Request-Id: mine-1")
	if id := got.header.Get("X-Request-Id"); id != "mine-1" {
		t.Errorf("ID %q", id)
	}
	for _, bad := range []string{"spoils the=log", strings.Repeat("x", 65), ""} {
		if id := call(t, started.URL, "GET", "/nothing", "", "X-Request-Id: "+bad).header.Get("X-Request-Id"); id == bad ||
			len(id) < 16 {
			t.Errorf("ID %q", id)
		}
	}
	started.Close() // the log line comes after the answer
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines: %s", len(lines), lines)
	}
	for _, part := range []string{"level=INFO", "msg=request", "method=GET", "path=/state/" + exampleID + "/", "status=200",
		"duration=", "bytes=101", "remote=127.0.0.1", "request-id=mine-1"} {
		if !strings.Contains(lines[0], part) {
			t.Errorf("%s is missing in %s", part, lines[0])
		}
	}
	if !strings.Contains(lines[1], "status=404") {
		t.Error(lines[1])
	}
}
