package document_test

import (
	"fmt"
	"testing"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/schema"
)

// The engine reads definitions as snapd does. It refuses a wrong value for each key of the lists, so it reads all of them.
func TestTypeKeysAreRead(t *testing.T) {
	bare := map[string]string{"map": `"schema":{"b":"string"}`, "array": `"values":"string"`}
	parse := func(kind, more string) error {
		_, err := schema.Parse(fmt.Appendf(nil, `{"schema":{"a":{"type":%q%s}}}`, kind, more))
		return err
	}
	for _, kind := range []string{"map", "array", "string", "int", "number", "bool", "any"} {
		base := ""
		if bare[kind] != "" {
			base = "," + bare[kind]
		}
		if err := parse(kind, base); err != nil {
			t.Fatal(err)
		}
		for _, key := range append(document.CommonKeys(), document.TypeKeys(kind)...) {
			base := base
			if kind == "map" && (key[0] == "keys" || key[0] == "values") {
				base = `,"values":"string"` // instead of schema
			}
			if err := parse(kind, fmt.Sprintf(`%s,%q:"?"`, base, key[0])); err == nil {
				t.Errorf("nothing reads %q of type %s", key[0], kind)
			}
		}
		if parse(kind, base+`,"other":"?"`) != nil {
			t.Errorf("type %s is refused for a key that nothing reads", kind)
		}
	}
}

func TestSecretName(t *testing.T) {
	for name, want := range map[string]bool{"password": true, "wifi-psk": true, "pin": true, "sim-pin": true, "auth-key": true,
		"spin": false, "pins": false, "password-length": false, "auth": false, "key": false} {
		if got := document.SecretName(name); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
}
