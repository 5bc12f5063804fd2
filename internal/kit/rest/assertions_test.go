package rest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/assertion"
	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/machine/testclient"
	"aspects-poc/registry/registrytest/testschema"
)

func signedFile(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "assertion", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// empty serves a machine without confdb-schemas, with a stand-in as custodian.
func empty(t *testing.T, options rest.Options) *machine {
	t.Helper()
	options.Custodian = "standin"
	m := serve(t, setup{options: options})
	if err := m.Facts.Forget(testschema.AccountID, testschema.Name); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAcknowledge(t *testing.T) {
	t.Parallel()
	key, err := assertion.ReadKey(signedFile(t, "dev.pub"))
	if err != nil {
		t.Fatal(err)
	}
	signed := string(signedFile(t, "signed.assert"))
	altered := strings.Replace(signed, "revision: 1\n", "revision: 2\n", 1)
	older := strings.Replace(signed, "revision: 1\n", "", 1)
	other := strings.Replace(signed, "authority-id: ", "authority-id: x", 1)
	account := "type: account\nauthority-id: canonical\naccount-id: " + testschema.AccountID + "\nsign-key-sha3-384: k\n\nc2ln\n\n"
	trusted, none, unsigned := rest.Options{Keys: assertion.NewKeys(key)}, rest.Options{}, rest.Options{Unsigned: true}
	for _, test := range []struct {
		name    string
		options rest.Options
		texts   []string // in order; all but the last are taken
		want    string   // message of the last; "" if it is taken
	}{
		{"signed with a key that is named", trusted, []string{signed}, ""},
		{"the account beside it", trusted, []string{account + signed}, ""},
		{"twice", trusted, []string{signed, signed}, ""},
		{"altered", trusted, []string{altered}, "assert failed: failed signature verification: "},
		{"nobody is trusted", none, []string{signed}, "assert failed: cannot resolve prerequisite assertion: account-key (" + key.ID + ")"},
		{"altered, and nobody looks", unsigned, []string{altered}, ""},
		{"an older revision", unsigned, []string{signed, older}, "assert failed: revision 0 is older than current revision 1"},
		{"another authority", unsigned, []string{other}, "assert failed: authority-id and account-id must match"},
		{"no assertion", unsigned, []string{"nonsense"}, "cannot decode request body into assertions: unexpected EOF"},
		{"of another kind beside it", unsigned, []string{account + "type: validation-set\nauthority-id: a\nseries: 16\n" +
			"account-id: a\nname: n\nsequence: 1\nsign-key-sha3-384: k\n\nc2ln\n\n" + signed}, ""},
		{"a body that is none", unsigned, []string{strings.Replace(signed, `"storage": {`, `"storbge": {`, 1)}, "assert failed: assertion confdb-schema: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := empty(t, test.options)
			for i, text := range test.texts {
				status, answer := testclient.Send(t, m.client, "POST /v2/assertions", text)
				if i < len(test.texts)-1 || test.want == "" {
					if status != http.StatusOK {
						t.Fatalf("%d %v", status, answer)
					}
					continue
				}
				message, _ := answer["result"].(map[string]any)["message"].(string)
				if status != http.StatusBadRequest || !strings.HasPrefix(message, test.want) {
					t.Errorf("%d %q, want %q", status, message, test.want)
				}
			}
			if test.want != "" {
				return
			}
			// The stand-in answers for the views that have come.
			if status, answer := testclient.Send(t, m.client, "GET /v2/confdb/"+viewID("control-telemetry").String(), nil); status != http.StatusAccepted {
				t.Errorf("a read: %d %v", status, answer)
			}
			_, text := testclient.SendRaw(t, m.client, "GET /v2/assertions/confdb-schema?name=network", nil)
			if last := test.texts[len(test.texts)-1]; !strings.HasSuffix(last, string(text)) {
				t.Errorf("known is\n%.200s", text)
			}
		})
	}
}

// TestAccounts checks that other assertions in a stream are stored with the confdb-schema, and only with it.
func TestAccounts(t *testing.T) {
	t.Parallel()
	signed := string(signedFile(t, "signed.assert"))
	key := strings.Replace(string(signedFile(t, "dev.account-key-request")), "type: account-key-request\n",
		"type: account-key\nauthority-id: canonical\n", 1)
	account := "type: account\nauthority-id: canonical\naccount-id: " + testschema.AccountID + "\ndisplay-name: Dev\n" +
		"sign-key-sha3-384: k\n\nc2ln\n"
	dir := t.TempDir()
	m := serve(t, setup{state: dir, options: rest.Options{Unsigned: true}})
	known := func(kind string) string {
		_, text := testclient.SendRaw(t, m.client, "GET /v2/assertions/"+kind, nil)
		return string(text)
	}
	spoilt := strings.Replace(signed, `"storage": {`, `"storbge": {`, 1)
	if status, answer := testclient.Send(t, m.client, "POST /v2/assertions", account+"\n"+key+"\n"+spoilt); status != http.StatusBadRequest {
		t.Errorf("with a confdb-schema that is none: %d %v", status, answer)
	}
	if got := known("account") + known("account-key"); got != "" {
		t.Errorf("kept of what was refused: %s", got)
	}
	stream := account + "\n" + key + "\n" + signed
	for range 2 {
		if status, answer := testclient.Send(t, m.client, "POST /v2/assertions", stream); status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
	}
	if got := known("account"); got != account {
		t.Errorf("account %q", got)
	}
	if got := known("account-key"); got != key {
		t.Errorf("account-key %q", got)
	}
	if got := known("account?account-id=other"); got != "" {
		t.Errorf("another account: %q", got)
	}
	again := strings.Replace(account, "account-id:", "revision: 2\naccount-id:", 1)
	for _, step := range []struct {
		text string
		want int
	}{{again, http.StatusOK}, {account, http.StatusBadRequest}} {
		if status, answer := testclient.Send(t, m.client, "POST /v2/assertions", step.text); status != step.want {
			t.Errorf("%.40q: %d %v", step.text, status, answer)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	later, err := world.Open(dir, changes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = later.Close() }() // only read
	var names []string
	for _, a := range later.Facts.Now().Assertions() {
		names = append(names, strings.Fields(a.Name)[0])
	}
	if diff := cmp.Diff([]string{"account", "account-key"}, names); diff != "" {
		t.Errorf("kept for the next run (-want +got):\n%s", diff)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	m := serve(t, setup{})
	for query, count := range map[string]string{
		// Beside ours there is the one that snapd brings along.
		"": "2", "?name=network": "1", "?name=network&account-id=" + testschema.AccountID: "1", "?name=nosuch": "0",
		"?max-format=1": "2", "?account-id=system": "1",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v2/assertions/confdb-schema"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := m.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := response.Header.Get("X-Ubuntu-Assertions-Count"); response.StatusCode != http.StatusOK || got != count {
			t.Errorf("%q: %d, %q assertions, want %s", query, response.StatusCode, got, count)
		}
	}
	status, answer := testclient.Send(t, m.client, "GET /v2/assertions/confdb-schema?remote=true", nil)
	if message, _ := answer["result"].(map[string]any)["message"].(string); status != http.StatusInternalServerError ||
		!strings.HasPrefix(message, "searching assertions failed: there is no store here") {
		t.Errorf("of the store: %d %v", status, answer)
	}
	_, answer = testclient.Send(t, m.client, "GET /v2/assertions", nil)
	if types := answer["result"].(map[string]any)["types"].([]any); len(types) == 0 {
		t.Error("there are no types")
	}
	_, answer = testclient.Send(t, m.client, "GET /v2/assertions/confdb-schema?json=true&name="+testschema.Name, nil)
	first := answer["result"].([]any)[0].(map[string]any)
	if first["headers"].(map[string]any)["name"] != testschema.Name || !strings.HasPrefix(first["body"].(string), "{\n  \"storage\": {") {
		t.Errorf("as JSON: %v", first)
	}
	_, answer = testclient.Send(t, m.client, "GET /v2/assertions/confdb-schema?json=headers&name=nosuch", nil)
	if found := answer["result"].([]any); len(found) != 0 || answer["type"] != "sync" {
		t.Errorf("as JSON, of a name that is not there: %v", answer)
	}
}
