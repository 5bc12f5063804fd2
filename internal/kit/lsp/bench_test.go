package lsp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/kit/lsp"
	"aspects-poc/internal/need"
	"aspects-poc/internal/program"

	"github.com/sourcegraph/jsonrpc2"
)

// long returns a confdb-schema of about 2,000 lines, as people write them: some views over some hundred entries.
func long() string {
	const entries = 420
	var out strings.Builder
	out.WriteString("account-id: Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4\nname: long\nrevision: 1\nviews:\n")
	for _, view := range []struct{ name, access string }{{"long-admin", ""}, {"long-state", ", access: read"}} {
		fmt.Fprintf(&out, "  %s:\n    rules:\n", view.name)
		for i := range entries {
			fmt.Fprintf(&out, "      - {request: part%d.entry%d, storage: v1.part%d.entry%d%s}\n", i/20, i, i/20, i, view.access)
		}
	}
	out.WriteString("storage:\n  schema:\n    v1:\n      schema:\n")
	for i := range entries {
		if i%20 == 0 {
			fmt.Fprintf(&out, "        part%d:\n          schema:\n", i/20)
		}
		fmt.Fprintf(&out, "            entry%d:\n              type: int # in percent\n", i)
		if i%2 == 0 {
			out.WriteString("              min: 0\n")
		}
	}
	return out.String()
}

// BenchmarkKeystroke measures the time from a change to its diagnostics, beside that of parsing and lint alone.
func BenchmarkKeystroke(b *testing.B) {
	text := long()
	dir := b.TempDir()
	file := filepath.Join(dir, "long.yaml")
	b.Run("lint", func(b *testing.B) {
		for b.Loop() {
			doc, err := document.Parse(file, []byte(text))
			if err != nil {
				b.Fatal(err)
			}
			if found := lint.Check(doc, lint.Options{}); len(found) != 0 {
				b.Fatal(found)
			}
		}
		b.ReportMetric(float64(strings.Count(text, "\n")), "lines")
	})
	b.Run("server", func(b *testing.B) {
		ours, theirs := net.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- lsp.Serve(b.Context(), theirs, lsp.Options{}) }()
		told := make(chan int, 16)
		client := jsonrpc2.NewConn(b.Context(), jsonrpc2.NewBufferedStream(ours, jsonrpc2.VSCodeObjectCodec{}),
			jsonrpc2.HandlerWithError(func(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
				if r.Method == "textDocument/publishDiagnostics" {
					var params struct{ Diagnostics []any }
					if err := json.Unmarshal(*r.Params, &params); err != nil {
						return nil, err
					}
					told <- len(params.Diagnostics)
				}
				return nil, nil
			}))
		notify := func(method string, params any) {
			if err := client.Notify(b.Context(), method, params); err != nil {
				b.Fatal(err)
			}
		}
		if err := client.Call(b.Context(), "initialize", map[string]any{"rootUri": "file://" + dir}, nil); err != nil {
			b.Fatal(err)
		}
		document := map[string]any{"uri": "file://" + file, "version": 1, "text": text}
		notify("textDocument/didOpen", map[string]any{"textDocument": document})
		if found := <-told; found != 0 {
			b.Fatalf("%d diagnostics", found)
		}
		line := strings.Count(text[:strings.Index(text, "type: int")], "\n")
		column := len("              type: int")
		changes := []map[string]any{{"range": span(line, column, column), "text": "x"}, {"range": span(line, column, column+1), "text": ""}}
		version := 1
		for b.Loop() {
			version++
			notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": "file://" + file, "version": version},
				"contentChanges": []any{changes[version%2]}})
			if found := <-told; (found > 0) != (version%2 == 0) {
				b.Fatalf("version %d: %d diagnostics", version, found)
			}
		}
		b.ReportMetric(40, "ms/pause")
		_ = client.Close()
		<-ended
	})
}

func span(line, from, to int) map[string]any {
	return map[string]any{"start": map[string]int{"line": line, "character": from}, "end": map[string]int{"line": line, "character": to}}
}

// BenchmarkNeovim has Neovim, with the settings of docs/editor.md, type and wait until diagnostics are shown. It reports the median
// and the longest of its waits, and the medians of their parts; testdata/speed.lua says which.
func BenchmarkNeovim(b *testing.B) {
	nvim := need.Program(b, "nvim")
	script, err := filepath.Abs(filepath.Join("testdata", "speed.lua"))
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "long.yaml"), []byte(long()), 0o600); err != nil {
		b.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "editor.md"))
	if err != nil {
		b.Fatal(err)
	}
	_, settings, _ := strings.Cut(string(page), "```lua\n")
	settings, _, found := strings.Cut(settings, "```")
	if !found {
		b.Fatal("docs/editor.md has no settings of Neovim")
	}
	if err := os.WriteFile(filepath.Join(dir, "init.lua"), []byte(settings), 0o600); err != nil {
		b.Fatal(err)
	}
	path := program.Dir(b) + ":" + os.Getenv("PATH")
	for b.Loop() {
		ctx, stop := context.WithTimeout(b.Context(), time.Minute)
		command := exec.CommandContext(ctx, nvim, "--headless", "-u", "NONE", "-i", "NONE", "-n", "-c", "luafile "+script, "-c", "cquit")
		command.Dir, command.Env = dir, append(os.Environ(), "PATH="+path, "HOME="+dir)
		out, err := command.CombinedOutput()
		stop()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			if value, err := strconv.ParseFloat(strings.Join(words[min(1, len(words)):], ""), 64); err == nil {
				b.ReportMetric(value, "ms/"+words[0])
			}
		}
	}
}
