package signed_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutants are checks that somebody could forget. TestBadServer has to find each.
var mutants = []struct{ name, file, old, new string }{
	{"the signature is not verified", "keys.go", "err = sshsig.Verify(strings.NewReader(text), made, public, made.HashAlgorithm, Namespace)", "err, _ = nil, public"},
	{"any key may sign", "keys.go", "if key.Key != by {\n\t\t\tcontinue\n\t\t}\n\t\tpublic, err := key.public()",
		"key.Key = by\n\t\tpublic, err := key.public()"},
	{"a signature for git counts", "keys.go", "made.HashAlgorithm, Namespace)", "made.HashAlgorithm, made.Namespace)"},
	{"an older statement counts", "guard.go", "case statement.Number < g.Number:", "case false:"},
	{"another fleet's statement counts", "guard.go", `case g.Fleet != "" && statement.Fleet != g.Fleet:`, "case false:"},
	{"the leaf need not have the target", "book.go", "if !slices.Contains(e.Targets, target) {\n\t\treturn ErrUnsigned", "if false {\n\t\treturn ErrUnsigned"},
	{"the leaf need not be in the tree", "book.go", "err := tlog.CheckRecord(proof, statement.Devices, statement.Root, e.Index, hash); err != nil", "hash == (tlog.Hash{})"},
	{"numbers are compared as floats", "target.go", "return Digest(text), nil", "var x any\n\t_ = json.Unmarshal([]byte(text), &x)\n\tt, _ := json.Marshal(x)\n\treturn Digest(string(t)), nil"},
	{"secrets are not part of what is signed", "target.go", "\t}{config, places})", "\t}{config, nil})"},
	{"the salt alone stands for a secret", "target.go", `sha256.Sum256([]byte(salt + "\x00" + text))`, `sha256.Sum256([]byte(salt + text[:0]))`},
}

// TestMutants checks that TestBadServer can fail.
func TestMutants(t *testing.T) {
	if os.Getenv("ASPECTS_MUTANTS") == "" {
		t.Skip("ASPECTS_MUTANTS is not set: make soak-mutants sets it")
	}
	for _, mutant := range mutants {
		t.Run(mutant.name, func(t *testing.T) {
			text, err := os.ReadFile(mutant.file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(text), mutant.old) != 1 {
				t.Fatalf("%s does not have this once: %s", mutant.file, mutant.old)
			}
			mutated := strings.Replace(string(text), mutant.old, mutant.new, 1)
			if strings.Contains(mutant.new, "json.") {
				mutated = strings.Replace(mutated, `"encoding/base64"`, "\"encoding/base64\"\n\t\"encoding/json\"", 1)
			}
			dir := t.TempDir()
			file, overlay := filepath.Join(dir, mutant.file), filepath.Join(dir, "overlay.json")
			here, err := filepath.Abs(mutant.file)
			if err != nil {
				t.Fatal(err)
			}
			list, err := json.Marshal(map[string]any{"Replace": map[string]string{here: file}})
			if err != nil {
				t.Fatal(err)
			}
			for path, content := range map[string][]byte{file: []byte(mutated), overlay: list} {
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			output, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-overlay", overlay, "-run", "TestBadServer", ".").CombinedOutput()
			if err == nil || !strings.Contains(string(output), "obeys") {
				t.Errorf("nothing finds it: %v\n%s", err, output)
			}
		})
	}
}
