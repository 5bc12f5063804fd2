package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/seal"

	"github.com/google/uuid"
)

// Canary is in every secret of these tests, and in no other text.
const Canary = "xyzzy"

func keysOf(ring *seal.Ring) fleet.Options {
	return fleet.Options{Schema: network.Document(""), Keys: func(bool) (*seal.Ring, error) { return ring, nil }}
}

func tunnel(t *testing.T, key string) fleet.Config {
	return Config(t, `{"control-tunnel":{"interface":"wg0","secret-key":"`+Canary+key+`"}}`)
}

// A vault is a store with secrets.
type vault struct {
	*testing.T
	open   func() fleet.Store
	atRest func() []byte
	device uuid.UUID
	named  uuid.UUID // the device with a named secret
}

// with opens the store with keys (nil: none), and calls do with a fleet over it.
func (v *vault) with(ring *seal.Ring, do func(rules *fleet.Fleet)) {
	v.Helper()
	store := v.open()
	defer closeStore(v.T, store)
	options := fleet.Options{Schema: network.Document("")}
	if ring != nil {
		options = keysOf(ring)
	}
	rules, err := fleet.Open(v.Context(), store, options)
	ok(v.T, err)
	do(rules)
	ok(v.T, rules.Close())
}

func (v *vault) layers() []fleet.Layer {
	return []fleet.Layer{{Name: fleet.Everyone}, {Name: "labels/berlin", Selector: parse(v.T, "site=berlin"), Priority: 7},
		{Name: fleet.DeviceLayer(v.device)}}
}

// fill writes secrets to every place that can have one. Some are changed, and some removed.
func (v *vault) fill(rules *fleet.Fleet) {
	v.Helper()
	ctx := v.Context()
	register := func() uuid.UUID {
		device, err := rules.Register(ctx, fleet.Identity{IPAddress: "::1", PublicKeyRSA: uuid.NewString(), Arch: "amd64"},
			fleet.Labels{"site": "berlin"}, fleet.Active)
		ok(v.T, err)
		return device.ID
	}
	v.device = register()
	gone := register()
	for round := range 3 {
		for i, layer := range v.layers() {
			layer.Config = tunnel(v.T, fmt.Sprintf("-%d-%d", i, round))
			_, err := rules.Set(ctx, fleet.Change{Layer: layer})
			ok(v.T, err)
		}
	}
	_, err := rules.Set(ctx, fleet.Change{Layer: fleet.Layer{Name: fleet.DeviceLayer(gone), Config: tunnel(v.T, "gone")}})
	ok(v.T, err)
	_, err = rules.Set(ctx, fleet.Change{Layer: fleet.Layer{Name: "labels/gone", Selector: parse(v.T, "site=gone"), Config: tunnel(v.T, "gone")}})
	ok(v.T, err)
	_, err = rules.Set(ctx, fleet.Change{Layer: fleet.Layer{Name: "labels/gone"}, Remove: true})
	ok(v.T, err)
	for _, id := range []uuid.UUID{gone, v.device} {
		answer, err := rules.Poll(ctx, id, fleet.Poll{})
		ok(v.T, err)
		for sequence := range int64(2) {
			_, err = rules.Poll(ctx, id, v.report(sequence+1, answer.Offer.Hash))
			ok(v.T, err)
		}
	}
	ok(v.T, rules.Remove(ctx, gone, "ann"))
	for round := range 3 {
		v.names(rules, fmt.Sprintf("-named-%d", round))
	}
	_, err = rules.Set(ctx, fleet.Change{Layer: fleet.Layer{Name: "labels/named", Selector: parse(v.T, "site=named"),
		Config: Config(v.T, `{"control-tunnel":{"secret-key":{"$secret":"wifi"}}}`)}})
	ok(v.T, err)
	named, err := rules.Register(ctx, fleet.Identity{IPAddress: "::1", PublicKeyRSA: uuid.NewString(), Arch: "amd64"},
		fleet.Labels{"site": "named"}, fleet.Active)
	ok(v.T, err)
	v.named = named.ID
}

// names sets a named secret.
func (v *vault) names(rules *fleet.Fleet, key string) {
	v.Helper()
	_, _, err := rules.SetSecret(v.Context(), secretChange(v.T, "wifi", `"`+Canary+key+`"`))
	ok(v.T, err)
}

// offered compares the target of the device with the named secret.
func (v *vault) offered(rules *fleet.Fleet, want string) {
	v.Helper()
	answer, err := rules.Poll(v.Context(), v.named, fleet.Poll{})
	ok(v.T, err)
	if answer.Offer == nil || answer.Offer.Config.String() != want {
		v.Errorf("the device with a named secret is offered %+v, want %s", answer.Offer, want)
	}
}

func (v *vault) report(sequence int64, hash string) fleet.Poll {
	text := fmt.Sprint(Canary, sequence)
	return fleet.Poll{Report: true, Sequence: sequence, Config: tunnel(v.T, text), Running: fleet.Running{Revision: 1, Hash: hash},
		Attempted: fleet.Attempted{Revision: 9, Outcome: fleet.Failed, Path: text, Reason: text}}
}

// check checks that the fleet has everything that fill has written.
func (v *vault) check(rules *fleet.Fleet) {
	v.Helper()
	answer, err := rules.Poll(v.Context(), v.device, v.report(3, "hash"))
	ok(v.T, err)
	if answer.Offer == nil || answer.Offer.Config.String() != tunnel(v.T, "-2-2").String() {
		v.Errorf("the device is offered %+v", answer.Offer)
	}
}

// Sealed tests what a store writes of secrets. place returns two functions: open opens the store at a new place,
// repeatedly; atRest returns the content of the place when the store is closed.
func Sealed(t *testing.T, place func(t *testing.T) (open func() fleet.Store, atRest func() []byte)) {
	start := func(t *testing.T) *vault {
		open, atRest := place(t)
		return &vault{T: t, open: open, atRest: atRest}
	}
	ring := seal.Random()
	t.Run("nothing is plain", func(t *testing.T) {
		v := start(t)
		v.with(ring, v.fill)
		v.sealed(v.atRest())
		v.with(ring, v.keepsSecrets)
	})
	t.Run("what was plain is sealed", func(t *testing.T) {
		v := start(t)
		v.with(nil, v.fill)
		if !bytes.Contains(v.atRest(), []byte(Canary)) {
			t.Fatal("there is nothing to seal")
		}
		v.with(ring, func(*fleet.Fleet) {})
		v.sealed(v.atRest())
		v.with(ring, v.keepsSecrets)
	})
	t.Run("the key is changed", func(t *testing.T) {
		v := start(t)
		v.with(ring, v.fill)
		v.with(ring, v.restoresPresent)
		v.rotates(ring)
	})
	t.Run("a lost key", func(t *testing.T) {
		v := start(t)
		v.with(ring, v.fill)
		v.loses()
	})
	t.Run("another key", func(t *testing.T) {
		v := start(t)
		v.with(ring, v.fill)
		v.refused(keysOf(seal.Random()))
		v.refused(fleet.Options{Schema: network.Document("")})
		v.refused(fleet.Options{})
	})
}

func (v *vault) sealed(bytesAtRest []byte) {
	v.Helper()
	if at := bytes.Index(bytesAtRest, []byte(Canary)); at >= 0 {
		v.Errorf("a secret is plain: %q", bytesAtRest[max(0, at-200):min(len(bytesAtRest), at+50)])
	}
	if !bytes.Contains(bytesAtRest, []byte("wg0")) {
		v.Error("what is no secret cannot be found: the test does not look where it has to")
	}
}

func (v *vault) keepsSecrets(rules *fleet.Fleet) {
	v.Helper()
	ctx := v.Context()
	view, err := rules.Device(ctx, v.device)
	ok(v.T, err)
	if !strings.Contains(view.Report.Config.String(), `"$secret":"set"`) || view.Attempted.Outcome != fleet.Failed {
		v.Errorf("the report is %s %+v", view.Report.Config, view.Attempted)
	}
	last, err := rules.LastChange(ctx)
	ok(v.T, err)
	layer, err := rules.Set(ctx, fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: tunnel(v.T, "-0-2")}})
	ok(v.T, err)
	if after, _ := rules.LastChange(ctx); after != last {
		v.Errorf("the same secret is a change: revision %d", layer.Revision)
	}
	v.restoresPresent(rules)
	// The history has what changed, and not the old value.
	_, _, changes, err := rules.Diff(ctx, 4, nil)
	ok(v.T, err)
	if len(changes) != 1 || changes[0].Path != "control-tunnel.secret-key" || changes[0].Kind != "changed" {
		v.Errorf("revision 4 changed %v", changes)
	}
	var refused *fleet.TargetError
	if _, err := rules.Restore(ctx, 1, "ann", nil); !errors.As(err, &refused) || refused.Path != "control-tunnel.secret-key" ||
		!strings.Contains(refused.Text, "give the secret again") {
		v.Errorf("restored a secret that is gone: %v", err)
	}
	v.check(rules)
	v.offered(rules, tunnel(v.T, "-named-2").String())
	list, err := rules.Secrets(ctx)
	ok(v.T, err)
	if len(list) != 1 || list[0].Digest == "" || len(list[0].Layers) != 1 || list[0].Layers[0] != "labels/named" {
		v.Fatalf("the secrets are %+v", list)
	}
	v.names(rules, "-named-2") // no change
	_, since, changes, err := rules.Diff(ctx, list[0].Revision, nil)
	ok(v.T, err)
	if len(changes) != 1 || since == 0 || changes[0].Path != "value" || changes[0].Kind != "changed" ||
		changes[0].After.(map[string]any)["digest"] != list[0].Digest {
		v.Errorf("the secret has digest %s, and the history %v", list[0].Digest, changes)
	}
}

// restoresPresent changes a value that is no secret, and restores it.
func (v *vault) restoresPresent(rules *fleet.Fleet) {
	v.Helper()
	ctx := v.Context()
	before, err := rules.Layer(ctx, fleet.Everyone)
	ok(v.T, err)
	changed := Config(v.T, strings.Replace(before.Config.String(), "wg0", "wg1", 1))
	_, err = rules.Set(ctx, fleet.Change{Layer: fleet.Layer{Name: fleet.Everyone, Config: changed}})
	ok(v.T, err)
	_, err = rules.Restore(ctx, before.Revision, "ann", nil)
	ok(v.T, err)
	after, err := rules.Layer(ctx, fleet.Everyone)
	ok(v.T, err)
	if !after.Config.Equal(before.Config) {
		v.Errorf("restored to %s, want %s", after.Config, before.Config)
	}
}

// A breaking is a store that loses power in the middle of a Rewrite.
type breaking struct {
	fleet.Store
	left int
}

var errBroken = errors.New("no power")

func (b *breaking) Rewrite(ctx context.Context, change func(fleet.Holding) error) (int, error) {
	return b.Store.Rewrite(ctx, func(of fleet.Holding) error {
		if b.left--; b.left < 0 {
			return errBroken
		}
		return change(of)
	})
}

func (v *vault) rotates(ring *seal.Ring) {
	v.Helper()
	rotated := ring.Rotated()
	alone, err := seal.Parse(withoutLast(rotated.Text()))
	ok(v.T, err)
	store := v.open()
	for left := range 3 {
		_, err := fleet.Seal(v.Context(), &breaking{store, 2 * left}, keysOf(rotated), nil)
		if !errors.Is(err, errBroken) {
			v.Fatalf("not interrupted: %v", err)
		}
	}
	closeStore(v.T, store)
	v.refused(keysOf(alone)) // the former key is still needed
	v.with(rotated, v.keepsSecrets)
	v.refused(keysOf(ring))
	v.with(alone, v.keepsSecrets)
	store = v.open()
	changed, err := fleet.Seal(v.Context(), store, keysOf(alone), nil)
	ok(v.T, err)
	if changed != 0 {
		v.Errorf("%d changed without a new key", changed)
	}
	closeStore(v.T, store)
}

// loses seals with a new key, without the secrets that no key opens any more.
func (v *vault) loses() {
	v.Helper()
	ring := seal.Random()
	store := v.open()
	var lost []string
	_, err := fleet.Seal(v.Context(), store, keysOf(ring), func(place string) { lost = append(lost, place) })
	ok(v.T, err)
	closeStore(v.T, store)
	want := []string{`layer everyone."control-tunnel"."secret-key"`, `layer labels/berlin."control-tunnel"."secret-key"`,
		"layer " + string(fleet.DeviceLayer(v.device)) + `."control-tunnel"."secret-key"`, "secret wifi"}
	for _, place := range want {
		if !slices.Contains(lost, place) {
			v.Errorf("%s is not told to be lost: %v", place, lost)
		}
	}
	v.with(ring, func(rules *fleet.Fleet) {
		answer, err := rules.Poll(v.Context(), v.device, v.report(3, "hash"))
		ok(v.T, err)
		if answer.Offer == nil || answer.Offer.Config.String() != `{"control-tunnel":{"interface":"wg0"}}` {
			v.Errorf("the device is offered %+v", answer.Offer)
		}
		v.offered(rules, `{"control-tunnel":{"interface":"wg0"}}`)
		v.names(rules, "-named-2")
		v.offered(rules, `{"control-tunnel":{"interface":"wg0","secret-key":"`+Canary+`-named-2"}}`)
		_, err = rules.Set(v.Context(), fleet.Change{Layer: fleet.Layer{Name: fleet.DeviceLayer(v.device), Config: tunnel(v.T, "-2-2")}})
		ok(v.T, err)
		v.check(rules)
	})
}

func withoutLast(lines []byte) []byte {
	lines = bytes.TrimSpace(lines)
	return lines[:bytes.LastIndexByte(lines, '\n')+1]
}

func (v *vault) refused(options fleet.Options) {
	v.Helper()
	store := v.open()
	defer closeStore(v.T, store)
	if rules, err := fleet.Open(v.Context(), store, options); !errors.Is(err, seal.ErrOtherKey) {
		v.Errorf("opened with another key: %v", err)
		if err == nil {
			ok(v.T, rules.Close())
		}
	}
}
