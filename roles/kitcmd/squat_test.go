package kitcmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckOwned(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "shared")
	for folder, mode := range map[string]os.FileMode{
		"": os.ModeSticky | 0o777, "own": 0o755, "own/inner": 0o700, "open": 0o777, "group": 0o775, "open/inner": 0o755,
		"foreign": 0o755, "foreign/inner": 0o755, "foreignopen": os.ModeSticky | 0o777,
	} {
		path := filepath.Join(shared, folder)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "own", "linkforeign": "foreign"} {
		if err := os.Symlink(to, filepath.Join(shared, link)); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{ // the folder, and what the error names and says
		"": "", "own": "", "own/inner": "", "link": "",
		"open": "open and could", "open/inner": "open and could", "group": "group and could",
	}
	if os.Getuid() == 0 {
		const nobody = 65534
		for _, path := range []string{"foreign", "foreignopen"} {
			if err := os.Chown(filepath.Join(shared, path), nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("own", filepath.Join(shared, "foreignlink")); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(filepath.Join(shared, "foreignlink"), nobody, nobody); err != nil {
			t.Fatal(err)
		}
		want["foreign"], want["foreign/inner"], want["linkforeign"] = "foreign belongs", "foreign belongs", "foreign belongs"
		want["foreignlink"] = "foreignlink belongs"
	}
	for folder, text := range want {
		switch err := checkOwned(filepath.Join(shared, folder)); {
		case text == "" && err != nil:
			t.Errorf("%q: %v", folder, err)
		case text != "" && (err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "--socket")):
			t.Errorf("%q: got %v, want %q", folder, err, text)
		}
	}
	if err := checkOwned(filepath.Join(shared, "missing")); err == nil {
		t.Error("a missing folder is trusted")
	}
}
