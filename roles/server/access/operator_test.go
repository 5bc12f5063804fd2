package access_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/access"

	"github.com/google/go-cmp/cmp"
)

// token makes a token known and returns its text.
func (w *world) token(token access.Token) string {
	w.t.Helper()
	text, digest := access.NewToken(token.Purpose)
	token.Digest, token.Created = digest, w.clock.Now()
	if err := w.tokens.AddToken(w.t.Context(), token); err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *world) asOperator(method, authorization string) answer {
	w.t.Helper()
	request := w.request(method, "/target/", "{}")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	return w.send(request)
}

func TestOperatorTokens(t *testing.T) {
	w := newWorld(t, access.Options{})
	anna := w.token(access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin})
	reader := w.token(access.Token{Name: "wall screen", Purpose: access.Operate, Role: access.RoleViewer})
	enrol := w.token(access.Token{Name: "line 1", Purpose: access.Enrol})
	expired := w.token(access.Token{Name: "guest", Purpose: access.Operate, Role: access.RoleAdmin, Expires: noon})
	gone := w.token(access.Token{Name: "bert", Purpose: access.Operate, Role: access.RoleAdmin})
	if got := w.asOperator("GET", "Bearer "+gone); got.text != "by bert" {
		t.Errorf("before it is revoked: %+v", got)
	}
	if err := w.tokens.RevokeToken(t.Context(), "bert", noon, false); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, method, authorization string
		status                      int
		text, challenge             string
	}{
		{"reads", "GET", "Bearer " + anna, 200, "by anna", ""},
		{"writes", "PUT", "bearer  " + anna, 200, "by anna", ""},
		{"read-only reads", "GET", "Bearer " + reader, 200, "by wall screen", ""},
		{"read-only writes", "PUT", "Bearer " + reader, 403, "The token of wall screen has the role viewer, and this needs the role operator or admin", "insufficient_scope"},
		{"none, from this machine", "GET", "", 401, "Operators need a token here", `Bearer realm="operators"`},
		{"none, writing", "PUT", "", 401, "aspects-poc server token create NAME", `Bearer realm="operators"`},
		{"revoked", "GET", "Bearer " + gone, 401, "is not valid any more", "invalid_token"},
		{"expired", "GET", "Bearer " + expired, 401, "is not valid any more", "invalid_token"},
		{"for devices", "GET", "Bearer " + enrol, 401, "is no operator's", "invalid_token"},
		{"made up", "GET", "Bearer aspects-operate-AAAAAAAAAAAAAAAAAAAAAAAAAA", 401, "is no operator's", "invalid_token"},
		{"its digest", "GET", "Bearer " + strings.Repeat("a", 64), 401, "is no operator's", "invalid_token"},
		{"empty", "GET", "Bearer ", 401, "Operators need a token", ""},
		{"without a scheme", "GET", anna, 401, "Authorization: Bearer TOKEN", "invalid_request"},
		{"without a scheme, writing", "PUT", anna, 401, "Authorization: Bearer TOKEN", "invalid_request"},
		{"an unknown scheme", "GET", "Token " + anna, 401, "Authorization: Bearer TOKEN", "invalid_request"},
		{"a scheme alone", "GET", "Basic", 401, "Authorization: Bearer TOKEN", "invalid_request"},
		{"Basic that is not base64", "GET", "Basic " + anna, 401, "Authorization: Bearer TOKEN", "invalid_request"},
		{"cut off", "GET", "Bearer " + anna[:len(anna)-1], 401, "is no operator's", "invalid_token"},
	} {
		got := w.asOperator(test.method, test.authorization)
		if got.status != test.status || !strings.Contains(got.text, test.text) ||
			!strings.Contains(got.header.Get("WWW-Authenticate"), test.challenge) {
			t.Errorf("%s: got %d %s (%v), want %d %s", test.name, got.status, got.text, got.header, test.status, test.text)
		}
		if strings.Contains(got.text, anna) {
			t.Errorf("%s: the answer tells the token: %s", test.name, got.text)
		}
	}
	if got := w.send(w.request("GET", "/open/", "")); got.status != 200 {
		t.Errorf("a route for anyone: %+v", got)
	}
}

// A browser asks a person for name and password: the token is the password.
func TestBrowser(t *testing.T) {
	w := newWorld(t, access.Options{})
	anna := w.token(access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin})
	for _, test := range []struct {
		name, user, password string
		status               int
	}{
		{"the token", "anybody", anna, 200}, {"without a name", "", anna, 200}, {"nothing", "", "", 401},
		{"the token as name", anna, "", 401}, {"another password", "anna", "secret", 401},
	} {
		request := w.request("GET", "/target/", "")
		request.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		if test.name != "nothing" {
			request.SetBasicAuth(test.user, test.password)
		}
		got := w.send(request)
		if got.status != test.status || strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic ") != (test.status == 401) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// Without any token, whoever sits at the machine is an operator, and nobody else.
func TestLoopback(t *testing.T) {
	w := newWorld(t, access.Options{})
	ask := func(peer, host string, headers ...string) (access.Caller, error) {
		request := httptest.NewRequestWithContext(t.Context(), "PUT", "/target/", nil)
		request.RemoteAddr, request.Host = peer, host
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			request.Header.Set(name, value)
		}
		return w.gate.Operator(request, access.Administer)
	}
	for _, test := range []struct {
		name, peer, host string
		headers          []string
		want             string // of the refusal; "" for none
	}{
		{"IPv4", "127.0.0.1:5", "127.0.0.1:8000", nil, ""},
		{"another of the net", "127.8.9.10:5", "127.0.0.2", nil, ""},
		{"IPv6", "[::1]:5", "[::1]:8000", nil, ""},
		{"IPv4 in IPv6", "[::ffff:127.0.0.1]:5", "LocalHost:8000", nil, ""},
		{"another machine", "192.0.2.1:5", "127.0.0.1:8000", nil, "comes from another machine"},
		{"another machine that says otherwise", "192.0.2.1:5", "127.0.0.1", []string{"X-Forwarded-For: 127.0.0.1"},
			"comes from another machine"},
		{"this machine's other address", "192.0.2.7:5", "192.0.2.7", nil, "comes from another machine"},
		{"no peer", "", "127.0.0.1", nil, "comes from another machine"},
		{"DNS rebinding", "127.0.0.1:5", "evil.example:8000", nil, "names another host"},
		{"a name that ends well", "127.0.0.1:5", "localhost.evil.example", nil, "names another host"},
		{"an address in a name", "127.0.0.1:5", "127.0.0.1.evil.example", nil, "names another host"},
		{"no host", "127.0.0.1:5", "", nil, "names another host"},
		{"all addresses", "127.0.0.1:5", "0.0.0.0:8000", nil, "names another host"},
		{"a proxy on this machine", "127.0.0.1:5", "127.0.0.1", []string{"X-Forwarded-For: 192.0.2.1"}, "forwarded by a proxy"},
		{"a proxy that follows the standard", "127.0.0.1:5", "127.0.0.1", []string{"Forwarded: for=192.0.2.1"}, "forwarded by a proxy"},
		{"a cache", "127.0.0.1:5", "127.0.0.1", []string{"Via: 1.1 x"}, "forwarded by a proxy"},
	} {
		caller, err := ask(test.peer, test.host, test.headers...)
		if test.want == "" {
			if err != nil || caller.Kind != access.Loopback || caller.Author() != "loopback" {
				t.Errorf("%s: got %+v, %v", test.name, caller, err)
			}
			continue
		}
		var refusal *access.Refusal
		if !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden || !strings.Contains(err.Error(), test.want) ||
			!strings.Contains(err.Error(), access.CreateHint) {
			t.Errorf("%s: got %+v, %v, want …%s…", test.name, caller, err, test.want)
		}
	}
	if _, err := ask("127.0.0.1:5", "127.0.0.1", "Authorization: Bearer nonsense"); err == nil {
		t.Error("a wrong token was passed over")
	}
	// From the first token on, a token is needed for ever.
	w.token(access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin})
	if err := w.tokens.RevokeToken(t.Context(), "anna", noon, false); err != nil {
		t.Fatal(err)
	}
	var refusal *access.Refusal
	if _, err := ask("127.0.0.1:5", "127.0.0.1"); !errors.As(err, &refusal) || refusal.Status != http.StatusUnauthorized {
		t.Errorf("after the only token was revoked: %v", err)
	}
}

// The store's trouble lets nobody in.
func TestTroubleOfTheStore(t *testing.T) {
	w := newWorld(t, access.Options{Enrolment: access.ByToken})
	text := w.token(access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin})
	w.tokens.Trouble = errors.New("no disk")
	for _, authorization := range []string{"", "Bearer " + text} {
		request := httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1/target/", nil)
		request.RemoteAddr = "127.0.0.1:5"
		if authorization != "" {
			request.Header.Set("Authorization", authorization)
		}
		if caller, err := w.gate.Operator(request, access.Read); !errors.Is(err, w.tokens.Trouble) {
			t.Errorf("with %q: %+v, %v", authorization, caller, err)
		}
	}
	enrol, _ := access.NewToken(access.Enrol)
	if admitted, err := w.gate.Admit(t.Context(), enrol); !errors.Is(err, w.tokens.Trouble) {
		t.Errorf("enrolment: %+v, %v", admitted, err)
	}
}

func TestLastUsed(t *testing.T) {
	w := newWorld(t, access.Options{})
	anna := w.token(access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin})
	w.token(access.Token{Name: "bert", Purpose: access.Operate, Role: access.RoleAdmin})
	last := func() (list []time.Time) {
		tokens, err := w.tokens.Tokens(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			list = append(list, token.LastUsed)
		}
		return list
	}
	maintain := func() {
		if err := w.gate.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.asOperator("GET", "Bearer "+anna)
	if diff := cmp.Diff([]time.Time{{}, {}}, last()); diff != "" {
		t.Errorf("a read wrote at once:\n%s", diff)
	}
	maintain()
	w.clock.Pass(time.Hour)
	maintain()
	if diff := cmp.Diff([]time.Time{noon, {}}, last()); diff != "" {
		t.Errorf("after Maintain (-want +got):\n%s", diff)
	}
	w.asOperator("GET", "Bearer "+anna)
	w.tokens.Trouble = errors.New("no disk")
	if err := w.gate.Maintain(t.Context()); !errors.Is(err, w.tokens.Trouble) {
		t.Error(err)
	}
	w.tokens.Trouble = nil
	maintain()
	if diff := cmp.Diff([]time.Time{noon.Add(time.Hour), {}}, last()); diff != "" {
		t.Errorf("after trouble (-want +got):\n%s", diff)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"anna": true, "line 1": true, "zoë": true, strings.Repeat("n", 64): true,
		"": false, " anna": false, "a\nb": false, "a\x1b[31m": false, "\xff": false, strings.Repeat("n", 65): false, "loopback": false,
	} {
		if err := access.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
