package docs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// A command of a document and what it says that it prints. In the output an ellipsis stands for what differs each time.
type documentCommand struct {
	line int
	text string
	want []string
}

// A block is what stands between fences.
type block struct {
	line  int    // of the first fence
	kind  string // what stands behind the fence
	above string // the last line above it that is not empty
	lines []string
}

// blocksOf returns the blocks of a document.
func blocksOf(t *testing.T, file string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	inside, above := false, ""
	for i, line := range strings.Split(string(text), "\n") {
		kind, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && inside:
			inside, above = false, ""
		case fence:
			inside = true
			blocks = append(blocks, block{line: i + 1, kind: kind, above: above})
		case inside:
			last := &blocks[len(blocks)-1]
			last.lines = append(last.lines, line)
		case line != "":
			above = line
		}
	}
	if inside {
		t.Fatalf("%s: the last block does not end", file)
	}
	return blocks
}

// documentCommands returns the commands of the blocks marked "console". A command goes on in lines that begin with "> ".
func documentCommands(t *testing.T, file string) []documentCommand {
	t.Helper()
	var commands []documentCommand
	for _, block := range blocksOf(t, file) {
		if block.kind != "console" {
			continue
		}
		if len(block.lines) == 0 || !strings.HasPrefix(block.lines[0], "$ ") {
			t.Fatalf("%s line %d: a block marked console begins with a command", file, block.line)
		}
		for i, line := range block.lines {
			if text, ok := strings.CutPrefix(line, "$ "); ok {
				commands = append(commands, documentCommand{line: block.line + 1 + i, text: text})
				continue
			}
			last := &commands[len(commands)-1]
			if more, ok := strings.CutPrefix(line, "> "); ok && last.want == nil {
				last.text += "\n" + more
				continue
			}
			last.want = append(last.want, line)
		}
	}
	return commands
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
