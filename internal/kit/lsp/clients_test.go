package lsp_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/internal/program"

	"github.com/rogpeppe/go-internal/txtar"
)

// npmPackages are the parts of Microsoft's client that run without VS Code.
const npmPackages = "vscode-languageserver-protocol@3.18.5 vscode-languageserver-textdocument@1.0.16"

// lamp writes a project to a folder and returns that.
func lamp(t testing.TB) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("..", "editor", "testdata", "lamp.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range archive.Files {
		name := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, file.Data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a client in a folder and returns what it prints.
func run(t *testing.T, dir string, environment []string, command ...string) string {
	t.Helper()
	process := exec.CommandContext(t.Context(), command[0], command[1:]...)
	process.Dir, process.Env = dir, append(os.Environ(), environment...)
	process.Env = append(process.Env, "PROGRAM="+filepath.Join(program.Dir(t), "aspects-poc"), "HOME="+t.TempDir())
	out, err := process.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// absolute returns the path of a file of this package, for a client in another folder.
func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNeovim(t *testing.T) {
	t.Parallel()
	nvim := need.Program(t, "nvim")
	out := run(t, lamp(t), nil, nvim, "--headless", "-u", "NONE", "-i", "NONE", "-n", "-c", "luafile "+absolute(t, "testdata/nvim.lua"), "-c", "cquit")
	if strings.Contains(out, "FAIL") || strings.Count(out, "ok ") < 20 {
		t.Error(out)
	}
}

// Where ASPECTS_FETCH_TOOLS is set, Microsoft's library is fetched from npm; ASPECTS_NODE_PATH names a folder that has it.
func TestMicrosoftsLibrary(t *testing.T) {
	t.Parallel()
	node := need.Program(t, "node")
	modules := os.Getenv("ASPECTS_NODE_PATH")
	if modules == "" {
		if os.Getenv("ASPECTS_FETCH_TOOLS") == "" {
			t.Skipf("%s fetches tools over the network; ASPECTS_FETCH_TOOLS=1 lets it", t.Name())
		}
		dir := t.TempDir()
		run(t, dir, nil, append([]string{need.Program(t, "npm"), "install", "--no-audit", "--no-fund", "--prefix", dir}, strings.Fields(npmPackages)...)...)
		modules = filepath.Join(dir, "node_modules")
	}
	for _, encodings := range []string{"", "utf-8,utf-16", "utf-32,utf-16"} {
		if out := run(t, lamp(t), []string{"NODE_PATH=" + modules, "ENCODINGS=" + encodings}, node, absolute(t, "testdata/client.js")); !strings.HasSuffix(out, "done\n") {
			t.Error(out)
		}
	}
}
