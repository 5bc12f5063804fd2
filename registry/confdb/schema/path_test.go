package schema_test

import (
	"errors"
	"strings"
	"testing"

	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/schema"
)

const site = `{
	"aliases": {"size": "int", "either": ["int", "string"], "host": {"schema": {"name": "string"}}},
	"schema": {
		"links": {"keys": "string", "values": {"schema": {"mtu": "${size}", "tags": {"type": "array", "values": "string"}}}},
		"fixed": {"schema": {"left": {"schema": {"n": "int"}}, "right": {"schema": {"n": "string", "m": "bool"}}, "flat": "bool"}},
		"either": "${either}",
		"choice": ["bool", {"values": "int"}, {"type": "array", "values": "number"}],
		"host": "${host}",
		"free": "any",
		"loose": {"keys": "string"}
	}
}`

func TestAt(t *testing.T) {
	parsed := mustParse(t, site)
	for _, test := range []struct {
		at, want string // names of types, or an error
		followed int
	}{
		{at: "links", want: "map"},
		{at: "links.{name}.mtu", want: "int"},
		{at: "links.eth0.tags[{n}]", want: "string"},
		{at: "links.eth0.tags[3]", want: "string"},
		{at: "fixed.{side}", want: "bool map map"},
		{at: "fixed.{side}.n", want: "int string"},
		{at: "fixed.{side}.m", want: "bool"},
		{at: "choice", want: "bool map array"},
		{at: "choice.{k}", want: "int"},
		{at: "choice[{n}]", want: "number"},
		{at: "host.name", want: "string"},
		{at: "free.a[{n}].b", want: "any"},
		{at: "loose.x.y[0]", want: "any"}, // snapd crashes here
		{at: "links[0]", want: `cannot use "[0]" as key in map`, followed: 1},
		{at: "links.eth0.speed", want: `cannot use "speed" as key in map`, followed: 2},
		{at: "links.eth0.tags.first", want: `key "first" cannot be used to index array`, followed: 3},
		{at: "links.eth0.mtu.min", want: `cannot follow path beyond "int" type`, followed: 3},
		{at: "fixed.{side}.k", want: `cannot use "k" as key in map`, followed: 2},
		{at: "either", want: `internal error: unexpected Alt schema type along path`, followed: 1},
	} {
		types, err := parsed.At(mustPath(t, test.at))
		var unfollowed *schema.PathError
		if errors.As(err, &unfollowed) {
			if err.Error() != test.want || unfollowed.Followed != test.followed {
				t.Errorf("%s: got %v after %d, want %s after %d", test.at, err, unfollowed.Followed, test.want, test.followed)
			}
			if schema.Internal(err) != strings.HasPrefix(test.want, "internal") {
				t.Errorf("%s: internal is %t", test.at, schema.Internal(err))
			}
			continue
		}
		var names []string
		for _, found := range types {
			names = append(names, found.Name())
		}
		if got := strings.Join(names, " "); err != nil || got != test.want {
			t.Errorf("%s: got %s %v, want %s", test.at, got, err, test.want)
		}
	}
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"links.{n}.mtu", "choice[{n}]", true}, // int and number
		{"free", "host", true}, {"host", "links", true}, {"host.name", "fixed.flat", false}, {"fixed.{s}.n", "host.name", true},
	} {
		a, errA := parsed.At(mustPath(t, test.a))
		b, errB := parsed.At(mustPath(t, test.b))
		if errA != nil || errB != nil || schema.Compatible(a, b) != test.want {
			t.Errorf("%s and %s: want compatible %t (%v, %v)", test.a, test.b, test.want, errA, errB)
		}
	}
	for at, want := range map[string]bool{"host": true, "free": true, "fixed.flat": false, "links.{n}.tags": false} {
		if types, err := parsed.At(mustPath(t, at)); err != nil || schema.MapLike(types[0]) != want {
			t.Errorf("%s: want map-like %t (%v)", at, want, err)
		}
	}
}

func TestEphemeral(t *testing.T) {
	parsed := mustParse(t, `{"aliases": {"load": "int"}, "schema": {
		"stats": {"ephemeral": true, "values": {"values": "int"}},
		"links": {"values": {"schema": {"mtu": "int", "rx": {"type": "int", "ephemeral": true}}}},
		"sides": {"schema": {"left": "int", "right": {"type": "${load}", "ephemeral": true}}},
		"keyed": {"keys": {"type": "string", "ephemeral": true}, "values": "int"},
		"list": {"type": "array", "values": {"type": "${load}"}},
		"choice": [{"values": "int"}, "bool", {"values": {"type": "int", "ephemeral": true}}]
	}}`)
	for at, want := range map[string]any{
		"stats.cpu.user": true, "links": true, "links.eth0.rx": true, "links.eth0.mtu": false, "sides.{s}": true, "sides.left": false,
		"sides.right": true, "keyed": true, "keyed.a": false, "list[{n}]": false, "choice": true,
		"choice.a": `cannot follow path beyond "bool" type`, "links[0]": `cannot use "[0]" as key in map`,
	} {
		got, err := parsed.Ephemeral(mustPath(t, at))
		if err != nil && err.Error() == want {
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: got %t %v, want %v", at, got, err, want)
		}
	}
}

func TestPublic(t *testing.T) {
	parsed := mustParse(t, `{"aliases": {"word": "string"}, "schema": {
		"wifi": {"values": {"schema": {"ssid": "string", "psk": {"type": "${word}", "visibility": "secret"}}}},
		"keys": {"keys": {"visibility": "secret"}, "values": "int"},
		"pins": {"values": {"type": "int", "visibility": "secret"}},
		"tokens": {"type": "array", "values": {"type": "string", "visibility": "secret"}},
		"peers": {"type": "array", "values": {"schema": {"key": {"type": "string", "visibility": "secret"}, "host": "string"}}},
		"hidden": {"visibility": "secret", "values": "int"},
		"choice": [{"values": "int"}, {"schema": {"a": {"type": "string", "visibility": "secret"}, "b": "string"}}],
		"loose": {"keys": "string"},
		"free": "any",
		"mtu": "int"
	}}`)
	bag := mustBag(t, `{
		"wifi": {"home": {"ssid": "h", "psk": "1"}, "lone": {"psk": "2"}},
		"keys": {"a": 1}, "pins": {"a": 1}, "tokens": ["t"], "hidden": {"a": 1}, "mtu": 1500,
		"peers": [{"key": "k0"}, {"key": "k1", "host": "h1"}],
		"choice": {"a": "x", "b": "y"}, "loose": {"x": {"y": 1}}, "free": {"z": [null]}
	}`)
	const secret, absent = "unauthorized access", "no data"
	for at, want := range map[string]string{
		"wifi":            `{"wifi":{"home":{"ssid":"h"}}}`,
		"wifi.home":       `{"wifi":{"home":{"ssid":"h"}}}`,
		"wifi.home.psk":   secret,
		"wifi.lone":       secret,
		"wifi.{k}.ssid":   `{"wifi":{"home":{"ssid":"h"}}}`,
		"wifi.{k}.psk":    secret,
		"wifi.cafe":       absent,
		"keys.a":          secret,
		"pins":            secret,
		"tokens[0]":       secret,
		"hidden.a":        secret,
		"peers":           `{"peers":[{"host":"h1"}]}`,
		"peers[{n}].host": `{"peers":[{"host":"h1"}]}`,
		"peers[0]":        secret, // snapd answers with the next element
		"peers[1].host":   `{"peers":[{"key":"k0"},{"host":"h1"}]}`,
		"peers[0].host":   absent,
		"peers[2]":        absent,
		"choice":          `{"choice":{"b":"y"}}`,
		"choice.a":        secret,
		"loose.x.y":       `{"loose":{"x":{"y":1}}}`,
		"free.z":          "cannot follow path beyond scalar type",
		"mtu":             `{"mtu":1500}`,
		"mtu.x":           "cannot follow path beyond scalar type",
		"absent":          absent,
		"{anything}":      `{"choice":{"b":"y"},"free":{"z":[null]},"loose":{"x":{"y":1}},"mtu":1500,"peers":[{"host":"h1"}],"wifi":{"home":{"ssid":"h"}}}`,
	} {
		public, err := parsed.Public(bag, mustPath(t, at))
		got := string(public.AppendJSON(nil))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", at, got, want)
		}
	}
	if _, err := parsed.Public(databag.Bag{}, mustPath(t, "mtu")); err == nil || err.Error() != "internal error: expected map to contain data" {
		t.Errorf("of an empty bag: %v", err)
	}
}
