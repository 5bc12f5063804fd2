package access_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"
)

// registration returns a request to register one name's key, signed with another's.
func (w *world) registration(name, signer string) *http.Request {
	w.t.Helper()
	text, err := json.Marshal(body{PublicKey: publicPEM(w.t, keyOf(name))})
	if err != nil {
		w.t.Fatal(err)
	}
	request := w.request("POST", "/register/", string(text))
	if signer != "" {
		if err := signerOf(w.t, signer).Sign(request, text, w.clock.Now()); err != nil {
			w.t.Fatal(err)
		}
	}
	return request
}

func TestRegistrationProvesTheKey(t *testing.T) {
	w := newWorld(t, access.Options{})
	own := w.registration("victim", "victim")
	if got := w.send(w.again(own)); got.text != "key "+signerOf(t, "victim").KeyID() {
		t.Errorf("its own key: %+v", got)
	}
	if got := w.send(w.again(own)); got.status != 200 {
		t.Errorf("the same again, as after a lost answer: %+v", got)
	}
	stolen := w.registration("victim", "attacker")
	if got := w.send(stolen); got.kind != "signature" || !strings.Contains(got.text, "another key than the one in its body") {
		t.Errorf("somebody else's key: %+v", got)
	}
	stolen = w.registration("victim", "attacker")
	input := stolen.Header.Get(sign.InputHeader)
	stolen.Header.Set(sign.InputHeader, strings.Replace(input, signerOf(t, "attacker").KeyID(), signerOf(t, "victim").KeyID(), 1))
	if got := w.send(stolen); got.kind != "signature" || !strings.Contains(got.text, "not that key's over this request") {
		t.Errorf("somebody else's key and its ID: %+v", got)
	}
	if got := w.send(w.registration("victim", "")); got.kind != "unsigned" {
		t.Errorf("unsigned: %+v", got)
	}
	altered := withBody(w.registration("attacker", "attacker"), `{"public-key-rsa":`+string(mustJSON(t, publicPEM(t, keyOf("attacker"))))+` }`)
	if got := w.send(altered); got.kind != "signature" {
		t.Errorf("an altered body: %+v", got)
	}
	keyless := w.request("POST", "/register/", `{"public-key-rsa":"PEM"}`)
	if err := signerOf(t, "victim").Sign(keyless, []byte(`{"public-key-rsa":"PEM"}`), noon); err != nil {
		t.Fatal(err)
	}
	if got := w.send(keyless); got.status != http.StatusUnprocessableEntity {
		t.Errorf("no key in the body: %+v", got)
	}
	w.clock.Pass(time.Hour)
	if got := w.send(own); got.kind != "clock" {
		t.Errorf("an hour later: %+v", got)
	}
}

func mustJSON(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAdmit(t *testing.T) {
	const missing = "Devices need an enrolment token"
	for _, test := range []struct {
		enrolment access.Enrolment
		token     string // the name of one that there is, or a text
		want      string // the status, or the beginning of the refusal
	}{
		{access.Open, "", "active"}, {access.Open, "whatever", "active"}, {"", "", "active"},
		{access.ByApproval, "", "pending"}, {access.ByApproval, "line 1", "active"}, {access.ByApproval, "whatever", "The enrolment token"},
		{access.ByToken, "", missing}, {access.ByToken, "line 1", "active"}, {access.ByToken, "revoked", "The enrolment token"},
		{access.ByToken, "expired", "The enrolment token"}, {access.ByToken, "anna", "The enrolment token"},
		{access.ByToken, "aspects-enrol-AAAAAAAAAAAAAAAAAAAAAAAAAA", "The enrolment token"},
	} {
		w := newWorld(t, access.Options{Enrolment: test.enrolment})
		tokens := map[string]string{
			"line 1": w.token(access.Token{Name: "line 1", Purpose: access.Enrol, Limit: 1,
				Labels: map[string]string{"site": "line-1"}}),
			"revoked": w.token(access.Token{Name: "revoked", Purpose: access.Enrol, Revoked: noon}),
			"expired": w.token(access.Token{Name: "expired", Purpose: access.Enrol, Expires: noon}),
			"anna":    w.token(access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin}),
		}
		text := test.token
		if known, ok := tokens[text]; ok {
			text = known
		}
		admit := func() string {
			admitted, err := w.gate.Admit(t.Context(), text)
			if err == nil {
				if got, want := admitted.Labels["site"] == "line-1", test.token == "line 1"; got != want {
					t.Errorf("%s with %q: labels %v", test.enrolment, test.token, admitted.Labels)
				}
				return admitted.Status
			}
			var refusal *access.Refusal
			if !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden || refusal.Type != serverapi.ProblemEnrolment {
				t.Errorf("%s with %q: %#v", test.enrolment, test.token, err)
			}
			return err.Error()
		}
		if got := admit(); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s with %q: got %q, want %q", test.enrolment, test.token, got, test.want)
		}
		if test.token == "line 1" {
			if got := admit(); !strings.HasPrefix(got, "The enrolment token") {
				t.Errorf("%s with a used token: %q", test.enrolment, got)
			}
		}
	}
}

func TestAgain(t *testing.T) {
	w := newWorld(t, access.Options{AllowUnsigned: true})
	for _, test := range []struct {
		name   string
		keyID  string
		device access.Holder
		want   string
	}{
		{"the same device again", "a", access.Holder{KeyID: "a", Status: serverapi.Active}, ""},
		{"one that begins to sign", "a", access.Holder{Status: serverapi.Active}, ""},
		{"one that never signs", "", access.Holder{Status: serverapi.Active}, ""},
		{"its public key in somebody else's hands", "", access.Holder{KeyID: "a", Status: serverapi.Active}, serverapi.ProblemUnsigned},
		{"revoked", "a", access.Holder{KeyID: "a", Status: serverapi.Revoked}, serverapi.ProblemRevoked},
		{"pending", "a", access.Holder{KeyID: "a", Status: serverapi.Pending}, ""},
	} {
		err := w.gate.Again(test.keyID, test.device)
		var refusal *access.Refusal
		got := ""
		if errors.As(err, &refusal) {
			got = refusal.Type
		}
		if got != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestParseEnrolment(t *testing.T) {
	for _, text := range []string{"open", "token", "approve"} {
		if got, err := access.ParseEnrolment(text); err != nil || string(got) != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if _, err := access.ParseEnrolment("closed"); err == nil {
		t.Error("closed was taken")
	}
}
