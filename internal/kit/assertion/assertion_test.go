package assertion_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/kit/assertion"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/registrytest/testschema"
)

// The files were made by snap sign and snap export-key of snapd 2.77.1, with a throw-away key.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func signed(t testing.TB) *assertion.Assertion {
	t.Helper()
	a, err := assertion.Decode(sample(t, "signed.assert"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// document returns the input of snap sign.
func document(t testing.TB) json.RawMessage {
	t.Helper()
	var headers map[string]any
	if err := json.Unmarshal(testschema.Document(), &headers); err != nil {
		t.Fatal(err)
	}
	headers["timestamp"] = signed(t).Header("timestamp")
	text, err := json.Marshal(headers)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDecodeWhatSnapSigned(t *testing.T) {
	a := signed(t)
	if diff := cmp.Diff([]string{testschema.AccountID, testschema.Name}, a.Key()); diff != "" {
		t.Errorf("key (-want +got):\n%s", diff)
	}
	if want := "confdb-schema (network; account-id:" + testschema.AccountID + ")"; a.String() != want {
		t.Errorf("it is called %q, want %q", a, want)
	}
	if got := string(a.Encode()); got != string(sample(t, "signed.assert")) {
		t.Errorf("encoded again it is:\n%s", got)
	}
	text, err := a.Document()
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := errors.Join(json.Unmarshal(document(t), &want), json.Unmarshal(text, &got)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the document differs from what was signed (-want +got):\n%s", diff)
	}
	if _, err := confdb.ParseDocument(text); err != nil {
		t.Error(err)
	}
}

func TestUnsignedIsLaidOutAsSnapDoes(t *testing.T) {
	a, err := assertion.Unsigned(document(t))
	if err != nil {
		t.Fatal(err)
	}
	key := "sign-key-sha3-384: "
	want, _, _ := strings.Cut(string(sample(t, "signed.assert")), key)
	got, _, _ := strings.Cut(string(a.Encode()), key)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-snap +ours):\n%s", diff)
	}
	if string(a.Body()) != string(signed(t).Body()) {
		t.Error("the bodies differ")
	}
	if err := (assertion.Keys{}).Check(a); err == nil {
		t.Error("its signature is good")
	}
}

func TestTextOfSeveralLines(t *testing.T) {
	document := `{"type":"confdb-schema","authority-id":"a","account-id":"a","name":"n","body":"{}",
		"summary":"one\n\ntwo","views":{"v":{"rules":[{"request":"r","content":[{"storage":"c"}]},"text"]}}}`
	a, err := assertion.Unsigned(json.RawMessage(document))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal([]byte(document), &want); err != nil {
		t.Fatal(err)
	}
	got := a.Headers()
	for name, value := range want {
		if name == "body" {
			value, got[name] = "{}", string(a.Body())
		}
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, name := range []string{"dev.account-key-request", "dev.pub"} {
		t.Run(name, func(t *testing.T) {
			key, err := assertion.ReadKey(sample(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if key.ID != signed(t).SignKey() {
				t.Errorf("the key's ID is %s, want %s", key.ID, signed(t).SignKey())
			}
			keys := assertion.NewKeys(key)
			if err := keys.Check(signed(t)); err != nil {
				t.Error(err)
			}
			altered := strings.Replace(string(sample(t, "signed.assert")), "revision: 1\n", "revision: 2\n", 1)
			a, err := assertion.Decode([]byte(altered))
			if err != nil {
				t.Fatal(err)
			}
			if err := keys.Check(a); err == nil || !strings.HasPrefix(err.Error(), "failed signature verification: ") {
				t.Errorf("an altered assertion: %v", err)
			}
		})
	}
	t.Run("an account-key", func(t *testing.T) {
		request := string(sample(t, "dev.account-key-request"))
		text := strings.Replace(request, "type: account-key-request\n", "type: account-key\nauthority-id: canonical\n", 1)
		text = strings.Replace(text, "since: 2026", "since: 2015", 1)
		key, err := assertion.ReadKey([]byte(text)) // whoever names it vouches for it
		if err != nil {
			t.Fatal(err)
		}
		if key.Name != "dev" || key.Account != testschema.AccountID {
			t.Errorf("it is %q of %q", key.Name, key.Account)
		}
		if err := assertion.NewKeys(key).Check(signed(t)); err != nil {
			t.Error(err)
		}
		key.Account = "somebody-else"
		var unknown *assertion.UnknownKeyError
		if err := assertion.NewKeys(key).Check(signed(t)); !errors.As(err, &unknown) {
			t.Errorf("the key of another account: %v", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		want := `no matching public key "` + signed(t).SignKey() + `" for signature by "` + testschema.AccountID + `"`
		if err := assertion.NewKeys().Check(signed(t)); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

func TestKeyFilesThatAreNone(t *testing.T) {
	request := string(sample(t, "dev.account-key-request"))
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "unexpected EOF"},
		{"a picture", "\x89PNG\r\n", "cannot decode base64"},
		{"a signature", strings.Split(request, "\n\n")[2], "expected RSA public key"},
		{"another version", "AsbBTQ==", "unsupported format version: 2"},
		{"an assertion of another kind", string(sample(t, "signed.assert")), "no account-key among"},
		{"two", request + "\n" + request, "several account keys"},
		{"another ID", strings.Replace(request, "public-key-sha3-384: c", "public-key-sha3-384: d", 1), "does not match provided key id"},
		{"altered", strings.Replace(request, "name: dev", "name: dex", 1), "failed signature verification"},
	} {
		if _, err := assertion.ReadKey([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestRefuse(t *testing.T) {
	const rest = "authority-id: a\naccount-id: a\nname: n\nsign-key-sha3-384: k\n\nc2ln\n"
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "assertion content/signature separator not found"},
		{"no signature", "type: confdb-schema\n", "assertion content/signature separator not found"},
		{"empty signature", "type: account\nauthority-id: a\naccount-id: a\n\n", "empty assertion signature"},
		{"no colon", "type\n\nsig", `parsing assertion headers: header entry missing ':' separator: "type"`},
		{"name", "Type: x\n\nsig", `parsing assertion headers: invalid header name: "Type"`},
		{"no space", "type:x\n\nsig", "header entry should have a space or newline"},
		{"nothing below", "type:\n\nsig", `nesting prefix after multiline introduction "type:"`},
		{"twice", "type: a\ntype: a\n\nsig", `repeated header: "type"`},
		{"unknown type", "type: nosuch\n" + rest, `unknown assertion type: "nosuch"`},
		{"no name", "type: confdb-schema\nauthority-id: a\naccount-id: a\nsign-key-sha3-384: k\n\nsig", `"name" header is mandatory`},
		{"a list for a name", "type:\n  - a\n" + rest, `"type" header must be a string`},
		{"body too short", "type: confdb-schema\nbody-length: 9\n" + rest, "declared body-length don't match"},
		{"body length", "type: confdb-schema\nbody-length: x\n" + rest, `"body-length" header is not an integer: x`},
		{"negative body", "type: confdb-schema\nbody-length: -1\n" + rest, "body-length should be positive"},
		{"huge body", "type: confdb-schema\nbody-length: 99999999\n" + rest, "exceeds maximum body size"},
		{"revision", "type: confdb-schema\nrevision: one\n" + rest, `"revision" header is not an integer: one`},
		{"more behind", "type: confdb-schema\n" + rest + "\nmore", "more text behind the assertion"},
	} {
		if _, err := assertion.Decode([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestDecodeAll(t *testing.T) {
	text := string(sample(t, "signed.assert"))
	list, err := assertion.DecodeAll([]byte("\n" + text + "\n" + text + "\n\n"))
	if err != nil || len(list) != 2 {
		t.Fatalf("%d assertions, %v", len(list), err)
	}
	if _, err := assertion.DecodeAll([]byte(text + "\nnonsense")); err == nil || !strings.HasPrefix(err.Error(), "assertion 2: ") {
		t.Errorf("error %v", err)
	}
}

func FuzzDecodeAll(f *testing.F) {
	f.Add(sample(f, "signed.assert"))
	f.Add(sample(f, "dev.account-key-request"))
	f.Add([]byte("type: account\nauthority-id: a\naccount-id: a\nsign-key-sha3-384: k\nx:\n  -\n    y:\n        z\n\nsig\n"))
	keys := assertion.Keys{}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := assertion.DecodeAll(text)
		if err != nil {
			return
		}
		for _, a := range list {
			again, err := assertion.Decode(a.Encode())
			if err != nil {
				t.Fatalf("%q, encoded again: %v", a.Encode(), err)
			}
			if diff := cmp.Diff(a.Headers(), again.Headers()); diff != "" {
				t.Fatalf("headers change: %s", diff)
			}
			_, _ = a.Document()
			if keys.Check(a) == nil {
				t.Fatal("no key vouched for it")
			}
		}
	})
}

func FuzzReadKey(f *testing.F) {
	f.Add(sample(f, "dev.account-key-request"))
	f.Add(sample(f, "dev.pub"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := assertion.ReadKey(text)
		if (key == nil) == (err == nil) {
			t.Fatalf("key %v, error %v", key, err)
		}
	})
}
