//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/registry/network"
)

// A run is one pass over all stages.
type run struct {
	*testing.T
	machine

	root    string // of the project
	scratch string // for what is built for this run
	logs    string // where the logs of failures are kept

	only *regexp.Regexp // names of the checks to make; nil: all

	passed, failed int
	figures        []string
}

type stage struct {
	name string
	run  func(r *run, ctx context.Context)
}

var stages = []stage{
	{"contract", (*run).contract},
	{"transcripts", (*run).transcripts},
	{"hooks", (*run).hooks},
	{"install", (*run).install},
	{"readme", (*run).readme},
	{"commands", (*run).commands},
	{"refusals", (*run).refusals},
	{"faults", (*run).faults},
	{"remove", (*run).remove},
}

// TestE2E runs the stages, or those that E2E_STAGES names ("readme,refusals"), and of these the checks whose names match
// E2E_CHECKS, which on a machine that still runs from before (E2E_KEEP=1) makes it a way to work on one of them.
func TestE2E(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	r := &run{T: t, root: root, scratch: t.TempDir(), logs: filepath.Join(root, "build", "e2e")}
	r.machine.script = filepath.Join(root, "e2e", "vm.sh")
	if err := os.RemoveAll(r.logs); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(r.logs, 0o755); err != nil {
		t.Fatal(err)
	}
	only := strings.FieldsFunc(os.Getenv("E2E_STAGES"), func(c rune) bool { return c == ',' || c == ' ' })
	for _, name := range only {
		if !slices.ContainsFunc(stages, func(s stage) bool { return s.name == name }) {
			t.Fatalf("E2E_STAGES: there is no stage %q", name)
		}
	}
	if checks := os.Getenv("E2E_CHECKS"); checks != "" {
		if r.only, err = regexp.Compile(checks); err != nil {
			t.Fatalf("E2E_CHECKS: %v", err)
		}
	}
	begin := time.Now()
	if os.Getenv("E2E_KEEP") == "" {
		if _, err := r.control(t.Context(), "down"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := r.control(context.Background(), "down"); err != nil {
				t.Error(err)
			}
		})
	}
	if !r.check("boot a machine", func(ctx context.Context) error { return r.boot(ctx) }) {
		return
	}
	for _, stage := range stages {
		if len(only) == 0 || slices.Contains(only, stage.name) {
			fmt.Printf("\n%s\n", stage.name)
			stage.run(r, t.Context())
		}
	}
	if len(r.figures) > 0 {
		fmt.Printf("\nfigures (emulated processor: compare, do not quote)\n  %s\n", strings.Join(r.figures, "\n  "))
	}
	fmt.Printf("\ne2e: %d checks, %d passed, %d failed, %s\n", r.passed+r.failed, r.passed, r.failed,
		time.Since(begin).Round(time.Second))
	if r.failed > 0 {
		fmt.Printf("e2e: what failed is told in %s\n", r.logs)
	}
}

// boot starts the machine, or takes the one that runs, and waits for its snapd.
func (r *run) boot(ctx context.Context) error {
	if _, err := r.control(ctx, "up"); err != nil {
		return err
	}
	version, err := r.sh(ctx, "snap wait system seed.loaded; snap version")
	if err != nil {
		return err
	}
	r.figure("%s", strings.Join(strings.Fields(strings.ReplaceAll(version, "\n", ";")), " "))
	return nil
}

func (r *run) figure(format string, args ...any) {
	r.figures = append(r.figures, fmt.Sprintf(format, args...))
}

var notForFiles = regexp.MustCompile(`[^a-z0-9]+`)

// check runs one check, prints its line, and keeps what is known about a failure. It tells whether it passed.
func (r *run) check(name string, check func(ctx context.Context) error) bool {
	if r.only != nil && !r.only.MatchString(name) {
		return true
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), 40*time.Minute)
	defer cancel()
	err := check(ctx)
	return r.report(name, time.Since(begin), err)
}

// report prints the line of a check that has been made.
func (r *run) report(name string, took time.Duration, err error) bool {
	if err == nil {
		r.passed++
		fmt.Printf("ok   %-90s %5.1f s\n", name, took.Seconds())
		return true
	}
	r.failed++
	text := err.Error()
	first, _, _ := strings.Cut(text, "\n")
	fmt.Printf("FAIL %-90s %5.1f s\n     %.300s\n", name, took.Seconds(), first)
	r.Errorf("%s: %v", name, err)
	file := filepath.Join(r.logs, fmt.Sprintf("%03d-%s.log", r.passed+r.failed,
		strings.Trim(notForFiles.ReplaceAllString(strings.ToLower(name), "-"), "-")))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	state, stateErr := r.sh(ctx, "snap list; snap services; snap connections; snap changes | tail -n 15; journalctl -n 150 --no-pager")
	text = fmt.Sprintf("%s\n\n%s\n\n%s", name, text, state)
	if stateErr != nil {
		text += fmt.Sprintf("\nthe machine's state is not known: %v", stateErr)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.Error(err)
	}
	return false
}

// eventually repeats a check until it passes or patience ends; the last error counts.
func eventually(ctx context.Context, patience time.Duration, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not within %v: %w", patience, errors.Join(last, ctx.Err()))
		}
		last = err
		select {
		case <-time.After(4 * time.Second):
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %w", patience, last)
		}
	}
}

// view names one of our views as the snap command takes it.
func view(name string) string { return network.AccountID + "/" + network.Name + "/" + name }

// schema puts a confdb-schema where snapd looks for acknowledged ones.
func (r *run) schema(ctx context.Context, name string, text []byte) error {
	file := filepath.Join(r.scratch, name+".assert")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	folder := "/var/lib/snapd/assertions/asserts-v0/confdb-schema/" + network.AccountID + "/" + name
	if _, err := r.sh(ctx, "mkdir -p "+folder); err != nil {
		return err
	}
	return r.push(ctx, folder+"/active", file)
}

// build compiles a command, or with test the tests, of a folder of the project, static.
func (r *run) build(ctx context.Context, folder string, test bool) (string, error) {
	file := filepath.Join(r.scratch, filepath.Base(filepath.Join(r.root, folder))+".bin")
	args := []string{"build", "-trimpath"}
	if test {
		args = []string{"test", "-c", "-tags", "e2e", "-trimpath"}
	}
	command := exec.CommandContext(ctx, "go", append(args, "-ldflags", "-s -w", "-o", file, "./"+folder)...)
	command.Dir = r.root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, output)
	}
	return file, nil
}

// connect connects plugs of a snap, all of those that are not connected yet if none is named.
func (r *run) connect(ctx context.Context, snap string, plugs ...string) error {
	if len(plugs) == 0 {
		text, err := r.sh(ctx, "snap connections "+snap)
		if err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			if len(fields) >= 3 && fields[2] == "-" {
				plugs = append(plugs, strings.TrimPrefix(fields[1], snap+":"))
			}
		}
	}
	for _, plug := range plugs {
		if _, err := r.sh(ctx, "snap connect "+snap+":"+plug); err != nil {
			return err
		}
	}
	return nil
}
