package kitcmd_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/internal/stocksnap"
)

// TestSignWithStockSnap signs what registry build prints with a key that the stock snap command has made, both with its
// own snap sign, and takes what comes of it everywhere where a signed confdb-schema can be given.
func TestSignWithStockSnap(t *testing.T) {
	t.Parallel()
	keyring, stock := stocksnap.FindKeyring(t), stocksnap.Find(t)
	// Not t.TempDir: there are sockets in it, whose names can have 107 bytes.
	dir, err := os.MkdirTemp("", "sign")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	in := func(name string) string { return filepath.Join(dir, name) }
	put := func(name, text string) string {
		t.Helper()
		if err := os.WriteFile(in(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return in(name)
	}
	ours := func(args ...string) string {
		t.Helper()
		result := run(t, args...)
		if result.Code != 0 {
			t.Fatalf("registry %q: %d: %s%s", args, result.Code, result.Stdout, result.Stderr)
		}
		return result.Stdout
	}
	signed := func(document string) string {
		t.Helper()
		result := keyring.Run(t, document, "sign", "-k", "dev")
		if result.Code != 0 || !strings.HasPrefix(result.Stdout, "type: confdb-schema\n") {
			t.Fatalf("snap sign: %d: %s%s", result.Code, result.Stdout, result.Stderr)
		}
		return result.Stdout
	}

	keyring.Create(t, "dev")
	const account = "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"
	request := keyring.Run(t, "", "export-key", "dev", "--account", account)
	if request.Code != 0 {
		t.Fatalf("snap export-key: %s", request.Stderr)
	}
	key := put("dev.key", request.Stdout)

	// From YAML and, of the same content, from JSON: one document, and one that is signed.
	source, err := os.ReadFile("../../examples/proxy/proxy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Of now: a key signs for no earlier time than its own.
	yaml := put("proxy.yaml", regexp.MustCompile(`(?m)^timestamp: .*\n`).ReplaceAllString(string(source), ""))
	fromYAML := ours("build", yaml)
	fromJSON := ours("build", put("proxy.json", fromYAML))
	if fromYAML != fromJSON {
		t.Errorf("from YAML:\n%s\nfrom JSON:\n%s", fromYAML, fromJSON)
	}
	first := put("first.assert", signed(fromYAML))
	if said := ours("lint", "--ignore", "version-prefix", first); said != "" {
		t.Errorf("lint says of what was signed:\n%s", said)
	}
	shown := ours("show", first)
	if again := ours("build", put("shown.yaml", shown)); again != fromYAML {
		t.Errorf("shown and built again:\n%s\nwas\n%s", again, fromYAML)
	}
	next := put("next.assert", signed(ours("build", "--revision", "7", yaml)))
	text, err := os.ReadFile(next)
	if err != nil {
		t.Fatal(err)
	}
	put("altered.assert", strings.Replace(string(text), "revision: 7", "revision: 8", 1))

	// Where signatures are looked at.
	ctx, stop := context.WithCancel(t.Context())
	output, says := io.Pipe()
	served := make(chan outcome, 1)
	go func() {
		code, complaints := runTo(ctx, says, "serve", "--socket", in("snapd.socket"), "--account-key", key)
		_ = says.Close() // nobody reads any more
		served <- outcome{Code: code, Stderr: complaints}
	}()
	defer func() {
		stop()
		if result := <-served; result.Code != 0 {
			t.Errorf("registry serve: %d: %s", result.Code, result.Stderr)
		}
	}()
	lines := bufio.NewReader(output)
	if line, err := lines.ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // it may say more
	for _, step := range []struct{ file, want string }{
		{"first.assert", ""}, {"altered.assert", "failed signature verification"}, {"next.assert", ""},
		{"first.assert", "is older than current revision 7"},
	} {
		result := stock.Run(t, dir, "ack", "/run/"+step.file)
		if (result.Code == 0) != (step.want == "") || !strings.Contains(result.Stderr, step.want) {
			t.Errorf("snap ack %s: %d %q, want %q", step.file, result.Code, result.Stderr, step.want)
		}
	}
	if known := stock.Run(t, dir, "known", "confdb-schema", "name=proxy"); strings.TrimSpace(known.Stdout) != strings.TrimSpace(string(text)) {
		t.Errorf("known is\n%s\nwant\n%s", known.Stdout, text)
	}
	view := account + "/proxy/proxy-admin"
	if result := stock.Run(t, dir, "set", view, `http.bypass=["localhost"]`); result.Code != 0 {
		t.Errorf("snap set: %s", result.Stderr)
	}
}
