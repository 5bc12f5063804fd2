//go:build e2e

package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/network"
)

// A run is one pass over stages on one machine.
type run struct {
	*testing.T
	machine

	root    string    // of the project
	scratch string    // for the builds of this run
	logs    string    // for the logs of failures
	out     io.Writer // the lines of the checks

	era  era            // of the machine's snapd
	only *regexp.Regexp // names of the checks to make; nil means all

	after func(done stage) // called after each stage; may be nil

	passed, failed int
	figures        []string
}

// An era is a generation of confdb for the checks.
type era struct {
	flag    string          // experimental.…
	dialect network.Dialect // type of the assertion
	// hooks means that load-view hooks of custodians and observe-view hooks of others run. Otherwise counters are
	// stored, and the daemons notice changes by their slow read.
	hooks bool
}

var (
	present = era{"confdb", network.ConfdbSchemaDialect, true}
	of268   = era{"confdbs", network.ConfdbDialect, false} // snapd 2.68
)

// document returns our confdb-schema in the era's dialect.
func (e era) document() (json.RawMessage, error) {
	return network.Assertion(network.AssertionOptions{Dialect: e.dialect})
}

// schemaFolder returns snapd's folder for the schemas of our account.
func schemaFolder(dialect network.Dialect) string {
	return "/var/lib/snapd/assertions/asserts-v0/" + string(dialect) + "/" + network.AccountID
}

type stage struct {
	name string
	run  func(r *run, ctx context.Context)
	// apart marks stages that need no other stage. In emulation, where a machine uses one processor, they run in a
	// second machine at the same time.
	apart bool
	// copied marks stages that can run in a copy of the machine as the stage install has left it, for the same reason.
	copied bool
	// emulated marks stages that only a throw-away machine can stand.
	emulated bool
	// named marks stages that check nothing of ours: they record what the real snapd does, for other tests. They run if
	// they are named, or with E2E_FULL=1.
	named bool
	// present marks stages about things that snapd 2.68 does differently or not at all.
	present bool
}

// installed is the name of the stage after which the machine has everything that copied stages need.
const installed = "install"

// The stages in order. Each begins where the one before has ended, except those that run apart.
var stages = []stage{
	{name: "contract", run: (*run).contract, apart: true},
	{name: "commands", run: (*run).commands, apart: true, present: true},
	{name: "transcripts", run: (*run).transcripts, apart: true, named: true, present: true},
	{name: "hooks", run: (*run).hooks, apart: true, named: true, present: true},
	{name: "store", run: (*run).store, apart: true, present: true},
	{name: "python", run: (*run).python, apart: true, present: true},
	{name: installed, run: (*run).install},
	{name: "readme", run: (*run).readme},
	{name: "refusals", run: (*run).refusals, present: true},
	{name: "lifecycle", run: (*run).lifecycle, copied: true, present: true},
	{name: "faults", run: (*run).faults, present: true},
	{name: "power", run: (*run).power, emulated: true, present: true},
	{name: "remove", run: (*run).remove},
}

// TestE2E runs the stages, or those of E2E_STAGES ("readme,refusals"). It runs only the checks whose names match
// E2E_CHECKS. On a machine that still runs from before (E2E_KEEP=1) this is a way to work on a single check. With
// E2E_HOST=1 the stages run on this machine.
func TestE2E(t *testing.T) {
	begin := time.Now()
	chosen, only := choose(t)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	logs := filepath.Join(root, "build", "e2e")
	if err := os.RemoveAll(logs); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	start := func(m machine, out io.Writer) *run {
		return &run{T: t, machine: m, root: root, scratch: t.TempDir(), logs: logs, out: out, only: only}
	}
	var runs []*run
	if os.Getenv("E2E_HOST") == "1" {
		m, err := here(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, start(m, os.Stdout))
		runs[0].stages(slices.DeleteFunc(chosen, func(s stage) bool { return s.emulated }))
	} else {
		script := filepath.Join(root, "e2e", "vm.sh")
		if err := (vm{script: script}).control(t.Context(), "image"); err != nil { // once for both machines
			t.Fatal(err)
		}
		var here, apart, copied []stage
		// A kept machine is a single one.
		copies := os.Getenv("E2E_KEEP") == "" && slices.ContainsFunc(chosen, func(s stage) bool { return s.name == installed })
		for _, s := range chosen {
			switch {
			case s.apart:
				apart = append(apart, s)
			case s.copied && copies:
				copied = append(copied, s)
			default:
				here = append(here, s)
			}
		}
		port := ports(t)
		kept := make(chan bool, 1)
		first := start(vm{script: script}, os.Stdout)
		first.after = func(s stage) {
			if s.name == installed && len(copied) > 0 {
				kept <- first.check("keep a copy of the machine", first.machine.(vm).keep)
			}
		}
		var lines, copiedLines bytes.Buffer // of the other machines, printed when all are done
		other := func(out io.Writer, port, origin, processors string) *run {
			env := []string{"E2E_PORT=" + port, "E2E_CPUS=" + processors}
			return start(vm{script: script, env: env, origin: origin}, out)
		}
		second, third := other(&lines, port(1), "", "1"), other(&copiedLines, port(2), port(0), cmp.Or(os.Getenv("E2E_CPUS"), "2"))
		runs = append(runs, first, second, third)
		var others sync.WaitGroup
		free := make(chan struct{}, 2) // two machines run at a time: the third when one of the others is done
		others.Go(func() {
			second.stages(apart)
			free <- struct{}{}
		})
		others.Go(func() {
			if <-kept {
				<-free
				third.stages(copied)
			}
		})
		first.stages(here)
		close(kept)
		free <- struct{}{}
		others.Wait()
		_, _ = lines.WriteTo(os.Stdout)
		_, _ = copiedLines.WriteTo(os.Stdout)
	}
	var passed, failed int
	var figures []string
	for _, r := range runs {
		passed, failed, figures = passed+r.passed, failed+r.failed, append(figures, r.figures...)
	}
	if len(figures) > 0 {
		fmt.Printf("\nfigures (on an emulated processor: compare, do not quote)\n  %s\n", strings.Join(figures, "\n  "))
	}
	fmt.Printf("\ne2e: %d checks, %d passed, %d failed, %s\n", passed+failed, passed, failed, time.Since(begin).Round(time.Second))
	if failed > 0 {
		fmt.Printf("e2e: what failed is told in %s\n", logs)
	}
}

// ports returns the port of each machine: 0 is the first, that of vm.sh.
func ports(t *testing.T) func(machine int) string {
	first, err := strconv.Atoi(cmp.Or(os.Getenv("E2E_PORT"), "2230"))
	if err != nil {
		t.Fatalf("E2E_PORT: %v", err)
	}
	return func(machine int) string { return strconv.Itoa(first + machine) }
}

// choose returns the stages and checks that the environment asks for.
func choose(t *testing.T) ([]stage, *regexp.Regexp) {
	chosen := slices.Clone(stages)
	names := strings.FieldsFunc(os.Getenv("E2E_STAGES"), func(c rune) bool { return c == ',' || c == ' ' })
	for _, name := range names {
		if !slices.ContainsFunc(stages, func(s stage) bool { return s.name == name }) {
			t.Fatalf("E2E_STAGES: there is no stage %q", name)
		}
	}
	switch {
	case len(names) > 0:
		chosen = slices.DeleteFunc(chosen, func(s stage) bool { return !slices.Contains(names, s.name) })
	case os.Getenv("E2E_FULL") == "":
		chosen = slices.DeleteFunc(chosen, func(s stage) bool { return s.named })
	}
	checks := os.Getenv("E2E_CHECKS")
	if checks == "" {
		return chosen, nil
	}
	only, err := regexp.Compile(checks)
	if err != nil {
		t.Fatalf("E2E_CHECKS: %v", err)
	}
	return chosen, only
}

// stages runs stages on a fresh machine, which is removed afterwards unless it must be kept.
func (r *run) stages(chosen []stage) {
	if len(chosen) == 0 {
		return
	}
	if os.Getenv("E2E_KEEP") == "" {
		if _, emulated := r.machine.(vm); emulated {
			if err := r.down(r.Context()); err != nil {
				r.Error(err)
				return
			}
		}
		defer func() {
			if err := r.down(context.Background()); err != nil {
				r.Error(err)
			}
		}()
	}
	begin := time.Now()
	if err := r.boot(r.Context()); !r.report("boot a machine", time.Since(begin), err) {
		return
	}
	for _, stage := range chosen {
		_, _ = fmt.Fprintf(r.out, "\n%s\n", stage.name)
		if stage.present && r.era != present {
			_, _ = fmt.Fprintln(r.out, "not on this snapd")
			continue
		}
		begin := time.Now()
		stage.run(r, r.Context())
		r.figure("stage %s: %s", stage.name, time.Since(begin).Round(time.Second))
		if r.after != nil {
			r.after(stage)
		}
	}
}

// boot starts the machine and waits for its snapd.
func (r *run) boot(ctx context.Context) error {
	if err := r.up(ctx); err != nil {
		return err
	}
	version, err := r.sh(ctx, "mkdir -p "+folder+"; snap wait system seed.loaded; snap version")
	if err != nil {
		return err
	}
	features, err := r.sh(ctx, "curl -s --unix-socket /run/snapd.socket http://snapd/v2/system-info | jq -r '.result.features | keys[]'")
	if err != nil {
		return err
	}
	r.era = present
	if !slices.Contains(strings.Fields(features), present.flag) {
		r.era = of268
	}
	r.figure("%s", strings.Join(strings.Fields(strings.ReplaceAll(version, "\n", ";")), " "))
	return nil
}

// arch returns the machine's architecture, for those with the same name in Go and snapd.
func (r *run) arch() string {
	if _, emulated := r.machine.(vm); emulated {
		return "amd64"
	}
	return runtime.GOARCH
}

// sh runs a shell command as root and returns its standard output.
func (r *run) sh(ctx context.Context, command string) (string, error) {
	return r.stream(ctx, io.Discard, command)
}

func (r *run) figure(format string, args ...any) {
	r.figures = append(r.figures, fmt.Sprintf(format, args...))
}

var notForFiles = regexp.MustCompile(`[^a-z0-9]+`)

// check runs one check, prints its line, and saves what is known about a failure. It reports whether the check has
// passed.
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

// report prints the line of a finished check.
func (r *run) report(name string, took time.Duration, err error) bool {
	if err == nil {
		r.passed++
		_, _ = fmt.Fprintf(r.out, "ok   %-90s %5.1f s\n", name, took.Seconds())
		return true
	}
	r.failed++
	text := err.Error()
	first, _, _ := strings.Cut(text, "\n")
	_, _ = fmt.Fprintf(r.out, "FAIL %-90s %5.1f s\n     %.300s\n", name, took.Seconds(), first)
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

// eventually repeats a check until it passes or patience ends. It returns the last error.
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

// view returns the full name of one of our views.
func view(name string) string { return network.AccountID + "/" + network.Name + "/" + name }

// schema puts a confdb-schema into snapd's database of acknowledged ones.
func (r *run) schema(ctx context.Context, name string, text []byte) error {
	file := filepath.Join(r.scratch, name+".assert")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	folder := schemaFolder(r.era.dialect) + "/" + name
	if _, err := r.sh(ctx, "mkdir -p "+folder); err != nil {
		return err
	}
	return r.push(ctx, folder+"/active", file)
}

// build compiles the command in a folder of the project, or with test its tests, as a static binary.
func (r *run) build(ctx context.Context, folder string, test bool) (string, error) {
	file := filepath.Join(r.scratch, filepath.Base(filepath.Join(r.root, folder))+".bin")
	args := []string{"build", "-trimpath"}
	if test {
		args = []string{"test", "-c", "-tags", "e2e", "-trimpath"}
	}
	command := exec.CommandContext(ctx, "go", append(args, "-ldflags", "-s -w", "-o", file, "./"+folder)...)
	command.Dir = r.root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+r.arch())
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, output)
	}
	return file, nil
}

// connect connects plugs of a snap. Without names it connects all plugs that are not connected.
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
