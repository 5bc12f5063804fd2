package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/internal/need"
	"aspects-poc/internal/program"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// settings returns the block of a language in editor.md.
func settings(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("editor.md")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(string(page))
	if match == nil {
		t.Fatalf("editor.md has no %s", language)
	}
	return match[1]
}

// edited runs an editor with files in a folder of a confdb-schema with a fault, and returns what it prints.
func edited(t *testing.T, files map[string]string, command ...string) string {
	t.Helper()
	dir := t.TempDir()
	faulty, err := os.ReadFile(filepath.Join("..", "examples", "proxy", "proxy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files["proxy.yaml"] = strings.Replace(string(faulty), "type: array", "type: list", 1)
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	process := exec.CommandContext(t.Context(), command[0], command[1:]...)
	process.Dir = dir
	process.Env = append(os.Environ(), "PATH="+program.Dir(t)+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
	out, err := process.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// The settings of the page show a fault, and mend it, in Neovim and Emacs.
func TestEditorSettings(t *testing.T) {
	t.Run("nvim", func(t *testing.T) {
		t.Parallel()
		nvim := need.Program(t, "nvim")
		out := edited(t, map[string]string{"init.lua": settings(t, "lua"), "try.lua": `
vim.ui.select = function(items, _, choice) choice(items[1]) end
vim.cmd("edit proxy.yaml")
if not vim.wait(20000, function() return #vim.diagnostic.get(0) > 0 end, 10) then vim.cmd("cquit") end
print(vim.diagnostic.get(0)[1].message)
vim.api.nvim_win_set_cursor(0, { vim.diagnostic.get(0)[1].lnum + 1, 0 })
vim.api.nvim_feedkeys(" a", "mx", false)
if not vim.wait(20000, function() return vim.fn.search("type: array", "nw") > 0 end, 10) then vim.cmd("cquit") end
vim.cmd("write")
vim.cmd("qall!")
`}, nvim, "--headless", "-u", "init.lua", "-i", "NONE", "-n", "-c", "luafile try.lua", "-c", "cquit")
		if !strings.Contains(out, `cannot parse unknown type "list"`) {
			t.Error(out)
		}
	})
	t.Run("emacs", func(t *testing.T) {
		t.Parallel()
		emacs := need.Program(t, "emacs")
		if out, err := exec.CommandContext(t.Context(), emacs, "--batch", "--eval", "(progn (package-initialize) (require 'eglot))").CombinedOutput(); err != nil {
			need.Missing(t, "eglot", "apt-get install elpa-eglot")
			t.Log(string(out))
		}
		out := edited(t, map[string]string{"init.el": "(package-initialize)\n" + settings(t, "elisp"), "try.el": `
(setq eglot-sync-connect t eglot-connect-timeout 20)
(find-file "proxy.yaml")
(let ((noninteractive nil)) (apply #'eglot--connect (eglot--guess-contact)))
(eglot--managed-mode 1)
(flymake-mode 1)
(defun wait (what) (let ((left 200)) (while (and (> left 0) (not (funcall what))) (accept-process-output nil 0.1) (setq left (1- left)))
  (unless (funcall what) (error "it never came"))))
(wait (lambda () eglot--diagnostics))
(message "%s" (flymake-diagnostic-text (car eglot--diagnostics)))
(let* ((where (flymake-diagnostic-beg (car eglot--diagnostics)))
       (actions (jsonrpc-request (eglot--current-server-or-lose) :textDocument/codeAction
         (list :textDocument (eglot--TextDocumentIdentifier) :range (list :start (eglot--pos-to-lsp-position where) :end (eglot--pos-to-lsp-position where))
               :context (list :diagnostics [])))))
  (eglot--apply-workspace-edit (plist-get (aref actions 0) :edit)))
(goto-char (point-min))
(search-forward "type: array")
(message "mended")
`}, emacs, "--batch", "-l", "init.el", "-l", "try.el")
		if !strings.Contains(out, `cannot parse unknown type "list"`) || !strings.Contains(out, "mended") {
			t.Error(out)
		}
	})
}

// typing has a second Neovim, with the settings of the page, type lines and complete them by Ctrl-X Ctrl-O, as a person does. It
// prints each line as it is then.
const typing = `
local nvim = vim.fn.jobstart({ vim.v.progpath, "--embed", "--headless", "-u", "init.lua", "-i", "NONE", "-n" }, { rpc = true })
local function call(...) return vim.rpcrequest(nvim, ...) end
for _, typed in ipairs(TYPED) do
	call("nvim_command", "edit! " .. typed[1])
	if not vim.wait(20000, function() return call("nvim_exec_lua", "local c = vim.lsp.get_active_clients()[1] return c ~= nil and c.initialized == true", {}) end, 10) then
		vim.cmd("cquit")
	end
	call("nvim_exec_lua", "vim.fn.search(..., 'w')", { typed[2] })
	call("nvim_command", "setlocal noautoindent indentexpr= formatoptions=")
	call("nvim_input", "o" .. typed[3])
	call("nvim_input", "<C-X><C-O>")
	vim.wait(10000, function() return call("nvim_get_current_line") == typed[4] end, 10)
	print(call("nvim_get_current_line") .. "|\n")
	call("nvim_input", "<C-E><Esc>")
end
vim.cmd("qall!")
`

// Completion replaces what is typed, whatever characters Neovim takes for those of a word.
func TestNeovimCompletes(t *testing.T) {
	t.Parallel()
	nvim := need.Program(t, "nvim")
	project, err := txtar.ParseFile(filepath.Join("..", "internal", "kit", "editor", "testdata", "lamp.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"init.lua": settings(t, "lua")}
	for _, file := range project.Files {
		files[file.Name] = string(file.Data)
	}
	var typed, want strings.Builder
	for _, c := range []struct{ file, behind, typed, completed string }{
		{"tests/lamp.txtar", "level=4", "set lamp-a", "set lamp-admin"},
		{"tests/lamp.txtar", "level=4", "set lamp-admin wifi.p", "set lamp-admin wifi.psk="},
		{"lamp.yaml", "- .request: level", "      - {request: x, storage: v1.wifi.p", "      - {request: x, storage: v1.wifi.psk"},
		{"lamp.yaml", "- .request: level", `      - {request: x, storage: "v1.wifi.p`, `      - {request: x, storage: "v1.wifi.psk`},
		{"lamp.yaml", "schema:", "        color: {ty", "        color: {type: "},
		{"custodian/snap/snapcraft.yaml", "account:", "    view: lamp/lamp-s", "    view: lamp/lamp-state"},
		{"custodian/snap/hooks/change-view-lamp-admin", "snapctl", "snapctl get --view :lamp-a", "snapctl get --view :lamp-admin"},
		{"custodian/snap/hooks/change-view-lamp-admin", "snapctl", "snapctl get --view :lamp-admin le", "snapctl get --view :lamp-admin level"},
	} {
		fmt.Fprintf(&typed, "{ %q, %q, %q, %q },\n", c.file, c.behind, c.typed, c.completed)
		want.WriteString(c.completed + "|\n")
	}
	files["try.lua"] = strings.Replace(typing, "TYPED", "{ "+typed.String()+" }", 1)
	out := edited(t, files, nvim, "--headless", "-u", "NONE", "-i", "NONE", "-n", "-c", "luafile try.lua", "-c", "cquit")
	if diff := cmp.Diff(want.String(), strings.ReplaceAll(out, "\r", "")); diff != "" {
		t.Errorf("completed (-want +got):\n%s", diff)
	}
}
