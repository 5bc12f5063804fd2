package signed_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"aspects-poc/roles/serverapi/signed"

	"github.com/google/uuid"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// A signer is a person with an SSH key.
type signer struct {
	signed.Key
	key ssh.Signer
}

func newSigner(t testing.TB, name string) signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	return signer{signed.Key{Name: name, Key: public}, key}
}

// sign signs a text as ssh-keygen -Y sign does.
func (s signer) sign(t testing.TB, text, namespace string) string {
	t.Helper()
	signature, err := sshsig.Sign(strings.NewReader(text), s.key, sshsig.HashSHA512, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return string(sshsig.Armor(signature))
}

// deviceKey returns the ID of a device's key, of a shape as those are.
func deviceKey(n int) string {
	var sum [32]byte
	sum[0], sum[31] = byte(n), byte(n>>8)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// config parses JSON.
func config(t testing.TB, text string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// A chapter is a statement, with all that the server knows of it.
type chapter struct {
	book     *signed.Book
	manifest string
	configs  []map[string]any // what each device is to have, its secrets included
	places   [][]signed.Place
	evidence []*signed.Evidence
}

const devicesOfStory = 6

// A story is a fleet with its statements.
type story struct {
	fleet    string
	chapters []chapter
	first    signed.Keys // that devices have from the beginning
	bad      signer      // the server's own
}

// next signs the next chapter: layers as JSON, the devices' site labels, the values of secrets, and the keys from then on.
func (s *story) next(t testing.TB, by signer, keys signed.Keys, layers string, sites []string, secrets map[string]string) {
	t.Helper()
	manifest, salts := &signed.Manifest{Secrets: map[string]signed.Secret{}}, map[string]string{}
	decoder := json.NewDecoder(strings.NewReader(layers))
	decoder.UseNumber()
	if err := decoder.Decode(&manifest.Layers); err != nil {
		t.Fatal(err)
	}
	for name, value := range secrets {
		salt := rand.Text()
		digest, err := signed.SecretDigest(salt, value)
		if err != nil {
			t.Fatal(err)
		}
		manifest.Secrets[name] = signed.Secret{Digest: digest}
		salts[name] = salt
	}
	for i := range devicesOfStory {
		manifest.Devices = append(manifest.Devices, signed.Device{Key: deviceKey(i), UUID: uuid.NewSHA1(uuid.Nil, []byte{byte(i)}),
			Labels: map[string]string{"site": sites[i%len(sites)]}})
	}
	if err := manifest.Plan(); err != nil {
		t.Fatal(err)
	}
	statement := signed.Statement{Fleet: s.fleet, Number: 1, At: int64(1_700_000_000 + len(s.chapters)), Keys: keys}
	var before *signed.Book
	if len(s.chapters) > 0 {
		before = s.chapters[len(s.chapters)-1].book
		statement.Number, statement.Previous = before.Statement.Number+1, signed.Digest(before.Signed.Statement)
	}
	text, err := manifest.Complete(statement)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := manifest.Text()
	if err != nil {
		t.Fatal(err)
	}
	made := chapter{manifest: whole}
	if made.book, err = signed.Open(signed.Signed{Statement: text, Signature: by.sign(t, text, signed.Namespace)}, whole, salts, before); err != nil {
		t.Fatal(err)
	}
	for i := range devicesOfStory {
		merged, err := manifest.Config(manifest.Devices[at(manifest, deviceKey(i))])
		if err != nil {
			t.Fatal(err)
		}
		places, err := made.book.Places(merged)
		if err != nil {
			t.Fatal(err)
		}
		resolved, _ := resolve(merged, secrets).(map[string]any)
		target, err := signed.TargetHash(resolved, places)
		if err != nil {
			t.Fatal(err)
		}
		evidence, err := made.book.Evidence(deviceKey(i), target, places)
		if err != nil {
			t.Fatalf("device %d of statement %d: %v", i, statement.Number, err)
		}
		made.configs, made.places, made.evidence = append(made.configs, resolved), append(made.places, places), append(made.evidence, evidence)
	}
	s.chapters = append(s.chapters, made)
}

func at(manifest *signed.Manifest, key string) int {
	for i, device := range manifest.Devices {
		if device.Key == key {
			return i
		}
	}
	return -1
}

func resolve(value any, secrets map[string]string) any {
	object, is := value.(map[string]any)
	if !is {
		return value
	}
	if name, is := object["$secret"].(string); is {
		return secrets[name]
	}
	resolved := map[string]any{}
	for name, value := range object {
		resolved[name] = resolve(value, secrets)
	}
	return resolved
}

// newStory returns a fleet of which eight statements are signed. The third brings a second operator, the fifth replaces the first
// one's key, and labels, layers and a secret change in between.
func newStory(t testing.TB) *story {
	t.Helper()
	anna, berta, carla := newSigner(t, "anna"), newSigner(t, "berta"), newSigner(t, "carla")
	s := &story{fleet: rand.Text(), bad: newSigner(t, "anna"), first: signed.Keys{anna.Key}}
	layers := func(rate int) string {
		return fmt.Sprintf(`[{"layer":"everyone","config":{"control-telemetry":{"sample-rate":%d},"control-device":{"name":null}}},
			{"layer":"labels/berlin","selector":"site=berlin","priority":10,"config":{"control-telemetry":{"limit":9007199254740993}}},
			{"layer":"devices/%s","config":{"control-tunnel":{"secret-key":{"$secret":"vpn"},"peers":[1,2]}}}]`, rate,
			uuid.NewSHA1(uuid.Nil, []byte{2}))
	}
	first, both, later := signed.Keys{anna.Key}, signed.Keys{anna.Key, berta.Key}, signed.Keys{berta.Key, carla.Key}
	for _, c := range []struct {
		by    signer
		keys  signed.Keys
		rate  int
		sites string
		vpn   string
	}{
		{anna, first, 1, "berlin rome", "hunter1"}, {anna, first, 2, "berlin rome", "hunter1"}, {anna, both, 2, "berlin rome", "hunter2"},
		{berta, both, 3, "rome berlin", "hunter2"}, {berta, later, 4, "rome berlin", "hunter3"}, {carla, later, 1, "rome", "hunter3"},
		{carla, later, 5, "berlin", "hunter4"}, {berta, later, 6, "berlin rome oslo", "hunter4"},
	} {
		s.next(t, c.by, c.keys, layers(c.rate), strings.Fields(c.sites), map[string]string{"vpn": c.vpn})
	}
	// What the operators have signed elsewhere: another fleet with the same devices, and a text of the server's for git.
	other := &story{fleet: rand.Text(), bad: s.bad, first: s.first}
	for i := range 9 { // so that its numbers are higher than those of most devices
		other.next(t, anna, first, layers(60+i), []string{"berlin"}, map[string]string{"vpn": "hunter66"})
	}
	foreign, lender = other.chapters, anna
	return s
}

// foreign has the statements of the other fleet of the last story.
var foreign []chapter
