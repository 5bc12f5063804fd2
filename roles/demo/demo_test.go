package demo_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/registry"
	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/demo"
	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/registrycmd"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/server"
	"aspects-poc/roles/vpn"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

var update = flag.Bool("update", false, "rewrite golden files")

// with returns the program's list of roles, and more.
func with(more ...roles.Role) []roles.Role {
	list := append([]roles.Role{server.Role, control.Role, vpn.Role, reporting.Role, registrycmd.New()}, more...)
	return append(list, demo.New(list...))
}

// play runs the demo, with its state below the test's own directory.
func play(t *testing.T, ctx context.Context, list []roles.Role, stdout *rolestest.Buffer, words ...string) (code int, stderr string) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	var errors bytes.Buffer
	env := &roles.Env{
		Stdin: strings.NewReader(""), Stdout: stdout, Stderr: &errors,
		Getenv: func(string) string { return "" }, Open: registry.Open,
	}
	code = roles.Run(ctx, env, append([]string{"aspects-poc", "demo", "--listen", "127.0.0.1:0"}, words...), list...)
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	return code, errors.String()
}

// TestOnce compares the whole pass with testdata/once.golden, in which what differs from run to run has names.
func TestOnce(t *testing.T) {
	var stdout rolestest.Buffer
	if code, stderr := play(t, t.Context(), with(), &stdout, "--once"); code != 0 || stderr != "" {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	got := stdout.String()
	for pattern, name := range map[string]string{
		`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`: "UUID",
		`127\.0\.0\.1:\d+`:  "127.0.0.1:PORT",
		`"registered": \d+`: `"registered": SECONDS`,
		`file:\S+`:          "file:REGISTRY",
	} {
		got = regexp.MustCompile(pattern).ReplaceAllString(got, name)
	}
	golden := filepath.Join("testdata", "once.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// another makes a fifth role.
func another(name string, action func(ctx context.Context, env *roles.Env, s *roles.Settings) error) roles.Role {
	return roles.Role{Name: name, Summary: "test", Command: func(env *roles.Env) *cli.Command {
		return &cli.Command{Subcommands: []*cli.Command{roles.RunCommand(env, roles.RunSpec{
			Usage: "test", Interval: 1,
			Action: func(ctx context.Context, _ *cli.Context, s *roles.Settings) error { return action(ctx, env, s) },
		})}}
	}}
}

// TestFifthRole: a role that nobody told the demo about runs like the others, on the same registry.
func TestFifthRole(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	light := another("light", func(ctx context.Context, env *roles.Env, s *roles.Settings) error {
		defer interrupt() // also if it fails
		reg, err := s.Open(ctx)
		if err != nil {
			return err
		}
		defer reg.Close() //nolint:errcheck // only read
		document, err := reg.View("control-device").Get(ctx)
		fmt.Fprintln(env.Stdout, "server is", document["server-url"], err)
		interrupt()
		<-ctx.Done()
		return nil
	})
	var stdout rolestest.Buffer
	if code, stderr := play(t, ctx, with(light), &stdout); code != 0 || stderr != "" {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	for _, line := range []string{
		`(?m)^light     \| server is http://127\.0\.0\.1:\d+ <nil>$`, `(?m)^control   \| eth0: \d`, `(?m)^demo      \| Every role has ended\.$`,
	} {
		if !regexp.MustCompile(line).MatchString(stdout.String()) {
			t.Errorf("no line %s in\n%s", line, stdout.String())
		}
	}
}

// TestFailingRole: one role that fails ends the demo, all others are waited for, and it says which one it was.
func TestFailingRole(t *testing.T) {
	broken := another("light", func(context.Context, *roles.Env, *roles.Settings) error { return errors.New("bulb is broken") })
	for _, words := range [][]string{{"--once"}, {}} {
		var stdout rolestest.Buffer
		code, stderr := play(t, t.Context(), with(broken), &stdout, words...)
		if code != 1 || !strings.Contains(stderr, "bulb is broken") || !strings.Contains(stderr, "light run") {
			t.Errorf("%v: exit status %d: %s", words, code, stderr)
		}
	}
	quitter := another("light", func(context.Context, *roles.Env, *roles.Settings) error { return nil })
	var stdout rolestest.Buffer
	code, stderr := play(t, t.Context(), with(quitter), &stdout)
	if code != 1 || !strings.Contains(stderr, "light has ended by itself") {
		t.Errorf("exit status %d: %s", code, stderr)
	}
}

// TestPortTaken: another port is taken, and the registry points at it.
func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // only to be in the way
	var stdout rolestest.Buffer
	code, stderr := play(t, t.Context(), with(), &stdout, "--listen", taken.Addr().String(), "--once")
	if code != 0 {
		t.Errorf("exit status %d: %s", code, stderr)
	}
	text := stdout.String()
	if !strings.Contains(text, "The port asked for is in use") || strings.Contains(text, taken.Addr().String()) {
		t.Errorf("output is\n%s", text)
	}
}

// TestInterruptedOnce ends a pass in the middle.
func TestInterruptedOnce(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	slow := another("light", func(ctx context.Context, _ *roles.Env, _ *roles.Settings) error {
		interrupt()
		<-ctx.Done()
		return ctx.Err()
	})
	var stdout rolestest.Buffer
	if code, _ := play(t, ctx, with(slow), &stdout, "--once"); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
}

func TestPrefix(t *testing.T) {
	var stdout bytes.Buffer
	for _, test := range []struct {
		color bool
		want  string
	}{
		{false, "control   | a\ncontrol   | b\ncontrol   | cd\n"},
		{true, "\x1b[32mcontrol  \x1b[0m | a\n\x1b[32mcontrol  \x1b[0m | b\n\x1b[32mcontrol  \x1b[0m | cd\n"},
	} {
		stdout.Reset()
		out := demo.Prefixed(&stdout, test.color, with(), "control")
		for _, text := range []string{"a\nb\nc", "d", "\n"} {
			if n, err := out.Write([]byte(text)); n != len(text) || err != nil {
				t.Errorf("wrote %d of %q: %v", n, text, err)
			}
		}
		if diff := cmp.Diff(test.want, stdout.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}
