package server_test

import (
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/serverapi"
)

// TestPageRights sends the page's forms as browsers do, with tokens of each kind: the page refuses what the API refuses, in HTML,
// and changes nothing for a page of another site.
func TestPageRights(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, append(unsigned, "--state", state, "--listen", "127.0.0.1:0")...)
	device, err := client(t, started.url).Register(t.Context(), serverapi.RegisterRequest{IPAddress: "192.0.2.1", Arch: "arm64", PublicKeyRSA: "PEM"})
	if err != nil {
		t.Fatal(err)
	}
	of := "/page/devices/" + device.UUID.String() + "/"
	reads, writes := createToken(t, state, "wall-screen", "--read-only"), createToken(t, state, "anna")
	berlin, approves := createToken(t, state, "bert", "--role", "operator", "--scope", "site=berlin"), createToken(t, state, "eve", "--role", "approver")
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	visit := func(method, path, token string, header map[string]string) (int, string) {
		t.Helper()
		form := url.Values{"name": {"vpn"}, "value": {"very-secret"}}.Encode()
		request, err := http.NewRequestWithContext(t.Context(), method, started.url+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "text/html,*/*;q=0.8")
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if token != "" {
			request.SetBasicAuth("whoever", token)
		}
		for name, value := range header {
			request.Header.Set(name, value)
		}
		response, err := browser.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || strings.Contains(string(text), "very-secret") {
			t.Errorf("%v: %s", err, text)
		}
		return response.StatusCode, string(text)
	}
	for _, test := range []struct {
		name, method, path, token string
		header                    map[string]string
		status                    int
		want                      string
	}{
		{"no token", "GET", "/", "", nil, 401, "A token is needed"},
		{"no token writes", "POST", "/page/secrets/", "", nil, 401, "<h1 data-still>A token is needed"},
		{"a wrong token", "POST", "/page/secrets/", writes + "x", nil, 401, "The token is no operator&#39;s"},
		{"a reader looks", "GET", "/page/secrets/", reads, nil, 200, "Your token does not allow this."},
		{"a reader writes", "POST", "/page/secrets/", reads, nil, 403, "<h1 data-still>Not allowed"},
		{"another site, with Origin", "POST", "/page/secrets/", writes, map[string]string{"Origin": "http://example.com"}, 403,
			"Pages of other sites may not change anything here"},
		{"another site, with Sec-Fetch-Site", "POST", "/page/secrets/", writes, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403,
			"Pages of other sites may not change anything here"},
		{"nothing has changed", "GET", "/page/secrets/", writes, nil, 200, "There are none."},
		{"a name, out of the scope", "POST", of + "name/", berlin, nil, 403, "for devices with site=berlin"},
		{"the mark, out of the scope", "POST", of + "alone/", berlin, nil, 403, "the device does not have the label site=berlin"},
		{"an admin approves", "POST", of + "approve/", writes, nil, 303, ""},
		{"an operator of a scope approves", "POST", of + "approve/", berlin, nil, 403, "this needs the role approver or admin"},
		{"an approver revokes", "POST", of + "revoke/", approves, nil, 303, ""},
		{"an approver renames", "POST", of + "name/", approves, nil, 403, "this needs the role operator or admin"},
		{"what an approver is offered", "GET", of, approves, nil, 200, `href="approve/"`},
		{"no browser", "POST", "/page/secrets/", reads, map[string]string{"Accept": "*/*"}, 403, `"status":403`},
		{"the page itself", "POST", "/page/secrets/", writes, map[string]string{"Origin": started.url, "Sec-Fetch-Site": "same-origin"}, 303, ""},
		{"an old browser", "POST", "/page/secrets/", writes, nil, 303, ""},
		{"it is there", "GET", "/page/secrets/", writes, nil, 200, `<th scope="row">vpn</th>`},
		{"who did it", "GET", "/page/history/", reads, nil, 200, `<td data-name="By">anna</td>`},
	} {
		if status, text := visit(test.method, test.path, test.token, test.header); status != test.status || !strings.Contains(text, test.want) {
			t.Errorf("%s: %d, want %d and %q: %s", test.name, status, test.status, test.want, text)
		}
	}
}
