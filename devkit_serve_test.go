package main

import (
	"os/exec"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/registry/registrytest/stocksnap"
)

// TestDevkitServe runs the commands of docs/devkit-serve.md in a shell, as they are written.
func TestDevkitServe(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	need.Programs(t, "bash", "curl", "unshare")
	stock := stocksnap.Find(t)
	bin := buildProgram(t)
	stock.Install(t, bin)
	shell := exec.Command("bash")
	shell.Dir = t.TempDir()
	shell.Env = []string{"PATH=" + bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + t.TempDir(),
		"LANG=C.UTF-8", "TZ=UTC"}
	playDocument(t, "docs/devkit-serve.md", shell, strings.NewReplacer(), strings.NewReplacer())
}
