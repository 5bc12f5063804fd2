package network_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

const publisher = "Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4"

// assertions are all forms that the confdb-schema is printed in, by the name of their golden file. Those named confdb and
// confdb-schema were given to `snap sign` of snapd 2.68.3 and 2.77.1, which took them.
func assertions(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	made := map[string]json.RawMessage{}
	for _, dialect := range network.Dialects() {
		for suffix, noAliases := range map[string]bool{"": false, "-no-aliases": true} {
			document, err := network.Assertion(network.AssertionOptions{
				Account: publisher, Revision: ptr(7), Timestamp: time.Date(2026, 9, 1, 14, 0, 0, 5e8, time.FixedZone("", 7200)),
				Dialect: dialect, NoAliases: noAliases,
			})
			if err != nil {
				t.Fatal(err)
			}
			made[string(dialect)+suffix] = document
		}
	}
	return made
}

// go test -update rewrites the golden files: headers, and the body as JSON rather than as the text that it is.
func TestAssertionGolden(t *testing.T) {
	for name, document := range assertions(t) {
		headers := decode(t, document)
		headers["body"] = json.RawMessage(headers["body"].(string))
		pretty, err := json.MarshalIndent(headers, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "assertion", name+".json")
		got := string(pretty) + "\n"
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatalf("%v (go test -update)", err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s, go test -update rewrites it (-want +got):\n%s", golden, diff)
		}
	}
}

// Every form has the layout that snapd checks: what encoding/json prints with an indent of two spaces, without a newline
// at its end; and headers whose scalars are all texts.
func TestAssertionLayout(t *testing.T) {
	for name, document := range assertions(t) {
		headers := decode(t, document)
		text := headers["body"].(string)
		again, err := json.MarshalIndent(decode(t, []byte(text)), "", "  ")
		if err != nil || string(again) != text {
			t.Errorf("%s: the body is laid out otherwise: %v\n%s", name, err, text)
		}
		onlyTexts(t, name, headers)
	}
}

func onlyTexts(t *testing.T, where string, value any) {
	t.Helper()
	switch value := value.(type) {
	case string:
	case map[string]any:
		for key, item := range value {
			onlyTexts(t, where+"."+key, item)
		}
	case []any:
		for _, item := range value {
			onlyTexts(t, where+"[]", item)
		}
	default:
		t.Errorf("%s: snap sign takes no %T in headers", where, value)
	}
}

// The engine takes what is for confdb-schema, with aliases and without, and both mean the same.
func TestAssertionMeansTheSame(t *testing.T) {
	made := assertions(t)
	for _, name := range []string{"confdb-schema", "confdb-schema-no-aliases", "confdb-no-aliases"} {
		schema, err := confdb.ParseDocument(made[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if schema.Account != publisher || schema.Revision != 7 {
			t.Errorf("%s: account %s, revision %d", name, schema.Account, schema.Revision)
		}
		for request, outcome := range map[string]struct {
			view  string
			value any
			taken bool
		}{
			"sample-rate":       {network.ControlTelemetryView, json.Number("4"), true},
			"monitor-peers":     {network.ControlTelemetryView, json.Number("1"), false},
			"peers":             {network.ControlTelemetryView, []any{"x"}, false},
			"config.eth0":       {network.ControlInterfacesView, map[string]any{"ip-address": "10.0.0.1"}, true},
			"config.wlan0":      {network.ControlInterfacesView, map[string]any{"ip-address": "x"}, false},
			"config.br-lan":     {network.ControlInterfacesView, map[string]any{"ip-address": "10.0.0.1"}, false},
			"registered":        {network.ControlDeviceView, "2024-06-26 13:11:57", true},
			"stats.eth0.n-sent": {network.ControlInterfacesView, json.Number("1"), false},
		} {
			err := schema.Begin(databag.Bag{}).Write(outcome.view, map[string]any{request: outcome.value})
			if (err == nil) != outcome.taken {
				t.Errorf("%s: %s=%v: %v", name, request, outcome.value, err)
			}
		}
	}
}

// What a generation of snapd does not know is not in its form.
func TestAssertionHasNoNews(t *testing.T) {
	made := assertions(t)
	for name, words := range map[string][]string{
		"confdb-schema-no-aliases": {"aliases", "$"},
		"confdb":                   {"${"},
	} {
		for _, word := range words {
			// A pattern ends in $, and is no alias.
			text := strings.ReplaceAll(string(made[name]), `$\"`, "")
			if strings.Contains(text, word) {
				t.Errorf("%s has %q", name, word)
			}
		}
	}
}

func TestAssertionDefaults(t *testing.T) {
	document, err := network.Assertion(network.AssertionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(network.Document("")), string(document)); diff != "" {
		t.Errorf("the zero value does not make Document (-want +got):\n%s", diff)
	}
	document, err = network.Assertion(network.AssertionOptions{Revision: ptr(0)})
	if err != nil {
		t.Fatal(err)
	}
	if revision, ok := decode(t, document)["revision"]; ok {
		t.Errorf("revision %v, want no header for 0", revision)
	}
}

func TestAssertionRefusals(t *testing.T) {
	for want, options := range map[string]network.AssertionOptions{
		`"me@example.com" is no account ID`:                     {Account: "me@example.com"},
		`"A" is no account ID`:                                  {Account: "A"},
		`revision -1 is negative`:                               {Revision: ptr(-1)},
		`no dialect "aspects": known are confdb-schema, confdb`: {Dialect: "aspects"},
	} {
		if _, err := network.Assertion(options); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", options, err, want)
		}
	}
	for _, id := range []string{"canonical", "generic", publisher, "a-b"} {
		if err := network.ValidAccount(id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"", "x", publisher + "x", publisher[1:] + "_", "Canonical", "a b", "zażółć", publisher + "\n"} {
		if network.ValidAccount(id) == nil {
			t.Errorf("%q was taken as an account ID", id)
		}
	}
}

func decode(t *testing.T, document []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(document)))
	decoder.UseNumber()
	var headers map[string]any
	if err := decoder.Decode(&headers); err != nil {
		t.Fatal(err)
	}
	return headers
}
