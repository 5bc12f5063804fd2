package generate_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/generate"
	"aspects-poc/internal/need"
	"aspects-poc/registry/confdb"
)

// read returns the only confdb-schema of a file.
func read(t testing.TB, file string) *generate.Source {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, filepath.Base(file), text)
}

func parse(t testing.TB, file string, text []byte) *generate.Source {
	t.Helper()
	doc, err := document.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Header("timestamp") == "" {
		doc.SetTimestamp(time.Unix(0, 0))
	}
	account := "acme"
	if doc.Header("account-id") != "" {
		account = ""
	}
	signable, err := doc.SignInput(document.SignOptions{Account: account})
	if err != nil {
		t.Fatal(err)
	}
	return source(t, file, signable)
}

func source(t testing.TB, file string, signable json.RawMessage) *generate.Source {
	t.Helper()
	parsed, err := confdb.ParseDocument(signable)
	if err != nil {
		t.Fatal(err)
	}
	s, err := generate.New(file, "aspects-poc test", parsed, signable)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a command in a folder and returns what it prints.
func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	command := exec.Command(need.Program(t, name), args...)
	command.Dir = dir
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

func write(t testing.TB, file string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
