package path_test

import (
	"slices"
	"strings"
	"testing"

	"aspects-poc/registry/confdb/path"
)

const (
	request = "request" // what users ask for
	rule    = "rule"    // the request of a rule
	storage = "storage"
)

var parsers = map[string]func(string) (path.Path, error){
	request: path.ParseRequest, rule: path.ParseRuleRequest, storage: path.ParseStorage,
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		as, text string
		want     string // accessors, bare
	}{
		{request, "", ""},
		{request, "uplink", "uplink"},
		{request, "uplink.vlan-7", "uplink vlan-7"},
		{request, "peers[0].allowed[12]", "peers [0] allowed [12]"},
		{request, "peers[00]", "peers [00]"},
		{request, "peers[0][1]", "peers [0] [1]"},
		{request, "links.eth0[.kind={k}].mtu", "links eth0 mtu"},
		{rule, "links.{name}.mtu", "links {name} mtu"},
		{rule, "{name}", "{name}"},
		{rule, "peers[{n}].key", "peers [{n}] key"},
		{storage, "peers[3].key", "peers [3] key"},
		{storage, "links.{id}[.kind={k}][.on={o}].mtu", "links {id} mtu"},
		{storage, "links.{id}[.kind={k}]", "links {id}"},
		{storage, "peers[{n}][.kind={k}].key", "peers [{n}] key"},
	} {
		parsed, err := parsers[test.as](test.text)
		if err != nil {
			t.Errorf("%s %q: %v", test.as, test.text, err)
			continue
		}
		var got []string
		for _, accessor := range parsed {
			got = append(got, accessor.Bare())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s %q: got %q, want %q", test.as, test.text, got, test.want)
		}
		if parsed.String() != test.text {
			t.Errorf("%s %q prints as %q", test.as, test.text, parsed)
		}
	}
}

func TestParseErrors(t *testing.T) {
	const (
		format = "field filter must be in the format [.<field>={<param_name>}]"
		cut    = "field filter terminated unexpectedly: must be in the format [.<field>={<param_name>}]"
		tail   = "invalid sub-key: field filters, if present, must be at the end of a sub-key"
		base   = ` must conform to base format "[a-z](?:-?[a-z0-9])*"`
		named  = ": both field and placeholder name must conform to ^[a-z](?:-?[a-z0-9])*$"
	)
	for _, test := range []struct{ as, text, want string }{
		{request, "uplink.", "cannot have empty subkeys"},
		{request, ".uplink", "cannot have empty subkeys"},
		{request, "uplink..mtu", "cannot have empty subkeys"},
		{request, "[0]", "cannot have empty subkeys"},
		{request, "peers.[1]", "cannot have empty subkeys"},
		{storage, "[.kind={k}]", "cannot have empty subkeys"},
		{request, "peers[", `invalid subkey "["`},
		{request, "peers\xff", "non UTF-8 character"},
		{storage, "links[.kind={k}", cut},
		{storage, "links[.kind]", format},
		{storage, "links[.kind=k]", format},
		{storage, "links[.kind={k}={j}]", format},
		{storage, "links[.]", format},
		{storage, "links[.kind={a}][.kind={b}]", "cannot apply more than one filter to the same field: [.kind={a}] and [.kind={b}]"},
		{storage, "links[.kind={k}]mtu", tail},
		{storage, "links[.Kind={k}]", "invalid field filter [.Kind={k}]" + named},
		{storage, "links[.kind={k_1}]", "invalid field filter [.kind={k_1}]" + named},
		{rule, "peers[0].key", `invalid subkey "[0]": view paths cannot have literal indexes (only index placeholders)`},
		{request, "links.{name}", `invalid subkey "{name}": path only supports literal keys and indexes`},
		{request, "peers[{n}]", `invalid subkey "[{n}]": path only supports literal keys and indexes`},
		{request, "Eth0", `invalid subkey "Eth0"`},
		{request, "eth_0", `invalid subkey "eth_0"`},
		{request, "eth-", `invalid subkey "eth-"`},
		{request, "eth--0", `invalid subkey "eth--0"`},
		{request, "peers[last]", `invalid subkey "[last]"`},
		{request, "peers[-1]", `invalid subkey "[-1]"`},
		{request, "peers[1]key", `invalid subkey "[1]key"`},
		{request, "peers[]", `invalid subkey "[]"`},
		{rule, "links.{}", `subkey "{}"` + base},
		{rule, "links.{Name}", `subkey "{Name}"` + base},
		{storage, "7up", `subkey "7up"` + base},
		{storage, "peers[{n]", `subkey "[{n]"` + base},
		{storage, "{", `subkey "{"` + base},
		// All of the text is split before any piece is looked at.
		{request, "Eth0..mtu", "cannot have empty subkeys"},
		{storage, "Eth0.links[.kind", cut},
	} {
		_, err := parsers[test.as](test.text)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s %q: got %v, want %s", test.as, test.text, err, test.want)
		}
	}
}

func TestValidSubkey(t *testing.T) {
	for _, text := range []string{
		"", "a", "z9", "a-b", "a-9-b", "A", "a_b", "-a", "a-", "a--b", "9", "é", "aé", "a b", "a.b", "eth0", "\x00", "a\n", "{a}",
	} {
		if got, want := path.ValidSubkey(text), path.Subkey.MatchString(text); got != want {
			t.Errorf("ValidSubkey(%q) = %t, its expression says %t", text, got, want)
		}
	}
}

func parse(t *testing.T, texts ...string) []path.Path {
	t.Helper()
	var paths []path.Path
	for _, text := range texts {
		parsed, err := path.ParseStorage(text)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, parsed)
	}
	return paths
}

func TestCompare(t *testing.T) {
	want := []string{"{any}.mtu", "links", "links.{name}", "links.eth0", "links.eth0.mtu", "links.eth1", "peers[{n}]", "peers[0]", "peers[10]", "peers[2]"}
	paths := parse(t, want...)
	slices.Reverse(paths)
	slices.SortFunc(paths, path.Compare)
	for i, p := range paths {
		if p.String() != want[i] {
			t.Fatalf("got %v, want %v", paths, want)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"links", "links.eth0", true},
		{"links.eth0", "links.eth1", false},
		{"links.{name}.mtu", "links.eth1", true},
		{"links.{name}.mtu", "links.eth1.up", false},
		{"peers[{n}].key", "peers[7]", true},
		{"peers[1]", "peers[01].key", true},
		{"peers[1]", "peers[2]", false},
		{"peers.{k}", "peers[1]", false},
	} {
		paths := parse(t, test.a, test.b)
		if path.Overlap(paths[0], paths[1]) != test.want || path.Overlap(paths[1], paths[0]) != test.want {
			t.Errorf("Overlap(%s, %s): want %t both ways", test.a, test.b, test.want)
		}
	}
}

func TestPath(t *testing.T) {
	p := parse(t, "links.{id}[.kind={k}]")[0]
	if got := p.Bare(); got != "links.{id}" {
		t.Errorf("bare: %s", got)
	}
	if !p.Open() || p[:1].Open() {
		t.Error("only the placeholder makes the path open")
	}
	index := parse(t, "peers[18446744073709551616]")[0][1]
	if index.Index() < 1<<30 || index.Bare() != "[18446744073709551616]" {
		t.Errorf("an index too large for an int is %d", index.Index())
	}
}
