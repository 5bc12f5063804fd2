package signed_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/serverapi/signed"
)

// tries is the number of random tries of a server that has turned bad.
const tries = 1500

// A server that has turned bad has everything but the operators' keys: all statements with their manifests, the values of all
// secrets, and a key of its own. It shall never bring a device to apply what no operator has signed for this device, or what is
// older than what the device has.
func TestBadServer(t *testing.T) {
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			s := newStory(t)
			guards := s.guards(t)
			obeyed, honest, refused := 0, 0, map[string]int{}
			for try := range tries {
				device, since := random.IntN(devicesOfStory), random.IntN(len(s.chapters)+1)
				guard := guards[device][since]
				evidence, config, what := s.attack(t, random, device)
				next, err := guard.Accept(evidence, deviceKey(device), config, time.Unix(1_800_000_000, 0))
				switch {
				case err != nil:
					refused[strings.Join(strings.Fields(err.Error())[:3], " ")]++
					if !reflect.DeepEqual(next, guard) {
						t.Fatalf("try %d (%s): a refused offer changes what the device knows", try, what)
					}
				case s.allowed(config, device, since) && next.Number >= guard.Number && !s.trusts(next):
					honest++
				default:
					obeyed++
					t.Errorf("try %d: device %d, which has statement %d, obeys: %s", try, device, since, what)
				}
				if obeyed > 5 {
					t.Fatal("and so on")
				}
			}
			t.Logf("obeyed %d of %d tries; %d came to what is signed; refused: %v", obeyed, tries, honest, refused)
			if honest < 10 || honest > tries/2 || len(refused) < 5 {
				t.Errorf("the tries are no good: %d of them came to what is signed, and there are %d reasons of refusals", honest, len(refused))
			}
		})
	}
}

// guards returns what each device knows that has heard of the first statements: device -> number of them.
func (s *story) guards(t testing.TB) (all [devicesOfStory][]signed.Guard) {
	t.Helper()
	for device := range all {
		guard := signed.Guard{Keys: s.first}
		all[device] = append(all[device], guard)
		for _, chapter := range s.chapters {
			var err error
			guard, err = guard.Accept(chapter.evidence[device], deviceKey(device), chapter.configs[device], time.Unix(1_800_000_000, 0))
			if err != nil {
				t.Fatal(err)
			}
			all[device] = append(all[device], guard)
		}
	}
	return all
}

// allowed reports whether a configuration is signed for a device by the statement that it has, or a later one. A device that has no
// statement yet takes one of any fleet of its operators.
func (s *story) allowed(config map[string]any, device, since int) bool {
	later := s.chapters[max(0, since-1):]
	if since == 0 {
		later = append(append([]chapter{}, later...), foreign...)
	}
	for _, chapter := range later {
		if reflect.DeepEqual(chapter.configs[device], config) {
			return true
		}
	}
	return false
}

// trusts reports whether a device has taken the server's key.
func (s *story) trusts(guard signed.Guard) bool {
	for _, key := range guard.Keys {
		if key.Key == s.bad.Key.Key {
			return true
		}
	}
	return false
}

// attack makes an offer from what the server has, and describes it.
func (s *story) attack(t testing.TB, random *rand.Rand, device int) (*signed.Evidence, map[string]any, string) {
	t.Helper()
	chapters := append(append([]chapter{}, s.chapters...), foreign...)
	any := func() chapter { return chapters[random.IntN(len(chapters))] }
	other := func() int { return random.IntN(devicesOfStory) }
	from := any()
	evidence := *from.evidence[device]
	evidence.Former = append([]signed.Signed{}, evidence.Former...)
	config := from.configs[device]
	what := []string{fmt.Sprintf("statement %d", from.book.Statement.Number)}
	for range 1 + random.IntN(3) {
		var did string
		switch random.IntN(17) {
		case 0: // mix: what another device is to have
			of, whose := any(), other()
			config, did = of.configs[whose], "another device's target"
		case 1:
			of, whose := any(), other()
			config, evidence, did = of.configs[whose], *of.evidence[whose], "another device's target with its evidence"
		case 2: // forge: a value of its own
			config, did = edited(t, config, random), "a changed value"
		case 3: // the statement of one time, the leaf of another
			of := any()
			evidence.Signed, did = of.book.Signed, "another statement"
		case 4:
			of, whose := any(), other()
			evidence.Index, evidence.Proof, evidence.Targets = of.evidence[whose].Index, of.evidence[whose].Proof, of.evidence[whose].Targets
			did = "another proof"
		case 5: // a leaf with the target that the server wants
			config = edited(t, config, random)
			target, err := signed.TargetHash(config, evidence.Secrets)
			if err == nil {
				evidence.Targets = append([]string{target}, evidence.Targets...)
			}
			did = "a leaf with one more target"
		case 6: // a statement of its own, signed with its own key
			forged := s.forge(t, random, from, device)
			evidence, config, did = *forged.evidence, forged.config, "a statement that the server signed"
		case 7: // the same, with the signature of an operator
			forged := s.forge(t, random, from, device)
			evidence, config = *forged.evidence, forged.config
			evidence.Signature, did = any().book.Signature, "a statement of the server's with the signature of another"
		case 8: // its own key among those that may sign
			statement := from.book.Statement
			statement.Keys, statement.Number = append(signed.Keys{s.bad.Key}, statement.Keys...), int64(1+random.IntN(20))
			text := jsonOf(t, statement)
			evidence.Former = append(evidence.Former, signed.Signed{Statement: text, Signature: s.bad.sign(t, text, signed.Namespace)})
			forged := s.forge(t, random, from, device)
			forged.evidence.Former, config, did = evidence.Former, forged.config, "a change of keys that the server signed"
			evidence = *forged.evidence
		case 9: // replay and reorder: any statements as those before
			evidence.Former, did = nil, "other earlier statements"
			for range random.IntN(4) {
				evidence.Former = append(evidence.Former, any().book.Signed)
			}
		case 10:
			evidence.Secrets, did = any().evidence[other()].Secrets, "other secrets"
		case 11: // a value in the place of which the server says that it is a secret
			evidence.Secrets, did = append(append([]signed.Place{}, evidence.Secrets...), signed.Place{
				Path: []string{"control-telemetry", "sample-rate"}, Salt: "s"}), "a secret more"
		case 12: // what the operator sees in the place of a secret
			evidence.Secrets, config, did = nil, hidden(t, config), "a reference in the place of a secret"
		case 13: // more room in the text
			evidence.Statement, did = strings.Replace(evidence.Statement, `"number":`, `"number":9`, 1), "another number"
		case 14:
			evidence.Signature, did = any().book.Signature, "another signature"
		case 16: // a value that differs in the digits that a 64-bit float does not have
			evidence, config, did = *from.evidence[device], hairsbreadth(t, from.configs[device]), "another last digit"
		case 15:
			evidence.Index, did = evidence.Index+int64(random.IntN(3)-1), "another index"
		}
		what = append(what, did)
	}
	if random.IntN(50) == 0 {
		return nil, config, "no evidence"
	}
	return &evidence, config, strings.Join(what, ", then ")
}

// A forgery is an offer that is right but for its signer.
type forgery struct {
	evidence *signed.Evidence
	config   map[string]any
}

func (s *story) forge(t testing.TB, random *rand.Rand, from chapter, device int) forgery {
	t.Helper()
	config := edited(t, from.configs[device], random)
	places := from.places[device]
	target, err := signed.TargetHash(config, places)
	if err != nil {
		return forgery{from.evidence[device], config}
	}
	manifest := *from.book.Manifest
	manifest.Devices = append([]signed.Device{}, manifest.Devices...)
	manifest.Devices[at(&manifest, deviceKey(device))].Targets = []string{target}
	statement := from.book.Statement
	if statement.Number += int64(random.IntN(20)); statement.Number > 1 {
		statement.Previous = signed.Digest(s.chapters[min(len(s.chapters), max(1, int(statement.Number-1)))-1].book.Signed.Statement)
	}
	if random.IntN(2) == 0 {
		statement.Keys = signed.Keys{s.bad.Key}
	}
	text, err := manifest.Complete(statement)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := manifest.Text()
	if err != nil {
		t.Fatal(err)
	}
	own := statement
	own.Keys = signed.Keys{s.bad.Key}
	signature := signed.Signed{Statement: text, Signature: s.bad.sign(t, text, signed.Namespace)}
	book, err := signed.Reopen([]signed.Signed{signature}, whole, from.book.Salts())
	if err != nil { // its keys are not the server's: so make the proof with some that are
		twin, err := manifest.Complete(own)
		if err != nil {
			t.Fatal(err)
		}
		if book, err = signed.Reopen([]signed.Signed{{Statement: twin, Signature: s.bad.sign(t, twin, signed.Namespace)}}, whole, from.book.Salts()); err != nil {
			t.Fatal(err)
		}
	}
	evidence, err := book.Evidence(deviceKey(device), target, places)
	if err != nil {
		t.Fatal(err)
	}
	evidence.Signed, evidence.Former = signature, from.evidence[device].Former
	switch random.IntN(4) {
	case 0:
		evidence.Signature = s.bad.sign(t, text, "git")
	case 1: // an operator has signed this for something else
		evidence.Signature = s.lent(t, text)
	}
	return forgery{evidence, config}
}

// lent returns an operator's signature of a text for another purpose: operators sign what others give them, with git.
func (s *story) lent(t testing.TB, text string) string {
	t.Helper()
	return lender.sign(t, text, "git")
}

// lender is the operator whose key devices have from the beginning.
var lender signer

func edited(t testing.TB, from map[string]any, random *rand.Rand) map[string]any {
	t.Helper()
	copied := config(t, jsonOf(t, from))
	telemetry, is := copied["control-telemetry"].(map[string]any)
	switch {
	case !is || random.IntN(4) == 0:
		copied["control-tunnel"] = map[string]any{"secret-key": "mine", "peers": []any{json.Number("1"), json.Number("2")}}
	case random.IntN(3) == 0 && telemetry["limit"] != nil:
		telemetry["limit"] = json.Number("9007199254740992") // the same as a 64-bit float
	case random.IntN(3) == 0:
		telemetry["sample-rate"] = nil
	default:
		telemetry["sample-rate"] = json.Number(fmt.Sprint(100 + random.IntN(100)))
	}
	return copied
}

// hairsbreadth changes the last digit of a large number.
func hairsbreadth(t testing.TB, from map[string]any) map[string]any {
	t.Helper()
	return config(t, strings.Replace(jsonOf(t, from), "9007199254740993", "9007199254740992", 1))
}

// hidden puts something else in the places of secrets.
func hidden(t testing.TB, from map[string]any) map[string]any {
	t.Helper()
	copied := config(t, jsonOf(t, from))
	if tunnel, is := copied["control-tunnel"].(map[string]any); is {
		tunnel["secret-key"] = nil
	}
	return copied
}

func jsonOf(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
