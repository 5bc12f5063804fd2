package plan_test

import (
	"testing"

	"aspects-poc/registry/plan"
	"aspects-poc/registry/registrytest/testschema"

	"github.com/google/go-cmp/cmp"
)

func TestConceal(t *testing.T) {
	names, err := plan.ReadNames(testschema.Document())
	if err != nil {
		t.Fatal(err)
	}
	document := map[string]any{"interface": "wg0", "secret-key": "S"}
	got := names.Conceal("control-tunnel", document, func(request string, value any) any { return request + "=" + value.(string) })
	if diff := cmp.Diff(map[string]any{"interface": "wg0", "secret-key": "secret-key=S"}, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
	for storage, want := range map[string]bool{"tunnel": true, "tunnel.secret-key": true, "tunnel.secret-kez": true,
		"tunnel.peers[0]": false, "metrics.sample-rate": false, "tunnel.secret-key.A A": true, "": true} {
		if got := names.SecretStorage(storage); got != want {
			t.Errorf("%q is secret: %v", storage, got)
		}
	}
	for storage, want := range map[string]string{"tunnel.secret-key": "tunnel.secret-key", "tunnel.secret-key.S": "tunnel.secret-key",
		"tunnel.secret-kez.S": "tunnel", "tunnel.secret-key.S S": "tunnel.secret-key", "tunnel.peers[0]": "tunnel.peers[0]",
		"metrics.sample-rate": "metrics.sample-rate"} {
		if got, known := names.CutStorage(storage); got != want || !known {
			t.Errorf("%q is cut to %q %t", storage, got, known)
		}
	}
	if got, known := names.CutStorage("control-tunnel.secret-key"); got != "control-tunnel.secret-key" || known {
		t.Errorf("a path of another schema is cut to %q %t", got, known)
	}
	if !names.Secret("control-tunnel", "") || names.Secret("control-tunnel", "peers") {
		t.Error("the wrong requests are secret")
	}
}
