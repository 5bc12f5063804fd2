package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/internal/need"
)

// A command of a document and what it says that it prints. In the output an ellipsis stands for what differs each time.
type documentCommand struct {
	line int
	text string
	want []string
}

// documentCommands returns the commands of the blocks marked "console".
func documentCommands(t *testing.T, file string) []documentCommand {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var commands []documentCommand
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case line == "```console":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case !inside:
		case strings.HasPrefix(line, "$ "):
			commands = append(commands, documentCommand{line: i + 1, text: line[2:]})
		default:
			last := &commands[len(commands)-1]
			last.want = append(last.want, line)
		}
	}
	return commands
}

// TestReadme runs the README's walk-through in a shell, as it is written, with the server on a free port, and compares
// what is printed.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	need.Programs(t, "bash", "curl")
	bin := buildProgram(t)
	address := freeAddress(t)
	shell := exec.Command("bash")
	shell.Env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"ASPECTS_LISTEN=" + address, "ASPECTS_SERVER_URL=http://" + address, "ASPECTS_LOG_LEVEL=error",
	}
	playDocument(t, "README.md", shell, strings.NewReplacer("127.0.0.1:8000", address), strings.NewReplacer(address, "127.0.0.1:8000"))
}

// TestDevkit runs the development kit's ten minutes from an empty folder.
func TestDevkit(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary")
	}
	need.Program(t, "bash")
	shell := exec.Command("bash")
	shell.Dir = t.TempDir()
	shell.Env = []string{"PATH=" + buildProgram(t) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	as := strings.NewReplacer()
	playDocument(t, filepath.Join("docs", "devkit.md"), shell, as, as)
}

// buildProgram builds the binary with a link for each role and returns their folder.
func buildProgram(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "aspects-poc"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, out)
	}
	for _, role := range []string{"server", "control", "vpn", "reporting"} {
		if err := os.Symlink("aspects-poc", filepath.Join(bin, "aspects-poc-"+role)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// playDocument runs a document's commands in one shell, as they are written but for what before replaces, and compares
// what is printed, after replacing that.
func playDocument(t *testing.T, file string, shell *exec.Cmd, before, after *strings.Replacer) {
	t.Helper()
	input, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	shell.Stdout, shell.Stderr = writer, writer
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	t.Cleanup(func() {
		fmt.Fprintln(input, "kill %1 2>/dev/null; wait; exit")
		input.Close()
		_ = shell.Wait()
	})
	lines := bufio.NewScanner(reader)
	const end = "-- end of command --"
	for _, command := range documentCommands(t, file) {
		text := before.Replace(command.text)
		fmt.Fprintf(input, "%s\n", text)
		var got []string
		if strings.HasSuffix(text, "&") {
			// In the background: there is as much to read as the document shows.
			for range command.want {
				if lines.Scan() {
					got = append(got, lines.Text())
				}
			}
		} else {
			// A command that ends without a newline, such as curl, must not swallow the mark.
			fmt.Fprintf(input, "printf '\\n%%s\\n' '%s'\n", end)
			for lines.Scan() && lines.Text() != end {
				got = append(got, lines.Text())
			}
			for len(got) > 0 && got[len(got)-1] == "" {
				got = got[:len(got)-1]
			}
		}
		for i := range got {
			got[i] = after.Replace(got[i])
		}
		if !matches(command.want, got) {
			t.Fatalf("%s line %d: $ %s\nprints:\n%s\nwant:\n%s", file, command.line, command.text,
				strings.Join(got, "\n"), strings.Join(command.want, "\n"))
		}
	}
}

func matches(want, got []string) bool {
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		parts := strings.Split(want[i], "…")
		for j := range parts {
			parts[j] = regexp.QuoteMeta(parts[j])
		}
		if !regexp.MustCompile("^" + strings.Join(parts, ".+") + "$").MatchString(got[i]) {
			return false
		}
	}
	return true
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Every make target that a document names exists.
func TestDocumentsNameTargets(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob(filepath.Join("docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile("(?m)(?:^|[`$] ?)make ([a-z][a-z-]*)")
	for _, document := range append(documents, "README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range used.FindAllSubmatch(text, -1) {
			if bytes.HasSuffix(found[1], []byte("-")) && bytes.Contains(makefile, append(found[1], '%')) {
				continue // snapcraft-ROLE and its like
			}
			if !regexp.MustCompile(`(?m)^([a-z% -]* )?`+regexp.QuoteMeta(string(found[1]))+`( [a-z% -]*)?:`).Match(makefile) &&
				!bytes.Contains(makefile, append([]byte(".PHONY: "), found[1]...)) {
				t.Errorf("%s names make %s, which the Makefile has not", document, found[1])
			}
		}
	}
}
