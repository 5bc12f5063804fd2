package generate_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"aspects-poc/internal/machine"
)

// TestGoHolds writes and reads every type, in a program that imports generated code: in memory and on the imitated machine.
func TestGoHolds(t *testing.T) {
	s := read(t, "testdata/lamp.yaml")
	code, err := s.Go("")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	goModule(t, dir)
	write(t, filepath.Join(dir, "lamp", "lamp.go"), code)
	use, err := os.ReadFile(filepath.Join("testdata", "use.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "main.go"), use)
	build(t, dir, "vet", "-mod=mod", "./...")
	build(t, dir, "build", "-mod=mod", "-o", "use", ".")
	m := machine.Start(t, machine.Options{Documents: []json.RawMessage{s.Document}})
	for _, address := range []string{"mem:", "snapd:" + m.Socket()} {
		out, err := exec.Command(filepath.Join(dir, "use"), address).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", address, err, out)
		}
	}
}
