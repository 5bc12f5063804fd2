package path_test

import (
	"testing"

	"aspects-poc/registry/confdb/path"
)

// FuzzParse: no text makes a parser panic, and the text of a path is parsed as the same path.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "tunnel.peers[0].endpoint", "interfaces.{name}.mtu", "peers[{n}].allowed[{m}]", "a[00]", "a..b", "a[", "[0]",
		"links.{id}[.kind={k}][.on={o}].speed", "links[.kind={k}].x", "a[.b", "a[.b={c}]d", "a[.b={c}][.b={d}]", "a[.=]", "a[.b=={c}]",
		"Eth0", "a_b", "a-", "a--b", "{a}", "[{a}]", "a[{a}", "a\xff", "{}", "a[{}]", "a[-1]", "a[99999999999999999999]", "a.{b-1}[{c}]",
	} {
		f.Add(seed)
	}
	parsers := map[string]func(string) (path.Path, error){
		"request": path.ParseRequest, "rule": path.ParseRuleRequest, "storage": path.ParseStorage,
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, parse := range parsers {
			parsed, err := parse(text)
			if err != nil {
				if err.Error() == "" {
					t.Errorf("%s: %q is refused without a word", name, text)
				}
				continue
			}
			if got := parsed.String(); got != text {
				t.Errorf("%s: %q prints as %q", name, text, got)
			}
			again, err := parse(parsed.String())
			if err != nil || path.Compare(parsed, again) != 0 || again.String() != parsed.String() {
				t.Errorf("%s: %q does not come back: %v, %v", name, text, again, err)
			}
			if _, err := path.ParseStorage(text); err != nil {
				t.Errorf("%q is a %s path but no storage path: %v", text, name, err)
			}
			if !path.Overlap(parsed, parsed) || parsed.Open() && name == "request" {
				t.Errorf("%s: %q does not overlap itself, or is open", name, text)
			}
			for _, accessor := range parsed {
				if accessor.Index() < 0 {
					t.Errorf("%q has a negative index", text)
				}
			}
		}
	})
}
