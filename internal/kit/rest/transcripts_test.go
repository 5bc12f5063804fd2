package rest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/console"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/kit/world/snapctl"
	"aspects-poc/internal/stocksnap"
	"aspects-poc/registry/registrytest/testschema"
)

var show = flag.Bool("show", false, "print what transcripts come to on ours")

// TestTranscripts replays transcripts of the stock snap command from a real machine on the imitated one: the output must be the same,
// byte by byte. The files are recorded by the stage "transcripts" of make e2e.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	command := stocksnap.Find(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			recorded, err := console.Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			play(t, command, recorded)
		})
	}
}

// play runs the commands of a transcript. If it is not recorded yet, play only expects that snap understands the answers.
func play(t *testing.T, command *stocksnap.Command, recorded *console.Transcript) {
	if recorded.Snapd == "" {
		t.Log("not recorded yet: run it, and see that nothing breaks")
	}
	p := &player{lines: map[string]string{}}
	p.machine = serve(t, setup{state: beginAt(t, recorded.NextChange), runner: p, hooks: []string{"change-view-control-telemetry"}})
	if err := p.Facts.Install(facts.Snap{Name: "obs", Version: "1", Hooks: []string{"observe-view-control-telemetry"}, Plugs: map[string]facts.Plug{
		testschema.ControlTelemetryView: {Interface: "confdb", Account: testschema.AccountID, View: testschema.Name + "/" + testschema.ControlTelemetryView},
	}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Facts.Connect("obs", testschema.ControlTelemetryView); err != nil {
		t.Fatal(err)
	}
	p.files(t)
	shown := *recorded
	shown.Steps = slices.Clone(recorded.Steps)
	for i, step := range recorded.Steps {
		if step.Prepare != "" {
			p.prepare(t, step)
			continue
		}
		words, err := console.Words(step.Command, testschema.AccountID)
		if err != nil || words[0] != "snap" {
			t.Fatalf("line %d: %q is no snap command: %v", step.Line, step.Command, err)
		}
		result := command.Run(t, p.dir, words[1:]...)
		got := console.Outcome(result).Placeholders(testschema.AccountID).Since(recorded.NextChange)
		shown.Steps[i].Outcome = got
		if strings.Contains(result.Stderr, "cannot communicate with server") || strings.Contains(result.Stderr, "panic") {
			t.Errorf("line %d: %s: %s", step.Line, step.Command, result.Stderr)
		}
		if recorded.Snapd == "" {
			continue
		}
		diff := cmp.Diff(step.Outcome, got)
		switch {
		case diff != "" && step.Differs == "":
			t.Errorf("line %d: %s (-recorded +ours):\n%s", step.Line, step.Command, diff)
		case diff == "" && step.Differs != "":
			t.Errorf("line %d: %s prints what was recorded: take its \"%% %s\" away", step.Line, step.Command, step.Differs)
		}
	}
	if *show {
		fmt.Println(shown.String())
	}
}

// beginAt writes the state of a machine whose next change has the ID change, and returns its folder.
func beginAt(t *testing.T, change int) string {
	if change == 0 {
		return ""
	}
	dir := t.TempDir()
	state := fmt.Sprintf(`{"format":1,"last-change":%d}`, change-1)
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A player has hooks that run the snapctl commands that a transcript prepares, as the probe of the end-to-end tests does.
type player struct {
	*machine
	mu    sync.Mutex        // guards lines
	lines map[string]string // by hook
}

// prepare takes "hook NAME [COMMAND]", the command's words with bars between them.
func (p *player) prepare(t *testing.T, step console.Step) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(step.Prepare, "hook "), " ")
	if !strings.HasPrefix(step.Prepare, "hook ") {
		t.Fatalf("line %d: nobody knows how to prepare %q", step.Line, step.Prepare)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(p.lines, name); rest != "" {
		p.lines[name] = rest
	}
}

// RunHook does what the probe does: a command that fails ends the hook, unless it begins with a minus.
func (p *player) RunHook(ctx context.Context, hook changes.Hook) ([]byte, error) {
	p.mu.Lock()
	line, found := p.lines[hook.Name]
	p.mu.Unlock()
	if !found {
		return nil, nil
	}
	line, optional := strings.CutPrefix(line, "-")
	_, err := p.Snapctl.Run(ctx, snapctl.Call{Cookie: hook.Cookie, Args: strings.Split(line, "|")})
	if err != nil && !optional {
		return []byte("error: " + err.Error() + "\n"), errors.New("exit status 1")
	}
	return nil, nil
}

// files writes the files that commands expect below /run.
func (p *player) files(t *testing.T) {
	dir := filepath.Join(p.dir, "files")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range transcriptFiles(t) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func transcriptFiles(t *testing.T) map[string][]byte {
	files := map[string][]byte{}
	list, err := filepath.Glob("testdata/transcripts/files/*")
	if err != nil || len(list) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range list {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(file)] = text
	}
	return files
}
