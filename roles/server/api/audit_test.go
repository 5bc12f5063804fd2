package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// An unsteady store fails at random, before it does something or after, and says so in both cases.
type unsteady struct {
	*sqlite.Store
	fails func() bool
}

var errUnsteady = errors.New("the disk is full")

func (u unsteady) may(do func() error) error {
	if u.fails() {
		return errUnsteady
	}
	if err := do(); err != nil {
		return err
	}
	if u.fails() {
		return errUnsteady
	}
	return nil
}

func (u unsteady) ChangeAll(ctx context.Context, batch fleet.Batch) (layers []fleet.Layer, err error) {
	err = u.may(func() (err error) { layers, err = u.Store.ChangeAll(ctx, batch); return err })
	return layers, err
}

func (u unsteady) SetLabels(ctx context.Context, id uuid.UUID, before, after fleet.Labels, by fleet.Authorship) (revision int64, err error) {
	err = u.may(func() (err error) { revision, err = u.Store.SetLabels(ctx, id, before, after, by); return err })
	return revision, err
}

func (u unsteady) SetStatus(ctx context.Context, id uuid.UUID, status fleet.Status, within fleet.Scope) error {
	return u.may(func() error { return u.Store.SetStatus(ctx, id, status, within) })
}

func (u unsteady) SetName(ctx context.Context, id uuid.UUID, name string, by fleet.Authorship) (revision int64, err error) {
	err = u.may(func() (err error) { revision, err = u.Store.SetName(ctx, id, name, by); return err })
	return revision, err
}

// MoveRelease fails for persons only: the server moves a release at any time.
func (u unsteady) MoveRelease(ctx context.Context, move fleet.ReleaseMove) (moved fleet.Release, err error) {
	if byItself(move.By) {
		return u.Store.MoveRelease(ctx, move)
	}
	err = u.may(func() (err error) { moved, err = u.Store.MoveRelease(ctx, move); return err })
	return moved, err
}

func byItself(author string) bool { return strings.HasPrefix(author, "release ") }

func (u unsteady) AddRecord(ctx context.Context, record audit.Record) error {
	return u.may(func() error { return u.Store.AddRecord(ctx, record) })
}

// An audited is a server with tokens and an audit log over an unsteady store.
type audited struct {
	t      *testing.T
	path   string
	broken atomic.Bool // the store fails now and then
	random *rand.Rand
	tokens map[string]string // the text by name

	store  *sqlite.Store
	rules  *fleet.Fleet
	log    *audit.Log
	server *httptest.Server
}

func newAudited(t *testing.T, random *rand.Rand) *audited {
	a := &audited{t: t, path: filepath.Join(t.TempDir(), "server.db"), random: random, tokens: map[string]string{}}
	a.start()
	t.Cleanup(a.stop)
	for name, token := range map[string]access.Token{
		"ann": {Role: access.RoleAdmin}, "vera": {Role: access.RoleViewer}, "otto": {Role: access.RoleOperator},
		"bert": {Role: access.RoleOperator, Scope: access.Scope{"site": "berlin"}}, "app": {Role: access.RoleApprover},
		"sso": {Role: access.RoleAdmin, Proxy: true},
	} {
		token.Name, token.Purpose, token.Created = name, access.Operate, time.Now()
		a.tokens[name], token.Digest = access.NewToken(access.Operate)
		if err := a.store.Tokens().AddToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (a *audited) start() {
	a.t.Helper()
	var err error
	if a.store, err = sqlitetest.Open(context.Background(), a.path); err != nil {
		a.t.Fatal(err)
	}
	store := unsteady{a.store, func() bool { return a.broken.Load() && a.random.IntN(6) == 0 }}
	if a.rules, err = fleet.Open(context.Background(), store, fleet.Options{Schema: network.Document("")}); err != nil {
		a.t.Fatal(err)
	}
	a.log = audit.New(store, audit.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	gate, err := access.New(access.Options{Devices: noDevices{}, Tokens: a.store.Tokens()})
	if err != nil {
		a.t.Fatal(err)
	}
	a.server = httptest.NewServer(api.New(a.rules, api.Options{MaxBody: 1 << 16, Gate: gate, Audit: a.log, Tokens: a.store.Tokens()}))
}

type noDevices struct{}

func (noDevices) Holder(context.Context, string) (access.Holder, error) {
	return access.Holder{}, access.ErrUnknownDevice
}

func (noDevices) HolderByID(context.Context, uuid.UUID) (access.Holder, error) {
	return access.Holder{}, access.ErrUnknownDevice
}

func (a *audited) stop() {
	a.broken.Store(false)
	a.rules.Release()
	a.server.Close()
	for _, err := range []error{a.rules.Close(), a.log.Close(context.Background()), a.store.Close()} {
		if err != nil {
			a.t.Error(err)
		}
	}
}

// send sends a request with a token, and for sso a person.
func (a *audited) send(who, method, path, body string, headers ...string) answer {
	a.t.Helper()
	if text := a.tokens[who]; text != "" {
		headers = append(headers, "Authorization: Bearer "+text)
	}
	if who == "sso" {
		headers = append(headers, "X-Forwarded-User: zoe@example.com", "X-Forwarded-For: 10.1.1.1, 192.0.2.99")
	}
	return call(a.t, a.server.URL, method, path, body, headers...)
}

func (a *audited) after(number int64) []audit.Record {
	a.t.Helper()
	list, err := a.store.Records(a.t.Context(), audit.Filter{Ascending: true, After: number}, 10_000)
	if err != nil {
		a.t.Fatal(err)
	}
	return list
}

func (a *audited) last() int64 {
	a.t.Helper()
	list, err := a.store.Records(a.t.Context(), audit.Filter{}, 1)
	if err != nil {
		a.t.Fatal(err)
	}
	if len(list) == 0 {
		return 0
	}
	return list[0].Number
}

// see has all devices poll, so that the server has something to keep of them at the next request.
func (a *audited) see() {
	a.t.Helper()
	devices, _, err := a.store.Devices(a.t.Context(), "", 1000)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, device := range devices {
		if _, err := a.rules.Poll(a.t.Context(), device.ID, fleet.Poll{}); err != nil && !errors.Is(err, fleet.ErrRevoked) {
			a.t.Fatal(err)
		}
	}
}

// state has all that operators change.
func (a *audited) state() string {
	a.t.Helper()
	ctx := a.t.Context()
	var text strings.Builder
	devices, _, err := a.store.Devices(ctx, "", 1000)
	for _, device := range devices {
		fmt.Fprintln(&text, device.ID, device.Status, device.Labels, device.Name)
	}
	history, failed := a.store.History(ctx, "", 0, 10_000)
	history = slices.DeleteFunc(history, func(entry fleet.Entry) bool { return byItself(entry.By) })
	tokens, failedToo := a.store.Tokens().Tokens(ctx)
	for _, token := range tokens {
		fmt.Fprintln(&text, token.Name, token.Revoked)
	}
	if err := errors.Join(err, failed, failedToo); err != nil {
		a.t.Fatal(err)
	}
	return text.String() + fmt.Sprint(len(history))
}

// TestEachActHasOneRecord sends random requests by all roles, to a server that restarts, over a store that fails. Each change has one
// record that it is done, each other request that would change something has one, with its reason, and nothing else has any.
func TestEachActHasOneRecord(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	a := newAudited(t, random)
	var devices []string
	for i := range 3 {
		device, err := a.rules.Register(t.Context(), fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: fmt.Sprint("PEM ", i), Arch: "amd64"},
			fleet.Labels{"site": []string{"berlin", "munich", "berlin"}[i]}, fleet.Active)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, device.ID.String())
	}
	people := []string{"ann", "ann", "vera", "otto", "bert", "app", "sso", "stranger"}
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	made := 0
	releases := func() []string { // the last ones, and two that are none
		list, err := a.store.Releases(t.Context(), 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{"1", "99999"}
		for _, of := range list {
			ids = append(ids, fmt.Sprint(of.ID), fmt.Sprint(of.ID))
		}
		return ids
	}
	request := func() (method, path, body string, reads bool) {
		rate := fmt.Sprintf(`"config":{"control-telemetry":{"sample-rate":%s}}`, pick("1", "2", "3", `"no"`))
		device := pick(append(devices, "nobody", uuid.NewString())...)
		switch random.IntN(14) {
		case 0:
			return "PUT", "/targets/everyone/" + pick("", "", "?dry-run=true", "?dry-run"), "{" + rate + "}", false
		case 1:
			return "PUT", "/targets/labels/" + pick("a", "b") + "/", `{"selector":"` + pick("site=berlin", "site=munich") + `",` + rate + `}`, false
		case 2:
			return "DELETE", "/targets/labels/" + pick("a", "b") + "/", "", false
		case 3:
			return "PUT", "/targets/devices/" + device + "/", "{" + rate + "}", false
		case 4:
			return "PATCH", "/devices/" + device + "/labels/", `{"line":"` + pick("1", "2") + `"}`, false
		case 5:
			return "POST", "/devices/" + device + "/" + pick("approve", "revoke") + "/", "", false
		case 6:
			return "PUT", "/devices/" + device + "/name/", `{"name":"` + pick("lobby", "yard", "") + `"}`, false
		case 7:
			return "POST", "/history/" + pick("1", "2", "3", "99", "x") + "/restore/", "", false
		case 8:
			made++
			return "POST", "/tokens/", fmt.Sprintf(`{"name":"t%d","role":"%s"}`, made-random.IntN(2), pick("viewer", "king")), false
		case 9:
			return "DELETE", "/tokens/" + fmt.Sprintf("t%d", random.IntN(made+2)) + "/", "", false
		case 10:
			return "POST", "/targets/", `{"changes":[{"layer":"everyone",` + rate + `},{"layer":"labels/a","selector":"site=berlin",` + rate + `}]}`, false
		case 11:
			return "POST", "/targets/", `{"changes":[{"layer":"labels/c","selector":"site=munich",` + rate + `}],"release":{"stages":[{"devices":1}]}}`, false
		case 12:
			return "POST", "/releases/" + pick(releases()...) + "/" + pick("go", "halt", "undo") + "/", "", false
		}
		return "GET", pick("/devices/", "/audit/", "/whoami/", "/tokens/", "/history/"), "", true
	}
	strangers, counts := 0, map[string]int{}
	for n := range 400 {
		if n%60 == 59 {
			a.stop()
			a.start()
		}
		a.broken.Store(n%3 != 0)
		who := pick(people...)
		method, path, body, reads := request()
		a.see()
		before, last := a.state(), a.last()
		id := fmt.Sprintf("request-%d", n)
		got := a.send(who, method, path, body, "X-Request-ID: "+id)
		a.broken.Store(false)
		if err := a.log.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var records []audit.Record
		for _, record := range a.after(last) {
			if record.Kind != audit.Stranger && record.Kind != audit.Server {
				records = append(records, record)
			}
		}
		changed := a.state() != before
		want := ""
		switch {
		case got.status == 401:
			strangers++
		case strings.Contains(path, "dry-run"), reads:
		case changed:
			want = "done"
		case got.status < 400:
			want = "unchanged"
		case got.status < 500:
			want = "refused"
		default:
			want = "failed"
		}
		said := fmt.Sprintf("%d: %s %s %s %s: %d %s", n, who, method, path, body, got.status, got.body)
		if reads && changed {
			t.Fatalf("%s: reading has changed something", said)
		}
		if want == "" {
			if len(records) > 0 {
				t.Fatalf("%s: %+v", said, records)
			}
			continue
		}
		counts[want]++
		if len(records) != 1 || string(records[0].Result) != want {
			t.Fatalf("%s: want one record that is %s: %+v", said, want, records)
		}
		record := records[0]
		person, address, proxy := "", "127.0.0.1", ""
		if who == "sso" {
			person, address, proxy = "zoe@example.com", "192.0.2.99", "127.0.0.1"
		}
		if record.Kind != audit.Operator || record.Name != who || record.Person != person || record.Address != address || record.Proxy != proxy ||
			record.Request != id || record.Verb == "" || strings.Contains(record.Thing, ":") || record.Agent == "" {
			t.Fatalf("%s: %+v", said, record)
		}
		if refused := want == "refused" || want == "failed"; refused != (record.Status != 0) || refused && (record.Status != got.status || record.Reason == "") {
			t.Fatalf("%s: %+v", said, record)
		}
	}
	if err := a.log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	counted := int64(0)
	for _, record := range a.after(0) {
		if record.Kind == audit.Stranger {
			counted += cmp.Or(record.Times, 1)
		}
		for name, text := range a.tokens {
			if strings.Contains(fmt.Sprint(record), text) {
				t.Errorf("a record has the token of %s: %+v", name, record)
			}
		}
	}
	if counted != int64(strangers) {
		t.Errorf("%d requests without a token are counted, of %d", counted, strangers)
	}
	for _, result := range audit.Results() {
		if counts[string(result)] == 0 {
			t.Errorf("no request was %s: %v", result, counts)
		}
	}
}

// TestWordsToAReleaseHaveOneRecord says go, halt and undo to a release that rolls, is halted, and has ended, while devices poll.
func TestWordsToAReleaseHaveOneRecord(t *testing.T) {
	a := newAudited(t, rand.New(rand.NewPCG(1, 1)))
	if _, err := a.rules.Register(t.Context(), fleet.Identity{IPAddress: "192.0.2.7", PublicKeyRSA: "PEM", Arch: "amd64"},
		fleet.Labels{"site": "berlin"}, fleet.Active); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		word   string // "" begins a release
		status int
		want   string
	}{
		{"", 200, "apply layers/labels/a done"},
		{"go", 409, "go releases/2 refused"}, // it rolls
		{"halt", 200, "halt releases/2 done"},
		{"halt", 409, "halt releases/2 refused"},
		{"go", 200, "go releases/2 done"},
		{"halt", 200, "halt releases/2 done"},
		{"undo", 200, "undo releases/2 done"},
		{"go", 409, "go releases/2 refused"}, // it has ended
		{"halt", 409, "halt releases/2 refused"},
		{"undo", 409, "undo releases/2 refused"},
	} {
		a.see()
		last, id, body := a.last(), uuid.NewString(), ""
		path := "/releases/2/" + step.word + "/"
		if step.word == "" {
			path = "/targets/"
			body = `{"changes":[{"layer":"labels/a","selector":"site=berlin","config":{"control-telemetry":{"sample-rate":2}}}],"release":{"stages":[{"devices":1}]}}`
		}
		got := a.send("ann", "POST", path, body, "X-Request-ID: "+id)
		var records []string
		for _, record := range a.after(last) {
			if record.Request == id {
				records = append(records, fmt.Sprintf("%s %s %s", record.Verb, record.Thing, record.Result))
				if refused := step.status != 200; refused != (record.Status == step.status) || refused == (record.Reason == "") {
					t.Errorf("%+v: %+v", step, record)
				}
			}
		}
		if got.status != step.status || !slices.Equal(records, []string{step.want}) {
			t.Errorf("%+v: %d %s: %q", step, got.status, got.body, records)
		}
	}
}

// TestAudit reads the log as an operator does.
func TestAudit(t *testing.T) {
	a := newAudited(t, rand.New(rand.NewPCG(1, 1)))
	const layer = `{"config":{"control-telemetry":{"sample-rate":2}}}`
	for _, step := range []struct {
		who, method, path, body string
		status                  int
	}{
		{"ann", "PUT", "/targets/everyone/", layer, 200},
		{"vera", "PUT", "/targets/everyone/", layer, 403},
		{"sso", "PUT", "/targets/labels/berlin/", `{"selector":"site=berlin",` + layer[1:], 200},
		{"ann", "POST", "/tokens/", `{"name":"carl","role":"operator","scope":{"site":"berlin"}}`, 200},
		{"ann", "DELETE", "/tokens/" + a.tokens["vera"] + "/", "", 404}, // the token in the place of its name
		{"ann", "PUT", "/targets/everyone/", `{"config":{"control-telemetry":{"sample-rate":"s3cr3t"}}}`, 422},
	} {
		if got := a.send(step.who, step.method, step.path, step.body); got.status != step.status {
			t.Fatalf("%+v: %d %s", step, got.status, got.body)
		}
	}
	list := func(query string) (verbs []string) {
		t.Helper()
		got := a.send("ann", "GET", "/audit/"+query, "")
		var page serverapi.AuditPage
		if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != 200 {
			t.Fatalf("%s: %d %s", query, got.status, got.body)
		}
		for _, r := range page.Records {
			verbs = append(verbs, r.Verb+" "+r.Thing+" "+r.Result)
		}
		return verbs
	}
	all := []string{"set layers/everyone refused", "revoke tokens/aspects-operate-… refused", "create tokens/carl done",
		"set layers/labels/berlin done", "set layers/everyone refused", "set layers/everyone done"}
	for query, want := range map[string][]string{
		"": all, "?limit=2": all[:2], "?before=3": all[4:], "?after=4": {all[1], all[0]}, "?who=zoe@example.com": all[3:4], "?who=vera": all[4:5],
		"?result=done": {all[2], all[3], all[5]}, "?thing=layers": {all[0], all[3], all[4], all[5]}, "?thing=layers/labels": all[3:4],
		"?since=9999999999": nil,
	} {
		if got := list(query); strings.Join(got, ";") != strings.Join(want, ";") {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	whole := a.send("ann", "GET", "/audit/?after=0", "", "Accept: application/jsonl")
	lines := strings.Split(strings.TrimSpace(whole.body), "\n")
	if whole.header.Get("Content-Type") != "application/jsonl" || len(lines) != len(all) {
		t.Errorf("lines: %v %q", whole.header, lines)
	}
	for _, want := range []string{`"person":"zoe@example.com"`, `"details":"selector site=berlin"`, `"details":"role operator, scope site=berlin"`,
		`"status":403,"reason":"The token of vera has the role viewer`, `"reason":"cannot be taken: control-telemetry.sample-rate"`, `"revision":2`} {
		if !strings.Contains(whole.body, want) {
			t.Errorf("the log lacks %s:\n%s", want, whole.body)
		}
	}
	for _, secret := range append([]string{"s3cr3t"}, a.tokens["vera"]) {
		if strings.Contains(whole.body, secret) {
			t.Errorf("the log has %s:\n%s", secret, whole.body)
		}
	}
	for _, query := range []string{"?result=good", "?since=yesterday", "?before=1&after=1", "?after=x", "?limit=0"} {
		if got := a.send("ann", "GET", "/audit/"+query, ""); got.status != 422 {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	for _, who := range []string{"vera", "otto", "app"} {
		for _, path := range []string{"/audit/", "/tokens/"} {
			if got := a.send(who, "GET", path, ""); got.status != 403 {
				t.Errorf("%s reads %s: %d", who, path, got.status)
			}
		}
	}
	history := a.send("vera", "GET", "/history/", "")
	if !strings.Contains(history.body, `"author":"zoe@example.com (sso)"`) {
		t.Errorf("the history does not name the person: %s", history.body)
	}
}

// TestStrangers floods a server with requests without a valid token: two records have their number.
func TestStrangers(t *testing.T) {
	a := newAudited(t, rand.New(rand.NewPCG(1, 1)))
	for range 50 {
		for _, headers := range [][]string{nil, {"Authorization: Bearer aspects-operate-" + strings.Repeat("A", 26)}, {"Authorization: x"}} {
			if got := call(t, a.server.URL, "PUT", "/targets/everyone/", "{}", headers...); got.status != 401 {
				t.Fatal(got)
			}
		}
	}
	if list := a.after(0); len(list) != 1 || list[0].Times != 1 || list[0].Status != 401 || list[0].Kind != audit.Stranger {
		t.Errorf("after the first: %+v", list)
	}
	if err := a.log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := a.after(0); len(list) != 2 || list[1].Times != 149 || list[1].Address != "127.0.0.1" || list[1].Name != "" {
		t.Errorf("at the end: %+v", list)
	}
}

// TestWhoNamesThePerson sends the header of a proxy with each kind of token.
func TestWhoNamesThePerson(t *testing.T) {
	a := newAudited(t, rand.New(rand.NewPCG(1, 1)))
	bearer := func(name string) string { return "Authorization: Bearer " + a.tokens[name] }
	const mallory = "X-Forwarded-User: mallory@example.com"
	for _, step := range []struct {
		name    string
		headers []string
		status  int
		says    string
	}{
		{"no token", []string{mallory}, 401, "need a token"},
		{"another token", []string{mallory, bearer("ann")}, 200, `"name":"ann"`},
		{"the proxy", []string{mallory, bearer("sso")}, 200, `"person":"mallory@example.com"`},
		{"the proxy without a person", []string{bearer("sso")}, 403, "there is no such header"},
		{"an empty person", []string{"X-Forwarded-User: ", bearer("sso")}, 403, "it is empty"},
		{"no text", []string{"X-Forwarded-User: a\xffb", bearer("sso")}, 403, "cannot be shown"},
		{"a long person", []string{"X-Forwarded-User: " + strings.Repeat("a", 201), bearer("sso")}, 403, "too long"},
		{"another header", []string{"X-Forwarded-Email: a@example.com", bearer("sso")}, 403, "there is no such header"},
	} {
		got := call(t, a.server.URL, "GET", "/whoami/", "", step.headers...)
		if got.status != step.status || !strings.Contains(got.body, step.says) || step.status == 200 && strings.Contains(got.body, "person") != strings.Contains(step.says, "person") {
			t.Errorf("%s: %d %s", step.name, got.status, got.body)
		}
	}
}

// TestTokensOverTheAPI makes, lists and revokes tokens.
func TestTokensOverTheAPI(t *testing.T) {
	a := newAudited(t, rand.New(rand.NewPCG(1, 1)))
	got := a.send("ann", "POST", "/tokens/", `{"name":"carl","role":"operator","scope":{"site":"berlin"},"expires-in":3600}`)
	var carl serverapi.Token
	if err := json.Unmarshal([]byte(got.body), &carl); err != nil || got.status != 200 || got.header.Get("Cache-Control") != "no-store" ||
		!strings.HasPrefix(carl.Token, "aspects-operate-") || carl.Expires-carl.Created != 3600 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	a.tokens["carl"] = carl.Token
	if got := a.send("carl", "GET", "/whoami/", ""); !strings.Contains(got.body, `"role":"operator","scope":{"site":"berlin"},"expires":`) {
		t.Error(got)
	}
	if got := a.send("ann", "GET", "/tokens/", ""); strings.Contains(got.body, carl.Token) || !strings.Contains(got.body, `"name":"carl"`) {
		t.Error(got)
	}
	if got := a.send("ann", "POST", "/tokens/", `{"name":"line-0","purpose":"enrol"}`); !strings.Contains(got.body, `"enrolment":"open"`) ||
		carl.Enrolment != "" {
		t.Error(got)
	}
	for body, status := range map[string]int{
		`{"name":"carl","role":"viewer"}`: 409, `{"name":" x"}`: 422, `{}`: 422, `{"name":"x","role":"king"}`: 422, `{"name":"x","scope":{"site":"b"}}`: 422,
		`{"name":"x","role":"operator","scope":{"device.site":"b"}}`: 422, `{"name":"x","uses":3}`: 422, `{"name":"x","purpose":"enrol","role":"viewer"}`: 422,
		`{"name":"x","purpose":"enrol","proxy":true}`: 422, `{"name":"x","expires-in":-1}`: 422, `{"name":"x","expires-in":9223372036854775807}`: 422,
		`{"name":"loopback"}`: 422, `{"name":"x","nme":1}`: 422, `{"name":"line-1","purpose":"enrol","labels":{"site":"b"},"uses":3}`: 200,
	} {
		if got := a.send("ann", "POST", "/tokens/", body); got.status != status {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	for _, step := range []struct {
		who, name string
		status    int
	}{
		{"otto", "carl", 403}, {"ann", "carl", 204}, {"ann", "carl", 204}, {"ann", "nobody", 404}, {"ann", "sso", 204}, {"ann", "ann", 409},
	} {
		if got := a.send(step.who, "DELETE", "/tokens/"+step.name+"/", ""); got.status != step.status {
			t.Errorf("%+v: %d %s", step, got.status, got.body)
		}
	}
	if got := a.send("carl", "GET", "/whoami/", ""); got.status != 401 {
		t.Error(got)
	}
}
