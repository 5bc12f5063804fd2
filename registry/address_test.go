package registry_test

import (
	"errors"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/registry"
)

// TestFileAddresses checks the path of a file: address. To open it creates nothing.
func TestFileAddresses(t *testing.T) {
	home, work := t.TempDir(), t.TempDir()
	t.Chdir(work)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	known := "; known are auto, snapctl:, snapd:, file:, mem:"
	for _, c := range []struct{ address, want, refused string }{
		{"file:/a/b/reg.json", "/a/b/reg.json", ""},
		{"file:///a/b/reg.json", "/a/b/reg.json", ""},
		{"file:reg.json", work + "/reg.json", ""},
		{"file:./a/../reg.json", work + "/reg.json", ""},
		{"file:a b/reg", work + "/a b/reg", ""},
		{"file:~/cfg/reg", home + "/cfg/reg", ""},
		{"file:./~/reg", work + "/~/reg", ""},
		{"file:a~/~b", work + "/a~/~b", ""},
		{"file:~" + me.Username + "/reg", filepath.Join(me.HomeDir, "reg"), ""},
		{"file:", home + "/.local/state/aspects-poc/confdb.json", ""},
		{"file:~", "", `"~" names a folder`},
		{"file:~/", "", `"~/" names a folder`},
		{"file:~nobody-of-this-name/reg", "", `there is no user "nobody-of-this-name"`},
		{"file:$HOME/reg", "", "the variable $HOME is not expanded"},
		{"file:${HOME}/reg", "", "the variable ${HOME} is not expanded"},
		{"file:a/", "", `"a/" names a folder (try: name a file in it: file:a/confdb.json)`},
		{"file:.", "", `"." names a folder`},
		{"file:a/..", "", `names a folder`},
		{"file: reg", "", "begins or ends with a space"},
		{"file:reg.json ", "", "begins or ends with a space"},
		{"file://host/reg", "", `names another machine, "host"`},
		{"file:" + work, "", work + " is a folder"},
		{"file:a\x00b", "", "cannot be the path of a file"},
		{"file:" + strings.Repeat("a", 300), "", "cannot be the path of a file: file name too long"},
		{"reg.json", "", `unknown registry address "reg.json"` + known + " (try: file:reg.json)"},
		{"~/reg", "", `unknown registry address "~/reg"` + known + " (try: file:~/reg)"},
		{"FILE:reg", "", `unknown registry address "FILE:reg"` + known + " (try: file:reg)"},
		{"mem", "", `unknown registry address "mem"` + known + " (try: mem:)"},
		{"Auto", "", `unknown registry address "Auto"` + known + " (try: auto)"},
	} {
		t.Run(c.address, func(t *testing.T) {
			options := registry.Options{Getenv: environment(map[string]string{"HOME": home})}
			reg, err := registry.Open(t.Context(), c.address, options)
			if c.refused != "" {
				if !errors.Is(err, registry.ErrBadRequest) || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("error %v, want %s", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = reg.Close() }()
			if status, err := reg.Status(t.Context()); err != nil || status.Address != c.want {
				t.Errorf("leads to %s, %v; want %s", status.Address, err, c.want)
			}
		})
	}
	for _, dir := range []string{home, work} {
		if found := snapshot(t, dir); len(found) != 1 {
			t.Errorf("there is %v", found)
		}
	}
}
