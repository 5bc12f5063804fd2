package sign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/serverapi/sign"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	made, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return made
})

func newSigner(t testing.TB) *sign.Signer {
	t.Helper()
	signer, err := sign.NewSigner(key())
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// From RFC 9421: the key of appendix B.1.2, and request and signature of appendix B.2.3.
const (
	rfcKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----
`
	rfcParameters = `("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length")` +
		`;created=1618884473;keyid="test-key-rsa-pss"`
	rfcSignature = "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp" +
		"768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE" +
		"9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2" +
		"FUo5fTIztsDZKEgM4cUA=="
)

func TestSignatureOfTheRFC(t *testing.T) {
	request, err := http.NewRequest(http.MethodPost, "https://example.com/foo?param=Value&Pet=dog", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Date": "Tue, 20 Apr 2021 02:07:55 GMT", "Content-Type": "application/json", "Content-Length": "18",
		"Content-Digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
	} {
		request.Header.Set(name, value)
	}
	names := strings.Split(strings.Trim(rfcParameters[:strings.Index(rfcParameters, ")")], `("`), `" "`)
	base, err := sign.Received(request).Base(sign.WithParameters(sign.Input{Components: names}, rfcParameters))
	if err != nil {
		t.Fatal(err)
	}
	public, err := sign.ParsePublicKey(rfcKey)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(rfcSignature)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.Verify(public, base, signature); err != nil {
		t.Errorf("%v over\n%s", err, base)
	}
	signature[0]++
	if err := sign.Verify(public, base, signature); !errors.Is(err, sign.ErrSignature) {
		t.Errorf("an altered signature: %v", err)
	}
}

func newRequest(t testing.TB, url, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func TestSignedRequests(t *testing.T) {
	signer := newSigner(t)
	for _, test := range []struct {
		url, wantBase string
		components    []string
	}{
		{"http://Fleet.example:80/poll/", "\"@method\": POST\n\"@authority\": fleet.example\n\"@path\": /poll/\n",
			sign.Components()},
		{"https://fleet.example:80", "\"@method\": POST\n\"@authority\": fleet.example:80\n\"@path\": /\n", sign.Components()},
		{"https://[::1]:443/a%2Fb/?", "\"@method\": POST\n\"@authority\": [::1]\n\"@path\": /a%2Fb/\n",
			append(sign.Components(), "@query")},
		{"http://[::1]:8000/?a=b", "\"@method\": POST\n\"@authority\": [::1]:8000\n\"@path\": /\n",
			append(sign.Components(), "@query")},
	} {
		request := newRequest(t, test.url, "{}")
		if err := signer.Sign(request, []byte("{}"), time.Unix(1732480000, 999)); err != nil {
			t.Fatal(err)
		}
		input, err := sign.ParseInput(request.Header)
		if err != nil {
			t.Fatalf("%s: %v", test.url, err)
		}
		want := sign.Input{Components: test.components, Created: time.Unix(1732480000, 0), KeyID: signer.KeyID()}
		got := sign.WithParameters(input, "")
		if len(got.Nonce) != 22 || len(got.Signature) != 256 {
			t.Errorf("%s: nonce %q, signature of %d bytes", test.url, got.Nonce, len(got.Signature))
		}
		got.Nonce, got.Signature = "", nil
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(sign.Input{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.url, diff)
		}
		request.Host = sign.Authority(request.URL.Scheme, request.URL.Host) // as the transport sends it
		message := sign.Received(request)
		base, err := message.Base(input)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(base, test.wantBase+`"content-digest": `+sign.Digest([]byte("{}"))) {
			t.Errorf("%s: signs\n%s", test.url, base)
		}
		if err := sign.Verify(&key().PublicKey, base, input.Signature); err != nil {
			t.Errorf("%s: %v", test.url, err)
		}
		if missing := input.Covers(message); missing != "" {
			t.Errorf("%s: does not cover %q", test.url, missing)
		}
	}
}

// Two signatures of the same request differ: each has a nonce of its own.
func TestNoncesDiffer(t *testing.T) {
	signer, seen := newSigner(t), map[string]bool{}
	for range 20 {
		request := newRequest(t, "http://x/", "")
		if err := signer.Sign(request, nil, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		input, err := sign.ParseInput(request.Header)
		if err != nil || seen[input.Nonce] {
			t.Fatal(input.Nonce, err)
		}
		seen[input.Nonce] = true
	}
}

func TestParseInputRefuses(t *testing.T) {
	id := strings.Repeat("k", sign.KeyIDLength)
	const list = `device=("@method")`
	rest := `;created=1;nonce="n";keyid="` + id + `"`
	const signature = "device=:AAAA:"
	for _, test := range []struct {
		name      string
		inputs    []string
		signature []string
		want      string
	}{
		{"nothing", nil, nil, "the request is not signed"},
		{"no signature", []string{list + rest}, nil, "Signature is missing"},
		{"no input", nil, []string{signature}, "Signature-Input is missing"},
		{"no field", []string{"=("}, []string{signature}, "Signature-Input is no dictionary of structured fields"},
		{"another label", []string{`sig1=("@method")` + rest}, []string{signature},
			`Signature-Input must have exactly one signature, labelled "device"`},
		{"two signatures", []string{list + rest + `, proxy=("@method");created=1`}, []string{signature},
			`Signature-Input must have exactly one signature, labelled "device"`},
		{"two of the label", []string{list + rest + ", " + list + rest}, []string{signature},
			`Signature-Input must have exactly one signature, labelled "device"`},
		{"two fields", []string{list + rest, list + rest}, []string{signature},
			`Signature-Input must have exactly one signature, labelled "device"`},
		{"two values", []string{list + rest}, []string{signature + ", other=:AAAA:"},
			`Signature must have exactly one signature, labelled "device"`},
		{"no list", []string{"device=1" + rest}, []string{signature}, `Signature-Input: "device" is no list of components`},
		{"no bytes", []string{list + rest}, []string{`device="AAAA"`}, `Signature: "device" is no byte sequence`},
		{"a signature's list", []string{list + rest}, []string{`device=(:AAAA:)`}, `Signature: "device" is no byte sequence`},
		{"empty signature", []string{list + rest}, []string{`device=::`}, `Signature: "device" is no byte sequence`},
		{"component twice", []string{`device=("@method" "@method")` + rest}, []string{signature},
			`Signature-Input: "@method" stands there twice`},
		{"component's parameter", []string{`device=("content-digest";sf)` + rest}, []string{signature},
			"Signature-Input: components are names without parameters here"},
		{"component no string", []string{`device=(method)` + rest}, []string{signature},
			"Signature-Input: components are names without parameters here"},
		{"other algorithm", []string{list + rest + `;alg="hmac-sha256"`}, []string{signature},
			`Signature-Input: alg must be "rsa-pss-sha512"`},
		{"weaker algorithm", []string{list + rest + `;alg="rsa-v1_5-sha256"`}, []string{signature},
			`Signature-Input: alg must be "rsa-pss-sha512"`},
		{"algorithm no string", []string{list + rest + `;alg=rsa-pss-sha512`}, []string{signature},
			`Signature-Input: alg must be "rsa-pss-sha512"`},
		{"no created", []string{list + `;nonce="n";keyid="` + id + `"`}, []string{signature},
			"Signature-Input: created is missing"},
		{"no nonce", []string{list + `;created=1;keyid="` + id + `"`}, []string{signature}, "Signature-Input: nonce is missing"},
		{"no keyid", []string{list + `;created=1;nonce="n"`}, []string{signature},
			"Signature-Input: keyid must be the base64url of a SHA-256"},
		{"long nonce", []string{list + `;created=1;nonce="` + strings.Repeat("n", 65) + `"`}, []string{signature},
			`Signature-Input: "nonce" is not known here, or has a value that it cannot have`},
		{"created no integer", []string{list + `;created="1"`}, []string{signature},
			`Signature-Input: "created" is not known here, or has a value that it cannot have`},
		{"unknown parameter", []string{list + rest + `;audience="x"`}, []string{signature},
			`Signature-Input: "audience" is not known here, or has a value that it cannot have`},
		{"huge", []string{list + rest + strings.Repeat(" ", sign.MaxField)}, []string{signature},
			"Signature-Input must not be longer than 2048 bytes"},
		{"good", []string{list + rest + `;alg="rsa-pss-sha512"`}, []string{signature}, ""},
		{"good without alg", []string{list + rest}, []string{signature}, ""},
	} {
		header := http.Header{sign.InputHeader: test.inputs, sign.SignatureHeader: test.signature}
		got := ""
		if _, err := sign.ParseInput(header); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzParseInput(f *testing.F) {
	f.Add(`device=("@method" "@path");created=1;nonce="n";keyid="`+strings.Repeat("k", 43)+`"`, "device=:AAAA:")
	f.Add(`device=()`, `device=?1`)
	f.Fuzz(func(t *testing.T, input, signature string) {
		parsed, err := sign.ParseInput(http.Header{sign.InputHeader: {input}, sign.SignatureHeader: {signature}})
		if err != nil {
			return
		}
		if parsed.KeyID == "" || parsed.Nonce == "" || parsed.Created.IsZero() || len(parsed.Signature) == 0 {
			t.Errorf("%q, %q: %+v", input, signature, parsed)
		}
		if _, err := (sign.Message{Method: "GET"}).Base(parsed); err != nil && strings.Contains(err.Error(), "internal") {
			t.Error(err)
		}
	})
}

func publicPEM(t testing.TB, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestParsePublicKey(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := publicPEM(t, &key().PublicKey)
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key().PublicKey)}))
	private := string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key())}))
	exponent := key().PublicKey
	exponent.E = 3
	for _, test := range []struct {
		name, text string
		ok         bool
	}{
		{"PKIX", own, true}, {"PKCS #1", pkcs1, true}, {"white space around", "\n " + own + "\n\n", true},
		{"nothing", "", false}, {"no PEM", "PEM", false}, {"two keys", own + own, false}, {"text behind", own + "x", false},
		{"short", publicPEM(t, &short.PublicKey), false}, {"curve", publicPEM(t, &curve.PublicKey), false},
		{"small exponent", publicPEM(t, &exponent), false}, {"private", private, false},
		{"cut off", own[:len(own)/2], false},
	} {
		parsed, err := sign.ParsePublicKey(test.text)
		if test.ok != (err == nil) || err != nil && !errors.Is(err, sign.ErrKey) {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.ok && !parsed.Equal(&key().PublicKey) {
			t.Errorf("%s: another key", test.name)
		}
	}
	if _, err := sign.NewSigner(short); !errors.Is(err, sign.ErrKey) {
		t.Errorf("a signer with a short key: %v", err)
	}
}

func TestSuccession(t *testing.T) {
	signer, device := newSigner(t), uuid.MustParse("ca155b32-2472-4650-afb0-c6f967328afe")
	proof, err := signer.Succeed(device, "old")
	if err != nil {
		t.Fatal(err)
	}
	text := publicPEM(t, &key().PublicKey)
	id, err := sign.VerifySuccession(device, "old", text, proof)
	if err != nil || id != signer.KeyID() {
		t.Errorf("got %q, %v", id, err)
	}
	for _, test := range []struct {
		name       string
		device     uuid.UUID
		old, proof string
	}{
		{"another device", uuid.Nil, "old", proof}, {"another old key", device, "older", proof},
		{"no base64", device, "old", "!"}, {"nothing", device, "old", ""},
		{"altered", device, "old", "AAAA" + proof[4:]},
	} {
		if _, err := sign.VerifySuccession(test.device, test.old, text, test.proof); !errors.Is(err, sign.ErrSignature) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := sign.VerifySuccession(device, "old", "PEM", proof); !errors.Is(err, sign.ErrKey) {
		t.Errorf("no key: %v", err)
	}
}

// BenchmarkSignature is what a signature costs a device, and its verification the server.
func BenchmarkSignature(b *testing.B) {
	signer := newSigner(b)
	body := bytes.Repeat([]byte("x"), 400)
	request := newRequest(b, "http://127.0.0.1:8000/poll/", string(body))
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			if err := signer.Sign(request, body, time.Unix(1, 0)); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := signer.Sign(request, body, time.Unix(1, 0)); err != nil {
		b.Fatal(err)
	}
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, err := sign.ParseInput(request.Header); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			input, err := sign.ParseInput(request.Header)
			if err != nil {
				b.Fatal(err)
			}
			base, err := sign.Received(request).Base(input)
			if err != nil {
				b.Fatal(err)
			}
			request.Host = "127.0.0.1:8000"
			if err := sign.Verify(&key().PublicKey, base, input.Signature); err != nil {
				b.Fatal(err)
			}
		}
	})
}
