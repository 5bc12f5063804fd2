package signed_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/need"
	"aspects-poc/roles/serverapi/signed"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// TestOpenSSH compares our signatures and files of allowed signers with those of ssh-keygen.
func TestOpenSSH(t *testing.T) {
	keygen := need.Program(t, "ssh-keygen")
	for _, kind := range [][]string{{"ed25519"}, {"ecdsa", "-b", "256"}, {"ecdsa", "-b", "384"}, {"ecdsa", "-b", "521"}, {"rsa", "-b", "2048"}, {"rsa", "-b", "3072"}} {
		t.Run(strings.Join(kind, " "), func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "key")
			run(t, "", keygen, append([]string{"-q", "-N", "", "-C", "anna", "-f", file, "-t"}, kind...)...)
			public, err := os.ReadFile(file + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			allowed := []byte("# who may sign\nanna@example.com namespaces=\"git," + signed.Namespace + "\" " + string(public))
			keys, err := signed.ParseKeys(allowed)
			if err != nil || len(keys) != 1 {
				t.Fatal(keys, err)
			}
			const text = "{\"a\":1}"
			signature := run(t, text, keygen, "-Y", "sign", "-q", "-n", signed.Namespace, "-f", file)
			if by, err := keys.Verify(text, signature); err != nil || by.Name != "anna@example.com" {
				t.Errorf("%v, %v", by, err)
			}
			if _, err := keys.Verify(text+" ", signature); err == nil {
				t.Error("another text has the signature")
			}
			if _, err := keys.Verify(text, run(t, text, keygen, "-Y", "sign", "-q", "-n", "git", "-f", file)); err == nil {
				t.Error("a signature for git counts")
			}
			// The other way round.
			private, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			key, err := ssh.ParsePrivateKey(private)
			if err != nil {
				t.Fatal(err)
			}
			list, ours := filepath.Join(dir, "allowed"), filepath.Join(dir, "ours.sig")
			made := signer{signed.Key{}, key}.sign(t, text, signed.Namespace)
			for path, content := range map[string][]byte{list: allowed, ours: []byte(made)} {
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			run(t, text, keygen, "-Y", "verify", "-f", list, "-I", "anna@example.com", "-n", signed.Namespace, "-s", ours)
			if want := strings.Fields(run(t, "", keygen, "-l", "-f", file+".pub"))[1]; keys[0].Fingerprint() != want {
				t.Errorf("the fingerprint is %s, not %s", keys[0].Fingerprint(), want)
			}
		})
	}
}

func run(t testing.TB, input, program string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Stdin = strings.NewReader(input)
	var wrong strings.Builder
	command.Stderr = &wrong
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, wrong.String())
	}
	return string(output)
}

// A token is a security key with a touch sensor, as FIDO tokens are. Such a key signs the digests of application and text, with
// flags and a counter.
type token struct {
	kind   string
	flags  byte
	public []byte
	sign   func(message []byte) []byte
}

func newTokens(t testing.TB) []*token {
	t.Helper()
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return []*token{
		{kind: ssh.KeyAlgoSKED25519, flags: 1, public: ssh.Marshal(struct{ Kind, Key, App string }{ssh.KeyAlgoSKED25519, string(edPublic), "ssh:"}),
			sign: func(message []byte) []byte { return ed25519.Sign(ed, message) }},
		{kind: ssh.KeyAlgoSKECDSA256, flags: 1, public: ssh.Marshal(struct{ Kind, Curve, Key, App string }{ssh.KeyAlgoSKECDSA256, "nistp256", string(point), "ssh:"}),
			sign: func(message []byte) []byte {
				digest := sha256.Sum256(message)
				r, s, err := ecdsa.Sign(rand.Reader, ec, digest[:])
				if err != nil {
					t.Error(err)
				}
				return ssh.Marshal(struct{ R, S *big.Int }{r, s})
			}},
	}
}

// TestToken verifies signatures of FIDO tokens, and refuses those that nobody has touched the token for.
func TestToken(t *testing.T) {
	for _, token := range newTokens(t) {
		public, err := ssh.ParsePublicKey(token.public)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := signed.ParseKeys([]byte("anna " + string(ssh.MarshalAuthorizedKey(public))))
		if err != nil {
			t.Fatal(err)
		}
		for _, touched := range []bool{true, false} {
			const text = "a statement"
			if token.flags = 0; touched {
				token.flags = 1
			}
			digest := sha256.Sum256([]byte(text))
			message := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Digest string }{signed.Namespace, "", "sha256", string(digest[:])})...)
			app, said := sha256.Sum256([]byte("ssh:")), sha256.Sum256(message)
			whole := append(append(app[:], token.flags, 0, 0, 0, 7), said[:]...)
			made := sshsig.Signature{Version: 1, PublicKey: public, Namespace: signed.Namespace, HashAlgorithm: sshsig.HashSHA256,
				Signature: &ssh.Signature{Format: token.kind, Blob: token.sign(whole), Rest: []byte{token.flags, 0, 0, 0, 7}}}
			if _, err := keys.Verify(text, string(sshsig.Armor(&made))); (err == nil) != touched {
				t.Errorf("%s, touched: %v: %v", token.kind, touched, err)
			}
		}
	}
}

// TestKeys refuses files of allowed signers that would mean less than they say.
func TestKeys(t *testing.T) {
	anna := newSigner(t, "anna")
	for text, want := range map[string]string{
		"":                                    "it has no key",
		"anna ssh-ed25519":                    "want a name and a public key",
		"anna cert-authority " + anna.Key.Key: "is not known here",
		`anna valid-before="20300101" ` + anna.Key.Key:     "is not known here",
		`anna namespaces="git" ` + anna.Key.Key:            "it has no key",
		"anna " + anna.Key.Key + "\nberta " + anna.Key.Key: "stands twice",
		`"anna b" ` + anna.Key.Key:                         "quotation marks",
	} {
		if _, err := signed.ParseKeys([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestRotation leads devices of different times to the last statement, over the statements that changed the keys.
func TestRotation(t *testing.T) {
	s := newStory(t)
	now := time.Unix(1_800_000_000, 0)
	last := s.chapters[len(s.chapters)-1]
	if former := last.evidence[0].Former; len(former) != 3 {
		t.Errorf("%d statements lead to the last keys, want those that changed them: 1, 3 and 5", len(former))
	}
	want, err := signed.Guard{Keys: s.first}.Accept(last.evidence[0], deviceKey(0), last.configs[0], now)
	if err != nil || want.Number != 8 || want.Signer != "berta" || !want.Keys.Equal(last.book.Statement.Keys) {
		t.Fatal(want, err)
	}
	for device, guards := range s.guards(t) {
		for _, guard := range guards {
			if got, err := guard.Accept(last.evidence[device], deviceKey(device), last.configs[device], now); err != nil || got.Digest != want.Digest {
				t.Errorf("device %d with statement %d: %v, %v", device, guard.Number, got.Number, err)
			}
		}
	}
	// One that was installed with the last keys, and one without a way there.
	if _, err := (signed.Guard{Keys: last.book.Statement.Keys}).Accept(last.evidence[0], deviceKey(0), last.configs[0], now); err != nil {
		t.Error(err)
	}
	alone := *last.evidence[0]
	alone.Former = nil
	if _, err := (signed.Guard{Keys: s.first}).Accept(&alone, deviceKey(0), last.configs[0], now); err == nil {
		t.Error("a device with the first keys takes a statement of the last ones without the statements in between")
	}
	// The book is the same after a restart.
	var list []signed.Signed
	for _, chapter := range s.chapters {
		list = append(list, chapter.book.Signed)
	}
	book, err := signed.Reopen(list, last.manifest, last.book.Salts())
	if err != nil {
		t.Fatal(err)
	}
	again, err := book.Evidence(deviceKey(0), last.evidence[0].Targets[0], last.places[0])
	if err != nil || jsonOf(t, again) != jsonOf(t, last.evidence[0]) {
		t.Errorf("%v\n%s\n%s", err, jsonOf(t, again), jsonOf(t, last.evidence[0]))
	}
}

// TestFormer looks at no more earlier statements than there may be, and at none behind one that is wrong.
func TestFormer(t *testing.T) {
	s := newStory(t)
	now := time.Unix(1_800_000_000, 0)
	last := s.chapters[len(s.chapters)-1]
	first := signed.Guard{Keys: s.first}
	accept := func(former []signed.Signed) error {
		evidence := *last.evidence[0]
		evidence.Former = former
		_, err := first.Accept(&evidence, deviceKey(0), last.configs[0], now)
		return err
	}
	good := last.evidence[0].Former
	if err := accept(good); err != nil {
		t.Fatal(err)
	}
	many := slices.Repeat(good[:1], 1001)
	if err := accept(many); err == nil || !strings.Contains(err.Error(), "1001 earlier statements") {
		t.Error(err)
	}
	long := []signed.Signed{{Statement: strings.Repeat("x", 1<<20), Signature: "x"}}
	if err := accept(long); err == nil || !strings.Contains(err.Error(), "bytes, and may have") {
		t.Error(err)
	}
	forged := good[1]
	forged.Statement += " "
	for name, former := range map[string][]signed.Signed{
		"another order": {good[0], good[2], good[1]}, "twice": {good[0], good[0], good[1], good[2]},
		"one is no statement": {good[0], {Statement: "{}"}, good[1], good[2]}, "one is forged": {good[0], forged, good[2]},
	} {
		if err := accept(former); err == nil {
			t.Errorf("%s: the device is led on", name)
		}
	}
}

// TestNumbers takes no number that leaves none for later.
func TestNumbers(t *testing.T) {
	anna := newSigner(t, "anna")
	var manifest signed.Manifest
	if err := manifest.Plan(); err != nil {
		t.Fatal(err)
	}
	whole, err := manifest.Text()
	if err != nil {
		t.Fatal(err)
	}
	open := func(number int64, before *signed.Book) (*signed.Book, error) {
		statement := signed.Statement{Fleet: strings.Repeat("f", 20), Number: number, Keys: signed.Keys{anna.Key}}
		if number > 1 {
			statement.Previous = signed.Digest("another")
		}
		text, err := manifest.Complete(statement)
		if err != nil {
			t.Fatal(err)
		}
		return signed.Open(signed.Signed{Statement: text, Signature: anna.sign(t, text, signed.Namespace)}, whole, nil, before)
	}
	if _, err := open(1<<53, nil); err == nil || !strings.Contains(err.Error(), "the first statement has number") {
		t.Error(err)
	}
	one, err := open(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[int64]string{1001: "", 1002: "more than 1000 above"} {
		if _, err := open(number, one); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d: %v, want %q", number, err, want)
		}
	}
}

// TestFork refuses a statement whose number is the next one, and that follows another: two operators have signed at once.
func TestFork(t *testing.T) {
	s := newStory(t)
	now := time.Unix(1_800_000_000, 0)
	guard := s.guards(t)[0][7]
	last := s.chapters[7].book.Statement
	last.Previous = signed.Digest("another")
	berta := newSigner(t, "berta")
	guard.Keys = signed.Keys{berta.Key}
	for number, want := range map[int64]string{7: "two statements of number 7", 8: "does not follow the statement 7", 9: ""} {
		last.Number = number
		text := jsonOf(t, last)
		evidence := *s.chapters[7].evidence[0]
		evidence.Signed, evidence.Former = signed.Signed{Statement: text, Signature: berta.sign(t, text, signed.Namespace)}, nil
		_, err := guard.Accept(&evidence, deviceKey(0), s.chapters[7].configs[0], now)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d: %v, want %q", number, err, want)
		}
	}
	if guard.Overdue(now) {
		t.Error("nothing was said of signing again")
	}
	if guard.SignAgain = now.Unix() - 1; !guard.Overdue(now) {
		t.Error("signing is overdue")
	}
}

// TestNamelessSecret refuses to sign what the operator cannot know.
func TestNamelessSecret(t *testing.T) {
	for layer, want := range map[string]string{
		`{"control-tunnel":{"secret-key":{"$secret":"set","digest":"x"}}}`: "has no name",
		`{"control-tunnel":{"secret-key":{"$secret":"vpn"}}}`:              "the value of the secret vpn is not known",
		`{"control-tunnel":{"list":[{"$secret":"vpn"}]}}`:                  "cannot be signed",
	} {
		manifest := signed.Manifest{Layers: []signed.Layer{{Layer: "everyone"}}, Devices: []signed.Device{{Key: deviceKey(1)}}}
		if err := json.Unmarshal([]byte(layer), &manifest.Layers[0].Config); err != nil {
			t.Fatal(err)
		}
		if err := manifest.Plan(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", layer, err, want)
		}
	}
}

// FuzzEvidence sends a device any evidence: it must neither end nor obey.
func FuzzEvidence(f *testing.F) {
	s := newStory(f)
	guard := signed.Guard{Keys: signed.Keys{newSigner(f, "nobody").Key}}
	f.Add(jsonOf(f, s.chapters[4].evidence[2]))
	f.Fuzz(func(t *testing.T, text string) {
		var evidence signed.Evidence
		if json.Unmarshal([]byte(text), &evidence) != nil {
			return
		}
		if _, err := guard.Accept(&evidence, deviceKey(2), s.chapters[4].configs[2], time.Unix(0, 0)); err == nil {
			t.Error("it obeys")
		}
	})
}
