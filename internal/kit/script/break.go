package script

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"

	"aspects-poc/internal/kit/hookrun"
	"aspects-poc/internal/kit/world"
)

// A Break stops a script before one of its lines.
type Break struct {
	// Line is the first line that is not run, from 1; 0 is the end of the script.
	Line int
	// Reached is called once, before that line. When it returns, the script and its machine end.
	Reached func(Halted) error
}

// A Halted is the machine of a script that a Break has stopped.
type Halted struct {
	Context context.Context // ends with the script
	World   *world.World
	Runner  *hookrun.Runner // nil if no snap with files is installed
	Dir     string          // of the script's files, and of the snaps' data
	Next    string          // the first line that is not run; "" at the end
}

// breakCommand is the command that RunUntil inserts before the line. It exists only with a Break, so scripts cannot use it.
const breakCommand = "break-here"

// RunUntil runs one script up to a Break. It returns an error if the script does not reach the line, and the error of Reached.
func RunUntil(ctx context.Context, file string, options Options, at Break) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot run scripts: %w", err)
	}
	archive := txtar.Parse(text)
	lines := strings.Split(strings.TrimSuffix(string(archive.Comment), "\n"), "\n")
	next := ""
	switch {
	case at.Line < 0 || at.Line > len(lines)+1:
		return fmt.Errorf("%s has %d lines of commands: there is no line %d to stop at", file, len(lines), at.Line)
	case at.Line > 0 && at.Line <= len(lines):
		next = lines[at.Line-1]
		lines = lines[:at.Line-1]
	}
	archive.Comment = []byte(strings.Join(append(lines, breakCommand), "\n") + "\n")
	folder, err := os.MkdirTemp("", "aspects-poc-test-")
	if err != nil {
		return fmt.Errorf("cannot run scripts: %w", err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // the system cleans up its folder for temporary files
	cut := filepath.Join(folder, filepath.Base(file))
	if err := os.WriteFile(cut, txtar.Format(archive), 0o600); err != nil {
		return fmt.Errorf("cannot run scripts: %w", err)
	}
	reached := false
	options.Files, options.Update = []string{cut}, false
	options.atBreak = func(ts *testscript.TestScript) {
		reached = true
		m := machineOf(ts)
		err = at.Reached(Halted{Context: m.ctx, World: m.World, Runner: m.runner, Dir: m.dir, Next: next})
	}
	report, ran := Run(ctx, options)
	switch {
	case ran != nil:
		return ran
	case reached:
		return err
	case report.Failed() > 0:
		result := report.Results[0]
		result.File = file
		return fmt.Errorf("%s fails before it comes to the line: %s", file, result.where())
	default:
		return fmt.Errorf("%s ends before it comes to the line: it stops or skips the rest", file)
	}
}
