package access_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// TestAttacks is a good request, and then each attack on it. All of them are made by somebody who sees all traffic, but
// has no key of the victim's.
func TestAttacks(t *testing.T) {
	forge := func(w *world, components, rest string, sign func(text string) []byte) *http.Request {
		victim := w.add("victim")
		return w.forge(victim.ID, components, fmt.Sprintf(rest, noon.Unix(), victim.KeyID), sign)
	}
	const all, parameters = `"@method" "@authority" "@path" "content-digest"`, `;created=%d;nonce="n";keyid="%s"`
	for _, test := range []struct {
		name       string
		attack     func(w *world) *http.Request
		status     int
		kind, text string
	}{
		{"none", func(w *world) *http.Request { return w.signed("victim", w.add("victim").ID) }, 200, "", "fine"},
		{"another device's uuid", func(w *world) *http.Request {
			w.add("attacker")
			return w.signed("attacker", w.add("victim").ID)
		}, 401, "unknown-key", "is not that of the device that the body names"},
		{"a uuid that nobody has", func(w *world) *http.Request {
			w.add("attacker")
			return w.signed("attacker", uuid.New())
		}, 401, "unknown-key", "is not that of the device that the body names"},
		{"the victim's key ID with the attacker's key", func(w *world) *http.Request {
			victim := w.add("victim")
			w.add("attacker")
			request := w.signed("attacker", victim.ID)
			input := request.Header.Get(sign.InputHeader)
			request.Header.Set(sign.InputHeader, strings.Replace(input, signerOf(w.t, "attacker").KeyID(), victim.KeyID, 1))
			return request
		}, 401, "signature", "The signature is not that key's over this request"},
		{"replayed", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			if got := w.send(w.again(request)); got.status != 200 {
				w.t.Fatal(got)
			}
			return request
		}, 401, "replayed", "This request came before"},
		{"replayed after it was forgotten", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			if got := w.send(w.again(request)); got.status != 200 {
				w.t.Fatal(got)
			}
			w.clock.Pass(5*time.Minute + time.Second)
			return request
		}, 401, "clock", "5m1s behind the server's clock, and 5m0s is allowed"},
		{"altered body", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			return withBody(request, pollBody(w.add("other").ID))
		}, 401, "signature", "Content-Digest differs"},
		{"body cut off", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			return withBody(request, "")
		}, 401, "signature", "Content-Digest differs"},
		{"altered body and digest", func(w *world) *http.Request {
			request, other := w.signed("victim", w.add("victim").ID), pollBody(w.add("other").ID)
			request.Header.Set(sign.DigestHeader, sign.Digest([]byte(other)))
			return withBody(request, other)
		}, 401, "signature", "The signature is not that key's over this request"},
		{"a digest added", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			request.Header.Add(sign.DigestHeader, sign.Digest(nil))
			return request
		}, 401, "signature", "Content-Digest must be there once"},
		{"a digest of a broken hash", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			request.Header.Set(sign.DigestHeader, "md5=:AAAA:")
			return request
		}, 401, "signature", "Content-Digest has no sha-256"},
		{"no digest", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			request.Header.Del(sign.DigestHeader)
			return request
		}, 401, "signature", "Content-Digest must be there once"},
		{"a garbled digest", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			request.Header.Set(sign.DigestHeader, "sha-256=:")
			return request
		}, 401, "signature", "Content-Digest is no dictionary"},
		{"altered path", func(w *world) *http.Request {
			return w.signedFor("POST", "/register/", "victim", w.add("victim").ID)
		}, 401, "signature", "which is POST 127.0.0.1:"},
		{"altered method", func(w *world) *http.Request {
			return w.signedFor("PUT", "/poll/", "victim", w.add("victim").ID)
		}, 401, "signature", "The signature is not that key's over this request"},
		{"a query added", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			request.URL.RawQuery = "as=operator"
			return request
		}, 401, "signature", `The signature does not cover "@query"`},
		{"signed for another server", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			request.Host = "fleet.example"
			return request
		}, 401, "signature", "The signature is not that key's over this request"},
		{"a later time", func(w *world) *http.Request {
			request := w.signedAt("victim", w.add("victim").ID, noon.Add(-time.Hour))
			input := request.Header.Get(sign.InputHeader)
			request.Header.Set(sign.InputHeader, strings.Replace(input, fmt.Sprint(noon.Add(-time.Hour).Unix()),
				fmt.Sprint(noon.Unix()), 1))
			return request
		}, 401, "signature", "The signature is not that key's over this request"},
		{"another nonce", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			input := request.Header.Get(sign.InputHeader)
			request.Header.Set(sign.InputHeader, strings.Replace(input, `nonce="`, `nonce="x`, 1))
			return request
		}, 401, "signature", "The signature is not that key's over this request"},
		{"signature and input of two requests", func(w *world) *http.Request {
			victim := w.add("victim")
			request := w.signed("victim", victim.ID)
			request.Header.Set(sign.SignatureHeader, w.signed("victim", victim.ID).Header.Get(sign.SignatureHeader))
			return request
		}, 401, "signature", "The signature is not that key's over this request"},
		{"unsigned", func(w *world) *http.Request {
			return w.request("POST", "/poll/", pollBody(w.add("victim").ID))
		}, 401, "unsigned", "Requests of devices have to be signed here"},
		{"stripped of the signature", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			request.Header.Del(sign.SignatureHeader)
			return request
		}, 401, "signature", "Signature is missing"},
		{"expired", func(w *world) *http.Request {
			return forge(w, all, parameters+fmt.Sprintf(";expires=%d", noon.Unix()-1), func(text string) []byte {
				return signText(w.t, "victim", text)
			})
		}, 401, "clock", "The signature expired 1s ago"},
		{"old", func(w *world) *http.Request {
			return w.signedAt("victim", w.add("victim").ID, noon.Add(-5*time.Minute-time.Second))
		}, 401, "clock", "5m1s behind the server's clock"},
		{"from the time before the server started", func(w *world) *http.Request {
			return w.signedAt("victim", w.add("victim").ID, noon.Add(-time.Second))
		}, 401, "clock", "before this server started"},
		{"from the future", func(w *world) *http.Request {
			return w.signedAt("victim", w.add("victim").ID, noon.Add(3*time.Second))
		}, 401, "clock", "3s ahead of the server's clock, and 2s is allowed"},
		{"a little ahead", func(w *world) *http.Request {
			return w.signedAt("victim", w.add("victim").ID, noon.Add(2*time.Second))
		}, 200, "", "fine"},
		{"a key that nobody registered", func(w *world) *http.Request {
			return w.signed("attacker", w.add("victim").ID)
		}, 401, "unknown-key", "No device has the key of this signature"},
		{"a revoked device", func(w *world) *http.Request {
			victim := w.add("victim")
			victim.Status = serverapi.Revoked
			w.set(victim)
			return w.signed("victim", victim.ID)
		}, 403, "revoked", "An operator has revoked this device"},
		{"a device that waits for approval", func(w *world) *http.Request {
			victim := w.add("victim")
			victim.Status = serverapi.Pending
			w.set(victim)
			return w.signed("victim", victim.ID)
		}, 403, "pending", "An operator has yet to approve this device"},
		{"a key that was rotated away", func(w *world) *http.Request {
			victim := w.add("victim")
			if got := w.send(w.signed("victim", victim.ID)); got.status != 200 { // the key is in the cache by now
				w.t.Fatal(got)
			}
			old := w.signed("victim", victim.ID)
			victim.KeyID, victim.PublicKey = signerOf(w.t, "victim's new one").KeyID(), publicPEM(w.t, keyOf("victim's new one"))
			w.set(victim)
			return old
		}, 401, "unknown-key", "No device has the key of this signature"},
		{"the algorithm left to the attacker: HMAC with the public key", func(w *world) *http.Request {
			return forge(w, all, parameters+`;alg="hmac-sha256"`, func(text string) []byte {
				mac := hmac.New(sha256.New, []byte(publicPEM(w.t, keyOf("victim"))))
				mac.Write([]byte(text))
				return mac.Sum(nil)
			})
		}, 401, "signature", `alg must be "rsa-pss-sha512"`},
		{"HMAC without saying so", func(w *world) *http.Request {
			return forge(w, all, parameters, func(text string) []byte {
				mac := hmac.New(sha256.New, []byte(publicPEM(w.t, keyOf("victim"))))
				mac.Write([]byte(text))
				return mac.Sum(nil)
			})
		}, 401, "signature", "The signature is not that key's over this request"},
		{"an older padding, by the key itself", func(w *world) *http.Request {
			return forge(w, all, parameters, func(text string) []byte {
				sum := sha256.Sum256([]byte(text))
				signature, err := rsa.SignPKCS1v15(rand.Reader, keyOf("victim"), crypto.SHA256, sum[:])
				if err != nil {
					w.t.Fatal(err)
				}
				return signature
			})
		}, 401, "signature", "The signature is not that key's over this request"},
		{"the body left out of the signature", func(w *world) *http.Request {
			return forge(w, `"@method" "@authority" "@path"`, parameters, func(text string) []byte {
				return signText(w.t, "victim", text)
			})
		}, 401, "signature", `The signature does not cover "content-digest"`},
		{"the method left out of the signature", func(w *world) *http.Request {
			return forge(w, `"@authority" "@path" "content-digest"`, parameters, func(text string) []byte {
				return signText(w.t, "victim", text)
			})
		}, 401, "signature", `The signature does not cover "@method"`},
		{"nothing in the signature", func(w *world) *http.Request {
			return forge(w, "", parameters, func(text string) []byte { return signText(w.t, "victim", text) })
		}, 401, "signature", `The signature does not cover "@method"`},
		{"a component that the server cannot know", func(w *world) *http.Request {
			return forge(w, all+` "@status"`, parameters, func(text string) []byte { return signText(w.t, "victim", text) })
		}, 401, "signature", `The signature cannot be checked: the component "@status" is not known here`},
		{"a header that is not there", func(w *world) *http.Request {
			return forge(w, all+` "x-absent"`, parameters, func(text string) []byte { return signText(w.t, "victim", text) })
		}, 401, "signature", `which the request does not have`},
		{"no nonce", func(w *world) *http.Request {
			return forge(w, all, `;created=%d;keyid="%s"`, func(text string) []byte { return signText(w.t, "victim", text) })
		}, 401, "signature", "nonce is missing"},
		{"two signatures, one of them good", func(w *world) *http.Request {
			w.add("attacker")
			request, other := w.signed("victim", w.add("victim").ID), w.signed("attacker", uuid.New())
			for _, name := range []string{sign.InputHeader, sign.SignatureHeader} {
				second := strings.Replace(other.Header.Get(name), "device=", "sig2=", 1)
				request.Header.Set(name, request.Header.Get(name)+", "+second)
			}
			return request
		}, 401, "signature", `must have exactly one signature, labelled "device"`},
		{"two of the same label", func(w *world) *http.Request {
			w.add("attacker")
			request, other := w.signed("victim", w.add("victim").ID), w.signed("attacker", uuid.New())
			for _, name := range []string{sign.InputHeader, sign.SignatureHeader} {
				request.Header.Add(name, other.Header.Get(name))
			}
			return request
		}, 401, "signature", `must have exactly one signature, labelled "device"`},
		{"an operator's token instead", func(w *world) *http.Request {
			request := w.request("POST", "/poll/", pollBody(w.add("victim").ID))
			request.Header.Set("Authorization", "Bearer "+w.token(access.Token{Name: "anna", Purpose: access.Operate, Role: access.RoleAdmin}))
			return request
		}, 401, "unsigned", "Requests of devices have to be signed here"},
		{"a huge header", func(w *world) *http.Request {
			request := w.signed("victim", w.add("victim").ID)
			request.Header.Set(sign.InputHeader, strings.Repeat("(", 8000))
			return request
		}, 401, "signature", "Signature-Input must not be longer than 2048 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, access.Options{})
			got := w.send(test.attack(w))
			if got.status != test.status || got.kind != test.kind || !strings.Contains(got.text, test.text) {
				t.Errorf("got %d %q: %s\nwant %d %q: …%s…", got.status, got.kind, got.text, test.status, test.kind, test.text)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (challenge != "") != (test.status == 401) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
			if accept := got.header.Get(sign.AcceptHeader); (accept == sign.Accept) != (test.status == 401) {
				t.Errorf("Accept-Signature: %q", accept)
			}
		})
	}
}

// forge returns a poll with a signature of any make, over the text that the server will make of it.
func (w *world) forge(id uuid.UUID, components, parameters string, make func(text string) []byte) *http.Request {
	body := pollBody(id)
	request := w.request("POST", "/poll/", body)
	request.Header.Set(sign.DigestHeader, sign.Digest([]byte(body)))
	stated := "(" + components + ")" + parameters
	request.Header.Set(sign.InputHeader, "device="+stated)
	values := map[string]string{"@method": "POST", "@authority": request.URL.Host, "@path": "/poll/",
		"content-digest": sign.Digest([]byte(body))}
	var text strings.Builder
	for _, name := range strings.Fields(components) {
		fmt.Fprintf(&text, "%s: %s\n", name, values[strings.Trim(name, `"`)])
	}
	text.WriteString(`"@signature-params": ` + stated)
	request.Header.Set(sign.SignatureHeader, "device=:"+base64.StdEncoding.EncodeToString(make(text.String()))+":")
	return request
}

// signedFor returns a poll that was signed as another request.
func (w *world) signedFor(method, path, name string, id uuid.UUID) *http.Request {
	meant := w.request(method, path, pollBody(id))
	if err := signerOf(w.t, name).Sign(meant, []byte(pollBody(id)), w.clock.Now()); err != nil {
		w.t.Fatal(err)
	}
	request := w.request("POST", "/poll/", pollBody(id))
	request.Header = meant.Header
	return request
}

func signText(t testing.TB, name, text string) []byte {
	t.Helper()
	sum := sha512.Sum512([]byte(text))
	signature, err := rsa.SignPSS(rand.Reader, keyOf(name), crypto.SHA512, sum[:], &rsa.PSSOptions{SaltLength: sha512.Size})
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// What forge makes is good where nothing is wrong with it: the attacks above fail for their own reason.
func TestForgeryOfNothing(t *testing.T) {
	w := newWorld(t, access.Options{})
	victim := w.add("victim")
	for _, parameters := range []string{`;created=%d;nonce="n";keyid="%s"`, `;created=%d;nonce="m";keyid="%s";alg="rsa-pss-sha512"`,
		`;created=%d;nonce="o";keyid="%s";expires=` + fmt.Sprint(noon.Unix())} {
		got := w.send(w.forge(victim.ID, `"content-digest" "@path" "@method" "@authority"`,
			fmt.Sprintf(parameters, noon.Unix(), victim.KeyID), func(text string) []byte { return signText(t, "victim", text) }))
		if got.status != 200 {
			t.Errorf("%s: %+v", parameters, got)
		}
	}
}

// An attacker costs little: a body is read, and a signature verified, only after all else was in order.
func TestCheapChecksComeFirst(t *testing.T) {
	w := newWorld(t, access.Options{})
	victim := w.add("victim")
	good := w.signed("victim", victim.ID)
	if got := w.send(w.again(good)); got.status != 200 {
		t.Fatal(got)
	}
	w.reads = 0
	unsigned := w.request("POST", "/poll/", pollBody(victim.ID))
	for name, request := range map[string]*http.Request{
		"unsigned": unsigned, "replayed": good, "unknown key": w.signed("attacker", victim.ID),
		"old": w.signedAt("victim", victim.ID, noon.Add(-time.Hour)),
	} {
		if got := w.send(request); got.status != 401 || w.reads != 0 {
			t.Errorf("%s: %d, %d bodies read", name, got.status, w.reads)
		}
	}
}

// The store is asked for a key once; a key that it does not know is not remembered.
func TestKeysAreCached(t *testing.T) {
	w := newWorld(t, access.Options{})
	victim := w.add("victim")
	for range 3 {
		if got := w.send(w.signed("victim", victim.ID)); got.status != 200 {
			t.Fatal(got)
		}
	}
	if w.asked != 1 {
		t.Errorf("the store was asked for the same key %d times", w.asked)
	}
	for range 3 {
		if got := w.send(w.signed("newcomer", victim.ID)); got.kind != "unknown-key" {
			t.Fatal(got)
		}
	}
	newcomer := w.add("newcomer")
	if got := w.send(w.signed("newcomer", newcomer.ID)); got.status != 200 {
		t.Errorf("a device that registered after its key was refused: %+v", got)
	}
}

// What changes while the store is asked is not remembered as it was.
func TestKeyThatChangesMeanwhile(t *testing.T) {
	w := newWorld(t, access.Options{AllowUnsigned: true})
	victim := w.add("victim")
	plain := access.Holder{ID: uuid.New(), Status: serverapi.Active}
	w.set(plain)
	w.during = func() { // between the store's answer and its use
		w.during = nil
		moved := victim
		moved.KeyID = signerOf(t, "victim's new one").KeyID()
		w.set(moved)
	}
	if got := w.send(w.signed("victim", victim.ID)); got.status != 200 { // it began before the change
		t.Error(got)
	}
	if got := w.send(w.signed("victim", victim.ID)); got.kind != "unknown-key" {
		t.Errorf("the old key after the change: %+v", got)
	}
	w.during = func() {
		w.during = nil
		signs := plain
		signs.KeyID = "x"
		w.set(signs)
	}
	if got := w.send(w.request("POST", "/poll/", pollBody(plain.ID))); got.status != 200 {
		t.Error(got)
	}
	if got := w.send(w.request("POST", "/poll/", pollBody(plain.ID))); got.kind != "unsigned" {
		t.Errorf("unsigned after the device began to sign: %+v", got)
	}
	w.gate.ForgetAll()
	if got := w.send(w.request("POST", "/poll/", pollBody(plain.ID))); got.kind != "unsigned" {
		t.Errorf("after all was forgotten: %+v", got)
	}
}

func TestNonceFlood(t *testing.T) {
	w := newWorld(t, access.Options{})
	flooder, other := w.add("victim"), w.add("other")
	var last answer
	for range access.Many + 1 {
		last = w.send(w.signed("victim", flooder.ID))
	}
	if last.status != http.StatusTooManyRequests || !strings.Contains(last.text, "more than 64 requests a second") {
		t.Errorf("request %d of a second: %+v", access.Many+1, last)
	}
	if got := w.send(w.signed("other", other.ID)); got.status != 200 {
		t.Errorf("another device suffers: %+v", got)
	}
	w.clock.Pass(time.Second)
	if got := w.send(w.signed("victim", flooder.ID)); got.status != 200 {
		t.Errorf("a second later: %+v", got)
	}
}

// A device whose clock is wrong is refused once, learns, and goes on.
func TestWrongClockRecovers(t *testing.T) {
	for name, off := range map[string]time.Duration{
		"an hour behind": -time.Hour, "an hour ahead": time.Hour, "since 1970": time.Unix(5, 0).Sub(noon), "right": 0,
	} {
		w := newWorld(t, access.Options{})
		victim := w.add("victim")
		transport := sign.NewTransport(signerOf(t, "victim"), sign.Options{
			Now: func() time.Time { return w.clock.Now().Add(off) }})
		client := http.Client{Transport: transport}
		for range 3 {
			response, err := client.Post(w.base+"/poll/", "application/json", strings.NewReader(pollBody(victim.ID)))
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil || response.StatusCode != 200 {
				t.Errorf("%s: %s, %v", name, response.Status, err)
			}
			w.clock.Pass(time.Minute)
		}
		transport.CloseIdleConnections()
		if transport.Offset() != -off {
			t.Errorf("%s: learned %s", name, transport.Offset())
		}
	}
}

func TestUnsignedDevices(t *testing.T) {
	w := newWorld(t, access.Options{AllowUnsigned: true})
	signs := w.add("victim")
	plain := access.Holder{ID: uuid.New(), PublicKey: "PEM", Status: serverapi.Active}
	w.set(plain)
	off := access.Holder{ID: uuid.New(), Status: serverapi.Revoked}
	w.set(off)
	for _, test := range []struct {
		name    string
		request *http.Request
		status  int
		kind    string
	}{
		{"never signed", w.request("POST", "/poll/", pollBody(plain.ID)), 200, ""},
		{"signs", w.signed("victim", signs.ID), 200, ""},
		{"signed once, and the attacker does not", w.request("POST", "/poll/", pollBody(signs.ID)), 401, "unsigned"},
		{"not there", w.request("POST", "/poll/", pollBody(uuid.New())), 400, ""},
		{"revoked", w.request("POST", "/poll/", pollBody(off.ID)), 403, "revoked"},
		{"signed, for one that does not", w.signed("victim", plain.ID), 401, "unknown-key"},
	} {
		if got := w.send(test.request); got.status != test.status || got.kind != test.kind {
			t.Errorf("%s: got %+v, want %d %q", test.name, got, test.status, test.kind)
		}
	}
}

// With a public URL, requests are checked as they left the device, whatever a proxy made of them.
func TestPublicURL(t *testing.T) {
	w := newWorld(t, access.Options{PublicURL: "https://Fleet.example:443/api/"})
	victim := w.add("victim")
	sent := func(url string) *http.Request {
		request := w.request("POST", "/poll/", pollBody(victim.ID))
		outside, err := http.NewRequest("POST", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := signerOf(t, "victim").Sign(outside, []byte(pollBody(victim.ID)), noon); err != nil {
			t.Fatal(err)
		}
		request.Header = outside.Header
		return request
	}
	if got := w.send(sent("https://fleet.example/api/poll/")); got.status != 200 {
		t.Errorf("through the proxy: %+v", got)
	}
	if got := w.send(sent("https://evil.example/api/poll/")); got.kind != "signature" {
		t.Errorf("relayed by another server: %+v", got)
	}
	if got := w.send(w.signed("victim", victim.ID)); got.kind != "signature" {
		t.Errorf("past the proxy: %+v", got)
	}
	if got := w.send(w.request("GET", "/target/", "")); got.status != 401 {
		t.Errorf("an operator without token: %+v", got)
	}
	for _, url := range []string{"fleet.example", "ftp://x", "https://", "https://x/?a", "https://u:p@x", "%"} {
		if _, err := access.New(access.Options{PublicURL: url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}
