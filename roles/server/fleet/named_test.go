package fleet_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/seal"
)

// manySecrets has secrets of several types.
var manySecrets = `{"account-id":"acc","name":"n","views":{"v":{"rules":[{"request":"creds","storage":"creds"},{"request":"keys","storage":"keys"},{"request":"by.{name}","storage":"by.{name}"},
	{"request":"wifi.{ssid}.psk","storage":"wifi.{ssid}.psk"},{"request":"plain","storage":"plain"}]}},"body":` + strconv.Quote(
	`{"storage":{"schema":{"creds":{"type":"map","values":"any","visibility":"secret"},`+
		`"keys":{"type":"array","values":{"type":"string","visibility":"secret"}},`+
		`"wifi":{"values":{"schema":{"psk":{"type":"string","visibility":"secret"}}}},"by":{"values":{"type":"string","visibility":"secret"}},"plain":"any"}}}`) + `}`

func (w *world) secret(name, value string) (fleet.ShownSecret, error) {
	w.t.Helper()
	config, err := fleet.SecretValue([]byte(value))
	if err != nil {
		w.t.Fatal(err)
	}
	secret, _, err := w.SetSecret(w.t.Context(), fleet.SecretChange{Secret: fleet.Secret{Name: name, Value: config}})
	return secret, err
}

// TestNamedSecretsMerge has references among layers, in each place that can have one.
func TestNamedSecretsMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sealed(seal.Random()), func(options *fleet.Options) { options.Schema = []byte(manySecrets) })
	for name, value := range map[string]string{"login": `{"user":"u","pass":[1.50]}`, "key": `"k"`, "keys": `["a","k"]`} {
		if _, err := w.secret(name, value); err != nil {
			t.Fatal(err)
		}
	}
	id := w.device(fleet.Labels{"site": "berlin"})
	w.set(fleet.Everyone, "", `{"v":{"creds":{"user":"below","more":1},"keys":{"$secret":"keys"},"by":{"one":"k","two":{"$secret":"key"}},"plain":1}}`)
	w.polls(id, `{}`, `{"v":{"by":{"one":"k","two":"k"},"creds":{"more":1,"user":"below"},"keys":["a","k"],"plain":1}}`)
	w.set("labels/berlin", "site=berlin", `{"v":{"creds":{"$secret":"login"},"wifi":{"home":{"psk":{"$secret":"key"}}}}}`)
	w.polls(id, `{}`, `{"v":{"by":{"one":"k","two":"k"},"creds":{"pass":[1.50],"user":"u"},"keys":["a","k"],"plain":1,"wifi":{"home":{"psk":"k"}}}}`)
	w.set(fleet.DeviceLayer(id), "", `{"v":{"creds":{"user":"above"},"keys":null,"wifi":{"work":{"psk":{"$secret":"key"}}}}}`)
	w.polls(id, `{}`, `{"v":{"by":{"one":"k","two":"k"},"creds":{"user":"above"},"keys":null,"plain":1,"wifi":{"home":{"psk":"k"},"work":{"psk":"k"}}}}`)
	target, err := w.Fleet.Device(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if shown := target.Target.Config.String(); strings.Count(shown, `"$secret":"key"`) != 3 || strings.Count(shown, `"$secret":"set"`) != 2 {
		t.Errorf("operators see %s", shown)
	}

	_, err = w.secret("key", `7`)
	var refused *fleet.TargetError
	if !errors.As(err, &refused) || !strings.HasPrefix(refused.Text, "layer everyone: ") {
		t.Errorf("a key that is a number: %v", err)
	}
	if _, err := w.secret("login", `["no map"]`); !errors.As(err, &refused) || !strings.HasPrefix(refused.Text, "layer labels/berlin: ") ||
		strings.Contains(refused.Text, "no map") {
		t.Errorf("a login that is a list: %v", err)
	}
	for _, place := range []string{
		`{"v":{"creds":{"user":{"$secret":"key"}}}}`, `{"v":{"keys":{"$secret":"key"}}}`, `{"v":{"keys":["a",{"$secret":"key"}]}}`, `{"v":{"by":{"$secret":"key"}}}`, `{"v":{"wifi":{"home":{"$secret":"key"}}}}`,
		`{"v":{"plain":{"$secret":"key"}}}`, `{"v":{"plain":[{"x":{"$secret":"key"}}]}}`, `{"v":{"wifi":{"home":{"psk":[{"$secret":"key"}]}}}}`,
		`{"v":{"$secret":"key"}}`, `{"$secret":"key"}`, `{"v":{"creds":{"$secret":"none"}}}`, `{"v":{"creds":{"$secret":"login","digest":7}}}`,
		`{"v":{"creds":{"$secret":"set"}}}`, `{"v":{"creds":{"$secret":7}}}`, `{"v":{"creds":{"$secret":"a\"}"}}}`, `{"v":{"creds":{"$secret":""}}}`,
	} {
		if layer, err := w.Set(t.Context(), w.change(fleet.Everyone, "", place)); !errors.Is(err, fleet.ErrTarget) {
			t.Errorf("%s: %v, %v", place, layer.Config, err)
		}
	}

	// A device may report what looks like a reference: it is the device's secret.
	w.answers(id, fleet.Poll{Report: true, Sequence: 1, Config: parse(t, `{"v":{"creds":{"$secret":"xyzzy"},"keys":[{"$secret":"xyzzy"}]}}`)},
		`{"v":{"by":{"one":"k","two":"k"},"creds":{"user":"above"},"keys":null,"plain":1,"wifi":{"home":{"psk":"k"},"work":{"psk":"k"}}}}`)
	view, err := w.Fleet.Device(t.Context(), id)
	if err != nil || strings.Contains(view.Report.Config.String(), "xyzzy") {
		t.Errorf("operators see %s, %v", view.Report.Config, err)
	}
	if _, err := w.secret("key", `"new"`); err != nil {
		t.Errorf("what one device shows is in the way: %v", err)
	}
}

// TestNamedSecretsRace changes a secret and a layer that names it at the same time.
func TestNamedSecretsRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sealed(seal.Random()))
	done := make(chan error, 2)
	for range 10 {
		if _, err := w.secret("vpn", `"x"`); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := w.Set(t.Context(), w.change(fleet.Everyone, "", `{"control-tunnel":{"secret-key":{"$secret":"vpn"}}}`))
			done <- err
		}()
		go func() {
			_, _, err := w.SetSecret(t.Context(), fleet.SecretChange{Secret: fleet.Secret{Name: "vpn"}, Remove: true})
			done <- err
		}()
		first, second := <-done, <-done
		if (first == nil) == (second == nil) {
			t.Fatalf("both or none: %v, %v", first, second)
		}
		list, err := w.Secrets(t.Context())
		layer, layerErr := w.Layer(t.Context(), fleet.Everyone)
		if named := layer.Revision > 0; err != nil || layerErr != nil || named != (len(list) == 1) {
			t.Fatal(fmt.Sprint(list, err, layer, layerErr))
		}
		if len(list) == 0 {
			continue
		}
		remove := w.change(fleet.Everyone, "", `{}`)
		remove.Remove = true
		if _, err := w.Set(t.Context(), remove); err != nil {
			t.Fatal(err)
		}
	}
}
