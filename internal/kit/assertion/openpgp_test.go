package assertion_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"aspects-poc/internal/kit/assertion"
)

// armoured returns a packet as assertions have it.
func armoured(packet []byte) string {
	return base64.StdEncoding.EncodeToString(append([]byte{1}, packet...))
}

// An openPGP is a key of a maintained library for OpenPGP.
type openPGP struct {
	private *packet.PrivateKey
	public  []byte // its packet
}

func newOpenPGP(t testing.TB, bits int) openPGP {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	o := openPGP{private: packet.NewRSAPrivateKey(time.Unix(1451606400, 0), key)}
	var public bytes.Buffer
	if err := o.private.PublicKey.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	o.public = public.Bytes()
	return o
}

// sign returns the packet of a signature.
func (o openPGP) sign(t testing.TB, content string, hash crypto.Hash) []byte {
	t.Helper()
	signature := &packet.Signature{Version: 4, SigType: packet.SigTypeBinary, PubKeyAlgo: packet.PubKeyAlgoRSA, Hash: hash,
		CreationTime: time.Unix(1451606401, 0), IssuerKeyId: &o.private.KeyId}
	digest := hash.New()
	_, _ = digest.Write([]byte(content))
	if err := signature.Sign(digest, o.private, nil); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := signature.Serialize(&text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// library returns whether the library finds that the signature is good.
func library(public, signature []byte, content string) bool {
	key, err := packet.Read(bytes.NewReader(public))
	if err != nil {
		return false
	}
	signed, err := packet.Read(bytes.NewReader(signature))
	if err != nil {
		return false
	}
	k, isKey := key.(*packet.PublicKey)
	s, isSignature := signed.(*packet.Signature)
	if !isKey || !isSignature || s.Hash != crypto.SHA512 {
		return false
	}
	digest := crypto.SHA512.New()
	_, _ = digest.Write([]byte(content))
	return k.VerifySignature(digest, s) == nil
}

// unsignedBy returns the content of the sample, as if the key had signed it.
func unsignedBy(t testing.TB, key *assertion.Key) string {
	t.Helper()
	text := string(sample(t, "signed.assert"))
	content := text[:strings.LastIndex(text, "\n\n")]
	return strings.Replace(content, signed(t).SignKey(), key.ID, 1)
}

// checked returns whether Keys.Check finds that the signature is good.
func checked(t testing.TB, public, signature []byte) (good bool, content string, err error) {
	t.Helper()
	key, err := assertion.ReadKey([]byte(armoured(public)))
	if err != nil {
		return false, "", err
	}
	content = unsignedBy(t, key)
	a, err := assertion.Decode([]byte(content + "\n\n" + armoured(signature) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	err = assertion.NewKeys(key).Check(a)
	return err == nil, content, err
}

// Keys and signatures of a library for OpenPGP are good, with changed bytes they are bad wherever the library finds them bad.
func TestAgainstALibrary(t *testing.T) {
	for _, bits := range []int{2048, 2049, 3072} {
		o := newOpenPGP(t, bits)
		key, err := assertion.ReadKey([]byte(armoured(o.public)))
		if err != nil {
			t.Fatal(err)
		}
		content := unsignedBy(t, key)
		signature := o.sign(t, content, crypto.SHA512)
		if good, _, err := checked(t, o.public, signature); !good {
			t.Fatalf("%d bits: %v", bits, err)
		}
		if good, _, err := checked(t, o.public, o.sign(t, content, crypto.SHA256)); good || !strings.Contains(err.Error(), "expected SHA512 digest") {
			t.Errorf("a signature with SHA256: %v", err)
		}
		if good, _, err := checked(t, o.public, o.sign(t, content+" ", crypto.SHA512)); good || err.Error() != "failed signature verification: RSA verification failure" {
			t.Errorf("the signature of another content: %v", err)
		}
		if good, _, err := checked(t, newOpenPGP(t, bits).public, signature); good {
			t.Errorf("with another key: %v", err)
		}
		both := 0
		for range 3000 {
			public, changed := bytes.Clone(o.public), bytes.Clone(signature)
			at := &changed
			if mathrand.IntN(4) == 0 {
				at = &public
			}
			switch place := mathrand.IntN(len(*at)); mathrand.IntN(3) {
			case 0:
				*at = (*at)[:place]
			case 1:
				(*at)[mathrand.IntN(min(len(*at), 40))] = byte(mathrand.Uint32()) // lengths and algorithms come first
			default:
				(*at)[place] ^= 1 << mathrand.IntN(8)
			}
			good, content, _ := checked(t, public, changed)
			if good && !library(public, changed, content) {
				t.Fatalf("good for us alone: key %x, signature %x", public, changed)
			}
			if good {
				both++ // what is not signed may change
			}
		}
		if both > 300 {
			t.Errorf("%d of 3000 changed signatures are good", both)
		}
	}
}

// The header of a packet may be written in several ways.
func TestHeadersOfPackets(t *testing.T) {
	o := newOpenPGP(t, 2048)
	key, err := assertion.ReadKey([]byte(armoured(o.public)))
	if err != nil {
		t.Fatal(err)
	}
	signature := o.sign(t, unsignedBy(t, key), crypto.SHA512)
	packetOf, err := packet.NewOpaqueReader(bytes.NewReader(signature)).Next()
	if err != nil {
		t.Fatal(err)
	}
	body := packetOf.Contents
	size := len(body)
	for name, header := range map[string][]byte{
		"new, two bytes":  {0xc2, byte((size-192)>>8 + 192), byte(size - 192)},
		"new, five bytes": {0xc2, 255, 0, 0, byte(size >> 8), byte(size)},
		"old, two bytes":  {0x89, byte(size >> 8), byte(size)},
		"old, four bytes": {0x8a, 0, 0, byte(size >> 8), byte(size)},
		"old, to the end": {0x8b},
	} {
		if good, _, err := checked(t, o.public, append(header, body...)); !good {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, header := range map[string][]byte{
		"no packet":         {0x02, byte(size)},
		"partial":           {0xc2, 0xe8},
		"longer than it is": {0x89, 0xff, 0xff},
		"as long as can be": {0xc2, 255, 0xff, 0xff, 0xff, 0xff},
		"another tag":       {0xc3, 255, 0, 0, byte(size >> 8), byte(size)},
	} {
		if good, _, err := checked(t, o.public, append(header, body...)); good || err == nil {
			t.Errorf("%s: good", name)
		}
	}
}

func TestKeysThatAreNotRead(t *testing.T) {
	modulus := func(bits int) []byte {
		number := bytes.Repeat([]byte{0xff}, (bits+7)/8)
		return append([]byte{byte(bits >> 8), byte(bits)}, number...)
	}
	for _, test := range []struct {
		name string
		body []byte
		want string
	}{
		{"version 3", []byte{3, 0, 0, 0, 0, 0, 0, 1}, "unsupported version of a public key: 3"},
		{"for encryption", []byte{4, 0, 0, 0, 0, 2}, "expected RSA public key"},
		{"an elliptic curve", []byte{4, 0, 0, 0, 0, 19}, "expected RSA public key"},
		{"cut off", []byte{4, 0, 0}, "unexpected EOF"},
		{"no exponent", append([]byte{4, 0, 0, 0, 0, 1}, modulus(2048)...), "unexpected EOF"},
		{"a large exponent", append(append([]byte{4, 0, 0, 0, 0, 1}, modulus(2048)...), modulus(32)...), "more than 31 bits"},
		{"a large modulus", append(append([]byte{4, 0, 0, 0, 0, 1}, modulus(16392)...), modulus(17)...), "RSA key of 16392 bits"},
	} {
		size := len(test.body)
		public := append([]byte{0x99, byte(size >> 8), byte(size)}, test.body...)
		if _, err := assertion.ReadKey([]byte(armoured(public))); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
	// Keys without a sensible modulus verify nothing.
	for _, bits := range []int{0, 1, 8, 512} {
		body := append(append([]byte{4, 0, 0, 0, 0, 1}, modulus(bits)...), 0, 2, 3)
		public := append([]byte{0x99, 0, byte(len(body))}, body...)
		if good, _, err := checked(t, public, newOpenPGP(t, 2048).sign(t, "", crypto.SHA512)); good {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func FuzzPackets(f *testing.F) {
	o := newOpenPGP(f, 2048)
	f.Add(o.public, o.sign(f, "content", crypto.SHA512))
	f.Fuzz(func(t *testing.T, public, signature []byte) {
		if good, content, _ := checked(t, public, signature); good && !library(public, signature, content) {
			t.Error("good for us alone")
		}
	})
}
