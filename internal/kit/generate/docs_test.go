package generate_test

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/internal/machine"
	"aspects-poc/internal/need"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestExamplesAreTaken runs the examples of the documentation on the imitated machine. A shell parses them.
func TestExamplesAreTaken(t *testing.T) {
	shell := need.Program(t, "sh")
	for _, file := range []string{"testdata/lamp.yaml", "../../../examples/proxy/proxy.yaml", "../../../examples/monitor/monitor.yaml"} {
		s := read(t, file)
		m := machine.Start(t, machine.Options{Documents: []json.RawMessage{s.Document}})
		for _, view := range m.Views() {
			m.Handle("load-view-"+view, func(machine.HookCall) error { return nil })
			m.Handle("save-view-"+view, func(machine.HookCall) error { return nil })
		}
		writes := 0
		for _, block := range shellBlock.FindAllStringSubmatch(s.Markdown(), -1) {
			out, err := exec.Command(shell, "-c", `snap() { printf '%s\t' "$@"; echo; }`+"\n"+block[1]).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", file, err, out)
			}
			for line := range strings.Lines(string(out)) {
				words := strings.Split(strings.TrimRight(line, "\t\n"), "\t")
				if words[0] != "set" {
					continue
				}
				view := words[1][strings.LastIndexByte(words[1], '/')+1:]
				request, text, _ := strings.Cut(words[2], "=")
				var value any = text
				if json.Unmarshal([]byte(text), &value) != nil {
					value = text
				}
				if err := m.Write(view, map[string]any{request: value}); err != nil {
					t.Errorf("%s: snap %s: %v", file, strings.Join(words, " "), err)
				}
				writes++
			}
		}
		if writes == 0 {
			t.Errorf("%s has no examples", file)
		}
	}
}

// TestMarkdown checks parts of the page.
func TestMarkdown(t *testing.T) {
	page := read(t, "testdata/lamp.yaml").Markdown()
	for _, want := range []string{
		"<!-- Code generated from lamp.yaml by aspects-poc test registry generate docs. DO NOT EDIT. -->",
		"| `brightness` | whole number | 0 to 100 | read, write | `v1.brightness` |",
		"| `psk` | text | secret | write | `v1.psk` |",
		"| `rooms.{room}.colour` | text | one of red, green | read, write | `v1.rooms.{room}.colour` |",
		"| `colour` | Only rooms of this colour | yes |",
		"snap set acme/lamp/lamp-admin brightness=0",
		`v0 -- "reads, writes" --> `,
		"Nobody writes through it.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	html := read(t, "testdata/lamp.yaml").HTML()
	for _, unwanted := range []string{"<script", "http://", "https://"} {
		if strings.Contains(html, unwanted) {
			t.Errorf("the page has %s", unwanted)
		}
	}
}
