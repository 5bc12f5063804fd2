package nofolder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"aspects-poc/internal/nofolder"
	"aspects-poc/internal/program"
)

func TestMain(m *testing.M) {
	nofolder.Over()
	m.Run()
}

// A command that only reads changes neither the home folder nor the folder for caches.
func TestNothingIsMade(t *testing.T) {
	t.Parallel()
	built := filepath.Join(program.Dir(t), "aspects-poc")
	for _, args := range [][]string{
		{"version"}, {"registry", "status", "--registry", "file:~/none/x.json"}, {"registry", "get", "control-device", "--registry", "file:~/none/x.json"},
		{"registry", "get", "control-device", "--registry", "file:"},
	} {
		for _, cache := range []string{"", "cache"} {
			home := t.TempDir()
			command := exec.CommandContext(t.Context(), built, args...)
			command.Env = []string{"HOME=" + home, "TMPDIR=" + home}
			if cache != "" {
				command.Env = append(command.Env, "XDG_CACHE_HOME="+filepath.Join(home, cache))
			}
			out, _ := command.CombinedOutput() // there is nothing to be got
			found, err := os.ReadDir(home)
			if err != nil || len(found) > 0 {
				t.Errorf("%q made %v, %v\n%s", args, found, err, out)
			}
		}
	}
}
