package roles_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

// A world is an environment in memory, in which one role, probe, notes what it was run with.
type world struct {
	env            *roles.Env
	stdout, stderr bytes.Buffer
	vars           map[string]string
	list           []roles.Role

	ran      int
	settings roles.Settings
	rate     float64
	ranges   []string
	action   func(context.Context, *roles.Settings) error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{vars: map[string]string{"HOME": t.TempDir()}}
	w.env = &roles.Env{
		Stdin: strings.NewReader(""), Stdout: &w.stdout, Stderr: &w.stderr,
		Getenv: func(name string) string { return w.vars[name] },
		Open: func(context.Context, string, ...registry.Options) (*registry.Registry, error) {
			return nil, errors.New("no registry here")
		},
	}
	w.list = []roles.Role{
		{Name: "probe", Summary: "note what it is run with", Command: w.command},
		{Name: "other", Summary: "have other flags", Command: func(*roles.Env) *cli.Command {
			return &cli.Command{Subcommands: []*cli.Command{{Name: "run", Flags: []cli.Flag{
				&cli.StringFlag{Name: "listen"}, &cli.StringFlag{Name: "config"}}}}}
		}},
		{Name: "tool", Summary: "show something", Tool: true, Command: func(env *roles.Env) *cli.Command {
			return &cli.Command{Subcommands: []*cli.Command{
				{Name: "show", ArgsUsage: "VIEW", Action: func(c *cli.Context) error {
					_, err := env.Stdout.Write([]byte(strings.Join(c.Args().Slice(), " ")))
					return err
				}},
				{Name: "anywhere", ArgsUsage: "VIEW", SkipFlagParsing: true,
					Flags: []cli.Flag{
						&cli.BoolFlag{Name: "document", Aliases: []string{"d"}},
						&cli.BoolFlag{Name: "typed", Aliases: []string{"t"}},
						&cli.IntFlag{Name: "count"},
						&cli.StringSliceFlag{Name: "with"},
					},
					Action: func(c *cli.Context) error {
						text := strings.Join(roles.Args(c), " ")
						if c.Bool("document") {
							text += " document"
						}
						if c.Bool("typed") {
							text += " typed"
						}
						if c.Int("count") > 0 {
							text += " counted"
						}
						_, err := io.WriteString(env.Stdout, text+strings.Join(c.StringSlice("with"), "+"))
						return err
					}},
			}}
		}},
	}
	return w
}

func (w *world) command(env *roles.Env) *cli.Command {
	return &cli.Command{
		Description: "Notes what it is run with.", UsageText: "aspects-poc probe run",
		Subcommands: []*cli.Command{roles.RunCommand(env, roles.RunSpec{
			Usage: "note flags", Description: "Notes its flags.", Example: "aspects-poc probe run --once",
			Interval: time.Minute,
			Flags: []cli.Flag{
				&cli.Float64Flag{Name: "drop-rate", Value: 0.1, Usage: "a `RATE`"},
				&cli.StringSliceFlag{Name: "ranges", Value: cli.NewStringSlice("10.0.0.0/8"), Usage: "`CIDR` ranges"},
			},
			Action: func(ctx context.Context, c *cli.Context, s *roles.Settings) error {
				w.ran++
				w.settings, w.rate, w.ranges = *s, c.Float64("drop-rate"), c.StringSlice("ranges")
				if w.action != nil {
					return w.action(ctx, s)
				}
				return nil
			},
		})},
	}
}

func (w *world) run(args ...string) int {
	w.stdout.Reset()
	w.stderr.Reset()
	return roles.Run(context.Background(), w.env, args, w.list...)
}

func TestBothDoors(t *testing.T) {
	for _, args := range [][]string{
		{"aspects-poc-probe", "run", "--once"}, {"/x/aspects-poc", "probe", "run", "--once"},
	} {
		w := newWorld(t)
		if code := w.run(args...); code != 0 || w.ran != 1 || !w.settings.Once {
			t.Errorf("%v: exit code %d, ran %d times, once %v\n%s", args, code, w.ran, w.settings.Once, w.stderr.String())
		}
	}
}

func TestWrongUsage(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown argv[0]", []string{"aspects-poc-nosuch"},
			"error: unknown name \"aspects-poc-nosuch\"; the binary answers to aspects-poc, aspects-poc-probe, " +
				"aspects-poc-other\n"},
		{"unknown command", []string{"aspects-poc", "nosuch"},
			"error: unknown command \"nosuch\" of aspects-poc; known are probe, other, tool, hooks, version, completion\n" +
				"See 'aspects-poc --help'.\n"},
		{"unknown subcommand", []string{"aspects-poc", "probe", "walk"},
			"error: unknown command \"walk\" of aspects-poc probe; known are run\nSee 'aspects-poc probe --help'.\n"},
		{"unknown subcommand by argv[0]", []string{"aspects-poc-probe", "walk"},
			"error: unknown command \"walk\" of aspects-poc-probe; known are run, version, completion\n" +
				"See 'aspects-poc-probe --help'.\n"},
		{"unknown flag", []string{"aspects-poc-probe", "run", "--nosuch"},
			"error: unknown flag --nosuch\nSee 'aspects-poc-probe run --help'.\n"},
		{"bad value", []string{"aspects-poc-probe", "run", "--interval", "soon"},
			"error: invalid value \"soon\" for --interval: want a duration such as 30s or 1m\nSee 'aspects-poc-probe run --help'.\n"},
		{"no interval", []string{"aspects-poc-probe", "run", "--interval", "0s"},
			"error: invalid value \"0s\" for --interval: want 10ms or more, such as 30s or 1m\n" +
				"See 'aspects-poc-probe run --help'.\n"},
		{"a slip of the unit", []string{"aspects-poc-probe", "run", "--interval", "9999us"},
			"error: invalid value \"9.999ms\" for --interval: want 10ms or more, such as 30s or 1m\n" +
				"See 'aspects-poc-probe run --help'.\n"},
		{"bad log level", []string{"aspects-poc-probe", "run", "--log-level", "loud"},
			"error: invalid value \"loud\" for --log-level: want debug, info, warn or error\n" +
				"See 'aspects-poc-probe run --help'.\n"},
		{"empty address", []string{"aspects-poc-probe", "run", "--registry", ""},
			"error: invalid value \"\" for --registry: must not be empty\nSee 'aspects-poc-probe run --help'.\n"},
		{"argument of run", []string{"aspects-poc-probe", "run", "now"},
			"error: unexpected argument \"now\": run takes flags only\nSee 'aspects-poc-probe run --help'.\n"},
		{"flag behind an argument", []string{"aspects-poc", "tool", "show", "view", "--json"},
			"error: flag --json stands behind the argument \"view\": flags come first\n" +
				"See 'aspects-poc tool show --help'.\n"},
		{"unknown flag anywhere", []string{"aspects-poc", "tool", "anywhere", "view", "-dx"},
			"error: unknown flag -dx\nSee 'aspects-poc tool anywhere --help'.\n"},
		{"bad value anywhere", []string{"aspects-poc", "tool", "anywhere", "view", "--count=many"},
			"error: invalid value \"many\" for --count: want a whole number\nSee 'aspects-poc tool anywhere --help'.\n"},
		{"missing value anywhere", []string{"aspects-poc", "tool", "anywhere", "view", "--count"},
			"error: --count wants a value\nSee 'aspects-poc tool anywhere --help'.\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if code := w.run(test.args...); code != 2 || w.ran != 0 {
				t.Errorf("exit code %d, ran %d times", code, w.ran)
			}
			if diff := cmp.Diff(test.want, w.stderr.String()); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
			if w.stdout.Len() > 0 {
				t.Errorf("stdout: %s", w.stdout.String())
			}
		})
	}
}

func TestFlagsAnywhere(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"view", "key", "-d"}, "view key document"},
		{[]string{"-d", "view", "-t"}, "view document typed"},
		{[]string{"view", "-dt"}, "view document typed"},
		{[]string{"view", "--document=false", "--count", "3"}, "view counted"},
		{[]string{"view", "--with", "a=b", "key", "--with=c=d"}, "view keya=b+c=d"},
		{[]string{"view", "k=-1", "-"}, "view k=-1 -"},
		{[]string{"-d", "--", "view", "-t"}, "view -t document"},
	}
	for _, test := range tests {
		w := newWorld(t)
		if code := w.run(append([]string{"aspects-poc", "tool", "anywhere"}, test.args...)...); code != 0 {
			t.Errorf("%q: exit code %d: %s", test.args, code, w.stderr.String())
		}
		if got := w.stdout.String(); got != test.want {
			t.Errorf("%q: got %q, want %q", test.args, got, test.want)
		}
	}
}

func TestFlagsBehindDashesAreArguments(t *testing.T) {
	w := newWorld(t)
	if code := w.run("aspects-poc", "tool", "show", "--", "view", "--json"); code != 0 || w.stdout.String() != "view --json" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, w.stdout.String(), w.stderr.String())
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{
		{"aspects-poc", "--help"}, {"aspects-poc", "-h"}, {"aspects-poc", "probe", "--help"}, {"aspects-poc-probe", "-h"},
		{"aspects-poc-probe", "run", "--help"}, {"aspects-poc", "tool", "anywhere", "view", "--help"},
	} {
		w := newWorld(t)
		if code := w.run(args...); code != 0 || w.stderr.Len() > 0 || !strings.Contains(w.stdout.String(), "Usage:\n") {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, w.stdout.String(), w.stderr.String())
		}
	}
	// Without a command there is nothing to do; that is wrong usage, and help goes where errors go.
	w := newWorld(t)
	if code := w.run("aspects-poc"); code != 2 || w.stdout.Len() > 0 || !strings.Contains(w.stderr.String(), "Roles:\n") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, w.stdout.String(), w.stderr.String())
	}
}

// The word help asks for the help that --help prints, of the command that follows it.
func TestHelpWord(t *testing.T) {
	for word, flag := range map[string]string{
		"aspects-poc help":                     "aspects-poc --help",
		"aspects-poc help --help":              "aspects-poc --help",
		"aspects-poc help probe":               "aspects-poc probe --help",
		"aspects-poc probe help":               "aspects-poc probe --help",
		"aspects-poc help probe run":           "aspects-poc probe run --help",
		"aspects-poc probe help run":           "aspects-poc probe run --help",
		"aspects-poc-probe help run":           "aspects-poc-probe run --help",
		"renamed help tool anywhere":           "aspects-poc tool anywhere --help",
		"aspects-poc help completion":          "aspects-poc completion --help",
		"aspects-poc __complete -- help to":    "aspects-poc __complete -- to",
		"aspects-poc __complete -- help tool ": "aspects-poc __complete -- tool ",
	} {
		w := newWorld(t)
		if code := w.run(strings.Split(flag, " ")...); code != 0 {
			t.Fatalf("%s: exit code %d: %s", flag, code, w.stderr.String())
		}
		want := w.stdout.String()
		if code := w.run(strings.Split(word, " ")...); code != 0 || w.stdout.String() != want || want == "" || w.ran != 0 {
			t.Errorf("%s: exit code %d\n%s%s\nwant\n%s", word, code, w.stdout.String(), w.stderr.String(), want)
		}
	}
	for line, want := range map[string]string{
		"aspects-poc help nosuch":       "error: unknown command \"nosuch\" of aspects-poc; known are probe, ",
		"aspects-poc help probe nosuch": "error: unknown command \"nosuch\" of aspects-poc probe; known are run\n",
		"aspects-poc help probe run x":  "error: aspects-poc probe run has no command \"x\"\nSee 'aspects-poc probe run --help'.\n",
	} {
		w := newWorld(t)
		if code := w.run(strings.Fields(line)...); code != 2 || !strings.HasPrefix(w.stderr.String(), want) {
			t.Errorf("%s: exit code %d\n%s\nwant\n%s", line, code, w.stderr.String(), want)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{
		{"aspects-poc", "version"}, {"aspects-poc", "--version"}, {"aspects-poc-probe", "--version"},
		{"aspects-poc-probe", "version"},
	} {
		w := newWorld(t)
		if code := w.run(args...); code != 0 || !strings.HasPrefix(w.stdout.String(), "aspects-poc ") ||
			!strings.Contains(w.stdout.String(), ", go1.") {
			t.Errorf("%q: exit code %d, stdout %q", args, code, w.stdout.String())
		}
	}
}

func TestInterrupt(t *testing.T) {
	waiting := func(ctx context.Context, _ *roles.Settings) error {
		<-ctx.Done()
		return ctx.Err()
	}
	tests := []struct {
		name   string
		args   []string
		action func(context.Context, *roles.Settings) error
		want   int
		stderr string
	}{
		{"daemon", []string{"aspects-poc-probe", "run"}, waiting, 0, ""},
		{"daemon that returns nil", []string{"aspects-poc-probe", "run"},
			func(ctx context.Context, _ *roles.Settings) error { <-ctx.Done(); return nil }, 0, ""},
		{"daemon that fails to stop well", []string{"aspects-poc-probe", "run"},
			func(ctx context.Context, _ *roles.Settings) error { <-ctx.Done(); return errors.New("cannot save") }, 1,
			"error: cannot save\n"},
		{"once", []string{"aspects-poc-probe", "run", "--once"}, waiting, 1,
			"error: interrupted before the cycle was done: context canceled\n"},
		{"once, but finished", []string{"aspects-poc-probe", "run", "--once"},
			func(ctx context.Context, _ *roles.Settings) error { <-ctx.Done(); return nil }, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancel(context.Background())
			w.action = func(ctx context.Context, s *roles.Settings) error { cancel(); return test.action(ctx, s) }
			if code := roles.Run(ctx, w.env, test.args, w.list...); code != test.want {
				t.Errorf("exit code %d, want %d", code, test.want)
			}
			if diff := cmp.Diff(test.stderr, w.stderr.String()); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLog(t *testing.T) {
	tests := []struct {
		name        string
		args        []string
		journal     string
		want, avoid string
	}{
		{"text is short", nil, "", "zz… reason=zz", strings.Repeat("z", 1001)},
		{"JSON is short", []string{"--log-format", "json"}, "", "zz…", strings.Repeat("z", 1001)},
		{"text", nil, "", `level=INFO msg=hello role=probe view=v`, `level=DEBUG`},
		{"text has a time", nil, "", `time=`, `level=DEBUG`},
		{"journald has its own time", nil, "8:123", `level=INFO msg=hello role=probe view=v`, `time=`},
		{"json", []string{"--log-format", "json"}, "", `"msg":"hello","role":"probe","view":"v"}`, `level=`},
		{"debug", []string{"--log-level", "debug"}, "", `level=DEBUG msg=detail`, "level=ERROR"},
		{"error", []string{"--log-level", "error"}, "", "", "hello"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.vars["JOURNAL_STREAM"] = test.journal
			w.action = func(_ context.Context, s *roles.Settings) error {
				s.Log.Info("hello", "view", "v")
				s.Log.Debug("detail")
				long := strings.Repeat("z", 1_000_000)
				s.Log.Info(long, "error", errors.New(long), "reason", long)
				return nil
			}
			if code := w.run(append([]string{"aspects-poc-probe", "run"}, test.args...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, w.stderr.String())
			}
			if got := w.stderr.String(); !strings.Contains(got, test.want) || strings.Contains(got, test.avoid) {
				t.Errorf("got %q, want %q and not %q", got, test.want, test.avoid)
			}
		})
	}
}

func TestOpenKnowsTheFlags(t *testing.T) {
	w := newWorld(t)
	var address string
	var options registry.Options
	w.env.Open = func(_ context.Context, a string, o ...registry.Options) (*registry.Registry, error) {
		address, options = a, o[0]
		return nil, errors.New("enough")
	}
	w.action = func(ctx context.Context, s *roles.Settings) error { _, err := s.Open(ctx); return err }
	code := w.run("aspects-poc-probe", "run", "--registry", "file:x", "--account-id", "acc", "--schema", "sch")
	if code != 1 || w.stderr.String() != "error: enough\n" {
		t.Errorf("exit code %d, stderr %q", code, w.stderr.String())
	}
	if address != "file:x" || options.Account != "acc" || options.Schema != "sch" || options.Getenv == nil {
		t.Errorf("opened %q with %+v", address, options)
	}
}
