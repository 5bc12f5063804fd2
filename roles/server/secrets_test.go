package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/metrics"
	"aspects-poc/roles/server/page"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// canary is the beginning of all secrets here.
const canary = "xyzzy"

// A safe is a server that checks that no answer has a secret, except that of a poll.
type safe struct {
	*testing.T
	app    *echo.Echo
	rules  *fleet.Fleet
	device string
	state  string // the database
	log    bytes.Buffer
}

func newSafe(t *testing.T) *safe {
	s := &safe{T: t, state: filepath.Join(t.TempDir(), "server.db")}
	log := slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, err := sqlite.Open(t.Context(), s.state)
	if err != nil {
		t.Fatal(err)
	}
	measured, ring := metrics.New(log), seal.Random()
	s.rules, err = fleet.Open(t.Context(), measured.Store(store), fleet.Options{Schema: network.Document(""), Log: log,
		Keys: func(bool) (*seal.Ring, error) { return ring, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.rules.Close(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		s.atRest()
	})
	measured.Watch(s.rules)
	device, err := s.rules.Register(t.Context(), fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: "PEM", Arch: "amd64"},
		fleet.Labels{"site": "berlin"}, fleet.Active)
	if err != nil {
		t.Fatal(err)
	}
	s.device = device.ID.String()
	shown := page.New(s.rules, page.Options{})
	s.app = api.New(s.rules, api.Options{Log: log, Observed: measured.Request, Page: shown.Trouble, Beside: append(shown.Routes(),
		api.Route{Method: http.MethodGet, Path: "/metrics", Right: access.Read, Handle: echo.WrapHandler(measured.Handler())})})
	return s
}

// atRest searches all files of the database for secrets, and the log.
func (s *safe) atRest() {
	s.Helper()
	list, err := filepath.Glob(s.state + "*")
	if err != nil || len(list) == 0 {
		s.Fatalf("no files: %v", err)
	}
	for _, name := range list {
		if text, err := os.ReadFile(name); err != nil || bytes.Contains(text, []byte(canary)) {
			s.Errorf("%s has a secret: %v", name, err)
		}
	}
	if strings.Contains(s.log.String(), canary) {
		s.Errorf("the log has a secret: %s", s.log.String())
	}
}

// call returns the answer to a request after it has searched it for secrets.
func (s *safe) call(method, path, body string) *httptest.ResponseRecorder {
	s.Helper()
	request := httptest.NewRequestWithContext(s.Context(), method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	answer := httptest.NewRecorder()
	s.app.ServeHTTP(answer, request)
	if path != "/poll/" && strings.Contains(answer.Body.String()+fmt.Sprint(answer.Header()), canary) {
		s.Errorf("%s %s shows a secret: %s", method, path, answer.Body)
	}
	return answer
}

// want is call, and refuses other statuses.
func (s *safe) want(status int, method, path, body string) string {
	s.Helper()
	answer := s.call(method, path, body)
	if answer.Code != status {
		s.Fatalf("%s %s: %d %s; want %d", method, path, answer.Code, answer.Body, status)
	}
	return answer.Body.String()
}

func tunnel(key string) string { return `{"config":{"control-tunnel":{"secret-key":"` + key + `"}}}` }

// TestNoAnswerShowsSecrets puts secrets into every kind of layer, into refused targets and into reports, and then calls every
// route of the server.
func TestNoAnswerShowsSecrets(t *testing.T) {
	s := newSafe(t)
	layers := []string{"/targets/everyone/", "/targets/labels/berlin/", "/targets/devices/" + s.device + "/"}
	for i, path := range layers {
		for round := range 2 {
			body := tunnel(fmt.Sprintf("%s-%d-%d", canary, i, round))
			if strings.Contains(path, "labels") {
				body = `{"selector":"site=berlin",` + body[1:]
			}
			if changes := s.want(200, "PUT", path+"?dry-run=true", body); !strings.Contains(changes, `"$secret":"set"`) {
				t.Errorf("the dry run shows no change: %s", changes)
			}
			s.want(200, "PUT", path, body)
		}
	}
	s.want(200, "PUT", "/target-config/", `{"config":{"control-tunnel":{"interface":"wg0","secret-key":"`+canary+`-9"}}}`)
	for _, refused := range []string{
		`{"control-tunnel":{"secret-key":{"x":"` + canary + `"}}}`, `{"control-tunnel":{"secret-key":{"` + canary + `":1}}}`,
		`{"control-tunnel":{"secret-kez":"` + canary + `"}}`, `{"control-tunnel":{"secret-kez":{"` + canary + `":1}}}`,
		`{"control-tunnel":"` + canary + `"}`, `{"control-tunnel":["` + canary + `"]}`, `{"control-tunel":{"secret-key":"` + canary + `"}}`,
		`{"control-tunnel":{"secret-key":["` + canary + `"]}}`, `{"network/control-tunnel":{"secret-key":["` + canary + `"]}}`,
		`{"observe-tunnel":{"secret-key":"` + canary + `"}}`,
		`{"control-tunnel":{"secret-key":"` + canary + `"},"network/control-tunnel":{"secret-key":"` + canary + `"}}`,
	} {
		for _, path := range append(layers, "/target-config/") {
			body := `{"config":` + refused + `}`
			if strings.Contains(path, "labels") {
				body = `{"selector":"site=berlin",` + body[1:]
			}
			s.want(422, "PUT", path, body)
			s.want(422, "PUT", path+"?dry-run=true", body)
		}
	}
	const reference = `{"config":{"control-tunnel":{"secret-key":{"$secret":"berlin"}}}}`
	s.want(200, "PUT", "/secrets/berlin/", `{"value":"`+canary+`-named-0"}`)
	s.want(200, "PUT", layers[2]+"?dry-run", reference)
	s.want(200, "PUT", layers[2], reference)
	for _, refused := range []string{`{"value":{"x":"` + canary + `"}}`, `{"value":{"` + canary + `":1}}`, `{"value":["` + canary + `"]}`, `{"` +
		canary + `":1}`, `{"value":1,"` + canary + `":1}`, `{"value":{"` + canary + `":1,"` + canary + `":2}}`, `{"value":"` + canary,
		`{"value":"` + canary + `"}"` + canary, `"` + canary + `"`, `{"value":{"$secret":"` + canary + `"}}`,
		`{"value":"` + canary + strings.Repeat("x", fleet.MaxSecretSize) + `"}`} {
		s.want(422, "PUT", "/secrets/berlin/", refused)
		s.want(422, "PUT", "/secrets/berlin/?dry-run", refused)
	}
	s.want(200, "PUT", "/secrets/berlin/?dry-run", `{"value":"`+canary+`-named-1"}`)
	s.want(200, "PUT", "/secrets/berlin/", `{"value":"`+canary+`-named-1"}`)
	poll := func(report string) *httptest.ResponseRecorder {
		return s.call("POST", "/poll/", `{"uuid":"`+s.device+`","config":{"control-tunnel":{"secret-key":"`+canary+`-0-0","interface":`+
			`"wg0","secret-kez":"`+canary+`"}},"report":`+report+`}`)
	}
	answer := poll(`{"sequence":1}`)
	if !strings.Contains(answer.Body.String(), canary+"-named-1") || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("the device gets %d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	var offer struct {
		Revision int64
		Hash     string
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &offer); err != nil {
		t.Fatal(err)
	}
	reports := []string{
		`{"sequence":2,"attempted":{"revision":%d,"outcome":"refused","path":"control-tunnel.secret-key","reason":"value was \"xyzzy-0-0\""}}`,
		`{"sequence":3,"attempted":{"revision":%d,"outcome":"failed","reason":"there: xyzzy-named-1"}}`,
		`{"sequence":4,"running":{"revision":%d,"hash":"` + offer.Hash + `"}}`,
	}
	for _, report := range reports {
		poll(fmt.Sprintf(report, offer.Revision))
		s.everyRoute()
	}
	if refused := s.want(422, "POST", "/history/1/restore/", ""); !strings.Contains(refused, "control-tunnel.secret-key") ||
		!strings.Contains(refused, "give the secret again") {
		t.Error(refused)
	}
	s.want(409, "DELETE", "/secrets/berlin/", "")
	s.atRest() // also what is in the log of the database
	if answers := s.want(200, "GET", "/history/2/diff/", ""); strings.Count(answers, `"$secret"`) != 2 {
		t.Errorf("the diff does not show that the secret changed: %s", answers)
	}
}

// everyRoute calls every route that reads, and that changes nothing that is needed later.
func (s *safe) everyRoute() {
	s.Helper()
	seen := 0
	for _, route := range s.app.Routes() {
		if route.Method != http.MethodGet || route.Path == "/events/" {
			continue
		}
		for revision := 1; revision <= 11; revision++ {
			path := strings.NewReplacer(":uuid", s.device, ":name", "berlin", ":revision", fmt.Sprint(revision)).Replace(route.Path)
			if path == route.Path && revision > 1 {
				continue
			}
			for _, query := range []string{"", "?explain=true", "?against=1", "?kind=packets", "?state=refused", "?limit=5"} {
				if s.call("GET", path+query, "").Code == 200 {
					seen++
				}
			}
		}
	}
	if seen < 60 {
		s.Errorf("only %d answers had content", seen)
	}
}

// TestEventsShowNoSecrets listens while a secret changes.
func TestEventsShowNoSecrets(t *testing.T) {
	s := newSafe(t)
	server := httptest.NewServer(s.app)
	defer server.Close()
	response, err := http.Get(server.URL + "/events/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	s.want(200, "PUT", "/target-config/", tunnel(canary))
	var got []byte
	for buffer := make([]byte, 1000); !bytes.Contains(got, []byte("everyone")); {
		n, err := response.Body.Read(buffer)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		got = append(got, buffer[:n]...)
	}
	if bytes.Contains(got, []byte(canary)) {
		t.Errorf("the events show a secret: %s", got)
	}
}

// TestKeepSecrets sends back what GET has shown.
func TestKeepSecrets(t *testing.T) {
	s := newSafe(t)
	const path = "/targets/everyone/"
	s.want(200, "PUT", path, tunnel(canary))
	shown := func() (config, digest string) {
		config = s.want(200, "GET", "/target-config/", "")
		digest = regexp.MustCompile(`"digest":"([^"]+)"`).FindStringSubmatch(config)[1]
		return config, digest
	}
	config, digest := shown()
	edited := strings.Replace(config, `"control-tunnel":{`, `"control-tunnel":{"interface":"wg0",`, 1)
	s.want(200, "PUT", path+"?dry-run=true", edited)
	s.want(200, "PUT", path, edited)
	if config, kept := shown(); kept != digest || !strings.Contains(config, "wg0") {
		t.Errorf("the digest was %s; now %s", digest, config)
	}
	if offer := s.call("POST", "/poll/", `{"uuid":"`+s.device+`","config":{}}`).Body.String(); !strings.Contains(offer, canary) {
		t.Errorf("the device gets no secret: %s", offer)
	}
	s.want(200, "PUT", path, tunnel(canary+"2"))
	refused := s.want(422, "PUT", path, config)
	if !strings.Contains(refused, "give the secret again") || !strings.Contains(refused, "control-tunnel.secret-key") {
		t.Error(refused)
	}
	_, digest = shown()
	marker := `{"$secret":"set","digest":"` + digest + `"}`
	for _, body := range []string{
		`{"config":{"control-tunnel":{"interface":` + marker + `}}}`,
		`{"config":{"control-tunnel":{"secret-key":{"$secret":"set"}}}}`,
		`{"config":{"control-tunnel":{"secret-key":{"$secret":"name","digest":"` + digest + `"}}}}`,
		`{"config":{"observe-tunnel":` + marker + `}}`,
		`{"config":` + marker + `}`,
	} {
		s.want(422, "PUT", path, body)
	}
	s.want(422, "PUT", "/targets/devices/"+s.device+"/", `{"config":{"control-tunnel":{"secret-key":`+marker+`}}}`)
}

// TestReasonsStayLeftOut replaces a secret after a device has quoted it, or before the device does.
func TestReasonsStayLeftOut(t *testing.T) {
	s := newSafe(t)
	const path = "/targets/everyone/"
	set := func(config string) (revision int64) {
		var layer struct{ Revision int64 }
		if err := json.Unmarshal([]byte(s.want(200, "PUT", path, `{"config":`+config+`}`)), &layer); err != nil {
			t.Fatal(err)
		}
		return layer.Revision
	}
	sequence, at, shown := 0, 0, "{}"
	report := func(revision int64, where, reason string) {
		sequence++
		s.call("POST", "/poll/", fmt.Sprintf(`{"uuid":%q,"config":%s,"report":{"sequence":%d,"attempted":{"revision":%d,"outcome":"failed",`+
			`"path":%q,"reason":%q,"at":%d}}}`, s.device, shown, sequence, revision, where, reason, at))
	}
	shows := func(wantPath, wantReason string) {
		t.Helper()
		var device struct {
			Attempted struct{ Path, Reason string }
		}
		if err := json.Unmarshal([]byte(s.want(200, "GET", "/devices/"+s.device+"/", "")), &device); err != nil {
			t.Fatal(err)
		}
		if got := device.Attempted; got.Path != wantPath || got.Reason != wantReason {
			t.Errorf("shown %+v; want %q %q", got, wantPath, wantReason)
		}
	}
	const leftOut = "the reason may quote a secret and is left out"
	secret := func(n int, rate int) string {
		return fmt.Sprintf(`{"control-tunnel":{"secret-key":"%s-%d"},"control-telemetry":{"sample-rate":%d}}`, canary, n, rate)
	}
	first := set(secret(1, 4))
	report(first, "", "the file has "+canary+"-1")
	shows("", leftOut)
	second := set(secret(2, 4)) // now nobody knows what it quoted
	shows("", leftOut)
	report(first, "", "the file has "+canary+"-1") // again, in a new report
	shows("", leftOut)
	for _, late := range []string{"the file has " + canary + "-1", "there is no such file"} { // of which target?
		at++
		report(first, "", late)
		shows("", leftOut)
	}
	at++
	report(second, "control-telemetry.sample-rate", "too fast")
	shows("control-telemetry.sample-rate", "too fast")
	third := set(secret(2, 5)) // the same secret: what was tried before is known
	at++
	report(second, "control-telemetry.sample-rate", "much too fast")
	shows("control-telemetry.sample-rate", "much too fast")
	at++
	report(third, "control-tunnel.secret-key."+canary, "odd")
	shows("control-tunnel.secret-key", leftOut)
	fourth := set(`{"control-telemetry":{"sample-rate":5}}`)
	shows("control-tunnel.secret-key", leftOut)
	report(third, "control-tunnel.secret-key."+canary, "odd")
	shows("control-tunnel.secret-key", leftOut)
	at++
	report(fourth+100, "", canary+" is of another server")
	shows("", leftOut)
	at++
	report(fourth, "", "no room")
	shows("", "no room")
	moves := func(site string) { s.want(200, "PATCH", "/devices/"+s.device+"/labels/", `{"site":"`+site+`"}`) }
	moves("hamburg") // no label layer has a secret
	at++
	report(fourth, "", "still no room")
	shows("", "still no room")
	moves("berlin")
	s.want(200, "PUT", "/targets/labels/berlin/", `{"selector":"site=berlin","config":`+secret(7, 5)+`}`)
	moves("hamburg")
	at++
	report(fourth+3, "", "the file has "+canary+"-7") // it was in Berlin then
	shows("", leftOut)
	at++
	shown = secret(7, 5) // a guess does not tell what is left out
	report(fourth+3, "", "no file")
	shows("", leftOut)
	long := set(`{"control-tunnel":{"secret-key":"` + canary + `<one>\n` + canary + `-two\n"},"control-telemetry":{"sample-rate":5}}`)
	for _, test := range []struct {
		revision                           int64
		path, reason, wantPath, wantReason string
	}{
		{long, "", "the file has " + canary + `\u003cone\u003e`, "", leftOut},
		{long, "", "the file has " + strings.ToUpper(canary) + "-TWO", "", leftOut},
		{long, "", "the file has one line", "", "the file has one line"},
		{long, "", "no <one> " + canary + "-t", "", leftOut},
		{long, "tunnel.secret-key", "odd", "tunnel.secret-key", leftOut}, // as a device's engine says it
		{long, "tunnel.secret-key." + canary, "odd", "tunnel.secret-key", leftOut},
		{long, "tunnel", "odd", "tunnel", leftOut},
		{long, "tunnel.interface", "odd", "tunnel.interface", "odd"},
		{long, "network/control-tunnel.secret-key." + canary, "odd", "control-tunnel.secret-key", leftOut},
		{long, "tunnel.secret-key", "expected string type but value was number", "tunnel.secret-key",
			"expected string type but value was number"},
		{long, "other." + canary + "-two", "odd", "", leftOut},
		{long, "other.part", "odd", "other.part", "odd"},
		{first, "control-tunnel.secret-key", `"` + canary + `-1": no matching rule`, "control-tunnel.secret-key", leftOut},
		{first, "", `cannot set "auth.` + canary + `-1" through network/control-tunnel: no matching rule`, "", leftOut},
		{first, "", canary + "-1: expected int type but value was string", "", leftOut},
		{first, "other." + canary, "no matching rule", "", leftOut},
		{long + 100, "", canary + "-1: no matching rule", "", leftOut},
		{long + 100, "", "no matching rule", "", "no matching rule"},
	} {
		at++
		report(test.revision, test.path, test.reason)
		shows(test.wantPath, test.wantReason)
		report(test.revision, test.path, test.reason) // again
		shows(test.wantPath, test.wantReason)
	}
}

// TestGuessesInReports has a device report the secret of others, and compares all digests that operators see.
func TestGuessesInReports(t *testing.T) {
	s := newSafe(t)
	other, err := s.rules.Register(t.Context(), fleet.Identity{IPAddress: "192.0.2.8", PublicKeyRSA: "other", Arch: "amd64"}, nil,
		fleet.Active)
	if err != nil {
		t.Fatal(err)
	}
	digests := regexp.MustCompile(`"?digest"?[:=]"?([\w-]{10})"?`)
	seen := map[string]string{} // the place of a digest
	show := func(place, answer string) {
		t.Helper()
		list := digests.FindAllStringSubmatch(answer, -1)
		if len(list) == 0 {
			t.Errorf("%s shows no digest: %s", place, answer)
		}
		for _, found := range list {
			if at := seen[found[1]]; at != "" && at != place {
				t.Errorf("%s and %s show the digest %s", at, place, found[1])
			}
			seen[found[1]] = place
		}
	}
	same := func(place string) {
		t.Helper()
		count := 0
		for _, at := range seen {
			if at == place {
				count++
			}
		}
		if count != 1 {
			t.Errorf("%s shows the same secret with %d digests", place, count)
		}
	}
	show("secret", s.want(200, "PUT", "/secrets/pin/", `{"value":"`+canary+`"}`))
	show("everyone", s.want(200, "PUT", "/targets/everyone/", tunnel(canary)))
	show("berlin", s.want(200, "PUT", "/targets/labels/berlin/", `{"selector":"site=berlin",`+tunnel(canary)[1:]))
	own := "/targets/devices/" + s.device + "/"
	s.want(200, "PUT", own, `{"config":{"control-tunnel":{"secret-key":{"$secret":"pin"}}}}`)
	for _, id := range []string{s.device, other.ID.String()} {
		s.call("POST", "/poll/", `{"uuid":"`+id+`","config":{"control-tunnel":{"secret-key":"`+canary+`"}},"report":{"sequence":1,`+
			`"running":{"revision":1,"hash":"`+canary+`"}}}`)
		config, running, found := strings.Cut(s.want(200, "GET", "/devices/"+id+"/", ""), `"running"`)
		if !found {
			t.Fatalf("no running hash: %s", config)
		}
		hash, rest, _ := strings.Cut(running, "}")
		show("running "+id, hash)
		if report := config + rest; digests.MatchString(report) {
			show("device "+id, report)
		} else {
			t.Errorf("no report: %s", report)
		}
		show("device "+id, s.want(200, "GET", "/devices/"+id+"/target/", "")) // the device gets this secret
		same("device " + id)
	}
	show("secret", s.want(200, "GET", "/secrets/", ""))
	show("secret", s.want(200, "GET", "/history/1/diff/", ""))
	same("secret")
	show("everyone", s.want(200, "GET", "/history/2/", ""))
	show("everyone", s.want(200, "GET", "/targets/everyone/", ""))
	same("everyone")
	show("berlin", s.want(200, "POST", "/history/3/restore/", ""))
	same("berlin")
	page := s.want(200, "GET", "/page/devices/"+s.device+"/", "")
	if strings.Contains(page, "differs") {
		t.Errorf("the page tells of a difference: %s", page)
	}
}

// TestNamedSecrets sets a secret that several layers refer to, in one place.
func TestNamedSecrets(t *testing.T) {
	s := newSafe(t)
	own := "/targets/devices/" + s.device + "/"
	reference := func(name string) string {
		return `{"config":{"control-tunnel":{"secret-key":{"$secret":"` + name + `"}}}}`
	}
	offered := func(want string) (revision int64) {
		t.Helper()
		var offer struct {
			Revision int64
			Config   map[string]map[string]any
		}
		if err := json.Unmarshal(s.call("POST", "/poll/", `{"uuid":"`+s.device+`","config":{}}`).Body.Bytes(), &offer); err != nil {
			t.Fatal(err)
		}
		if got := offer.Config["control-tunnel"]["secret-key"]; got != want {
			t.Errorf("the device is offered %v, want %s", got, want)
		}
		return offer.Revision
	}
	has := func(text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %s", text, part)
			}
		}
	}
	has(s.want(422, "PUT", own, reference("vpn")), "there is none of this name", "control-tunnel.secret-key")
	set := s.want(200, "PUT", "/secrets/vpn/", `{"value":"`+canary+`-1"}`)
	digest := regexp.MustCompile(`"digest":"[^"]+"`).FindString(set)
	has(set, `"revision":1`, `"devices":0`)
	for _, place := range []string{
		`{"control-tunnel":{"interface":{"$secret":"vpn"}}}`, `{"control-tunnel":{"$secret":"vpn"}}`, `{"control-telemetry":{"sample-rate":{"$secret":"vpn"}}}`,
	} {
		has(s.want(422, "PUT", own, `{"config":`+place+`}`), "the confdb-schema has no secret there")
	}
	has(s.want(422, "PUT", own, reference("a b")), "a secret's name must be letters and digits")
	for _, name := range []string{"set", "unset", "a%2fb", "-a", strings.Repeat("x", 64)} {
		s.want(422, "PUT", "/secrets/"+name+"/", `{"value":1}`)
	}
	s.want(422, "PUT", "/secrets/vpn/", `{"value":null}`)

	s.want(200, "PUT", "/targets/everyone/", reference("vpn")) // revision 2
	s.want(200, "PUT", "/targets/labels/berlin/", `{"selector":"site=berlin",`+reference("vpn")[1:])
	offered(canary + "-1")
	for _, path := range []string{"/targets/everyone/", "/target-config/"} {
		has(s.want(200, "GET", path, ""), `{"$secret":"vpn"}`)
	}
	explained := s.want(200, "GET", "/devices/"+s.device+"/target/?explain", "")
	ofDevice := regexp.MustCompile(`"digest":"[^"]+"`).FindString(explained)
	has(explained, `{"$secret":"vpn",`+ofDevice+`}`, `"control-tunnel.secret-key":{"layer":"labels/berlin","revision":3}`)
	has(s.want(200, "PUT", "/targets/everyone/?dry-run", `{"config":{"control-tunnel":{"secret-key":{"$secret":"vpn",`+digest+`}}}}`), `"devices":0`)
	listed := s.want(200, "GET", "/secrets/", "")
	has(listed, `"name":"vpn"`, digest, `"revision":1`, `"layers":["everyone","labels/berlin"]`)

	has(s.want(200, "PUT", "/secrets/vpn/?dry-run", `{"value":"`+canary+`-2"}`), `"devices":1`, `"before":{"$secret":"vpn",`+ofDevice, `"kind":"changed"`)
	offered(canary + "-1")
	set = s.want(200, "PUT", "/secrets/vpn/", `{"value":"`+canary+`-2"}`)
	has(set, `"revision":4`, `"devices":1`)
	if strings.Contains(set, digest) {
		t.Errorf("the digest is the same: %s", set)
	}
	if revision := offered(canary + "-2"); revision != 4 {
		t.Errorf("the desired revision is %d", revision)
	}
	has(s.want(200, "PUT", "/secrets/vpn/", `{"value":"`+canary+`-2"}`), `"revision":4`)
	refused := s.want(422, "PUT", "/secrets/vpn/", `{"value":7}`)
	has(refused, "layer everyone: ")
	has(s.want(409, "DELETE", "/secrets/vpn/", ""), "everyone, labels/berlin")
	has(s.want(200, "GET", "/history/?layer=secrets/vpn", ""), `"revision":4`, `"revision":1`)
	has(s.want(200, "GET", "/history/4/diff/", ""), `"layer":"secrets/vpn"`, `"against":1`, `"kind":"changed"`)
	has(s.want(422, "POST", "/history/4/restore/", ""), "set the secret again")

	s.want(200, "PUT", own, `{"config":{"control-tunnel":{"secret-key":"`+canary+`-own"}}}`) // 5
	offered(canary + "-own")
	s.want(200, "PUT", own, reference("vpn")) // 6
	s.want(204, "DELETE", "/targets/everyone/", "")
	s.want(204, "DELETE", "/targets/labels/berlin/", "")
	s.want(200, "PUT", "/secrets/vpn/", `{"value":"`+canary+`-3"}`) // 9
	if revision := offered(canary + "-3"); revision != 9 {
		t.Errorf("the desired revision is %d", revision)
	}
	has(s.want(200, "GET", "/summary/", ""), `"behind":1`)
	has(s.want(409, "DELETE", "/secrets/vpn/", ""), "devices/"+s.device)
	has(s.want(200, "POST", "/history/3/restore/", ""), `{"$secret":"vpn"}`) // a reference is no secret
	s.want(204, "DELETE", "/targets/labels/berlin/", "")
	s.want(204, "DELETE", own, "")
	s.want(204, "DELETE", "/secrets/vpn/", "")
	s.want(404, "DELETE", "/secrets/vpn/", "")
	has(s.want(422, "POST", "/history/3/restore/", ""), "there is none of this name")
	has(s.want(200, "GET", "/secrets/", ""), `{"secrets":[]}`)
}

// TestNamedSecretsWakeDevices changes a secret while a poll is held.
func TestNamedSecretsWakeDevices(t *testing.T) {
	s := newSafe(t)
	s.want(200, "PUT", "/secrets/vpn/", `{"value":"`+canary+`-1"}`)
	s.want(200, "PUT", "/targets/everyone/", `{"config":{"control-tunnel":{"secret-key":{"$secret":"vpn"}}}}`)
	id := uuid.MustParse(s.device)
	answer, err := s.rules.Poll(t.Context(), id, fleet.Poll{Report: true, Sequence: 1})
	if err != nil {
		t.Fatal(err)
	}
	held := fleet.Poll{Report: true, Sequence: 2, Running: fleet.Running{Revision: answer.Offer.Revision, Hash: answer.Offer.Hash},
		Wait: fleet.MaxWait}
	offers := make(chan *fleet.Target, 1)
	go func() {
		answer, err := s.rules.Poll(t.Context(), id, held)
		if err != nil {
			t.Error(err)
		}
		offers <- answer.Offer
	}()
	for s.rules.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	s.want(200, "PUT", "/secrets/vpn/", `{"value":"`+canary+`-2"}`)
	offer := <-offers
	if offer == nil || offer.Revision != 3 || !strings.Contains(offer.Config.String(), canary+"-2") {
		t.Errorf("the held poll is answered with %+v", offer)
	}
	// The page compares what the device shows with the secret that its target names.
	held.Sequence, held.Wait, held.Config, held.Running.Revision, held.Running.Hash = 3, 0, offer.Config, offer.Revision, offer.Hash
	if answer, err := s.rules.Poll(t.Context(), id, held); err != nil || answer.Offer != nil {
		t.Errorf("%+v, %v", answer, err)
	}
	if shown := s.want(200, "GET", "/page/devices/"+s.device+"/", ""); !strings.Contains(shown, ">matches<") || strings.Contains(shown, ">differs<") {
		t.Error(shown)
	}
}
