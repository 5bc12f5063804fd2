package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/testscript"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/kit/world/snapctl"
	"aspects-poc/internal/snapctlcmd"
)

// A command is a command of scripts that testscript does not have. do returns an error if the machine refuses; a command
// with "!" must be refused.
type command struct {
	name, usage string
	about       string
	do          func(m *machine, args []string, out *bytes.Buffer) error
}

// commandList returns the commands, in the order in which people need them.
func commandList() []command {
	return []command{
		{"schema", "FILE…", "add confdb-schemas", cmdSchema},
		{"install", "[--publisher=ACCOUNT] DIR [KEY]", "install a snap from its source; KEY makes it a parallel instance; " +
			"if ACCOUNT is that of the confdb-schema, the snap's plugs connect automatically, as for a snap from the store", cmdInstall},
		{"declare", "SNAP [VIEW|custodian=VIEW]…", "install a snap without files; for each view it has a connected plug with the view's name",
			cmdDeclare},
		{"remove", "SNAP…", "remove snaps", cmdRemove},
		{"connect", "SNAP[:PLUG]…", "connect a plug, or all confdb plugs of a snap", cmdConnect},
		{"disconnect", "SNAP[:PLUG]…", "disconnect a plug, or all confdb plugs of a snap", cmdDisconnect},
		{"system", "KEY=VALUE…", "set options of the system, such as experimental.confdb=false", cmdSystem},
		{"configure", "SNAP KEY=VALUE…", "set options of a snap; this runs its configure hook", cmdConfigure},
		{"store", "SCHEMA FILE", "replace the stored values, without hooks and checks", cmdStore},
		{"stored", "SCHEMA", "print the stored values", cmdStored},
		{"set", "VIEW KEY=VALUE|KEY!…", "write as the administrator, and wait for all hooks", cmdSet},
		{"unset", "VIEW KEY…", "unset as the administrator", cmdUnset},
		{"get", "VIEW [KEY…]", "read as the administrator; prints a JSON object", cmdGet},
		{"expect", "VIEW KEY=VALUE|KEY!…|JSON", "read as the administrator and compare; KEY! expects no data", cmdExpect},
		{"await", "VIEW KEY=VALUE|KEY!…", "like expect, but wait until the values match: for values that services write", cmdAwait},
		{"fail", "REGEXP COMMAND ARGUMENT…", "expect that a command of this list is refused, with a reason that matches", nil},
		{"snapctl-as", "SNAP ARGUMENT…", "run snapctl as an app of the snap does", cmdSnapctl},
		{"run", "SNAP HOOK|SNAP|SNAP.APP [ARGUMENT…]", "run a hook of a snap, such as check-health, or an app; SNAP alone is the app SNAP.SNAP", cmdRun},
		{"ran", "SNAP HOOK [N]", "expect that the hook ran (N times) since the start of the script or the last ran for it", cmdRan},
		{"tasks", "", "print kind, status and summary of the last change's tasks", cmdTasks},
	}
}

// Usage describes the commands, a line or two each.
func Usage() string {
	var text strings.Builder
	for _, c := range commandList() {
		fmt.Fprintf(&text, "%s\n    %s\n", strings.TrimSpace(c.name+" "+c.usage), c.about)
	}
	return text.String()
}

// errUsage means that a command has the wrong arguments.
var errUsage = errors.New("wrong arguments")

func (s *suite) commands() map[string]func(*testscript.TestScript, bool, []string) {
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for _, c := range commandList() {
		commands[c.name] = func(ts *testscript.TestScript, negated bool, args []string) { c.run(ts, negated, args) }
	}
	if s.options.atBreak != nil {
		commands[breakCommand] = func(ts *testscript.TestScript, _ bool, _ []string) { s.options.atBreak(ts) }
	}
	return commands
}

// run runs a command of a script. The script's commands stdout and stderr match the output and the reason of a refusal.
func (c command) run(ts *testscript.TestScript, negated bool, args []string) {
	if c.name == "fail" {
		if negated || len(args) < 2 {
			ts.Fatalf("usage: fail REGEXP COMMAND ARGUMENT…")
		}
		mustFail(ts, args[0], args[1], args[2:])
		return
	}
	var out bytes.Buffer
	err := c.do(machineOf(ts), args, &out)
	logPrinted(ts)
	if errors.Is(err, errUsage) {
		ts.Fatalf("usage: %s %s", c.name, c.usage)
	}
	_, _ = ts.Stdout().Write(out.Bytes()) // into memory
	if err != nil && negated {
		fmt.Fprintln(ts.Stderr(), err)
	}
	switch {
	case err != nil && !negated:
		ts.Fatalf("%v", err)
	case err == nil && negated:
		ts.Fatalf("unexpected success")
	}
}

// logPrinted adds the output of hooks to the script's log. The log is shown if the script fails or Options.Verbose is set.
func logPrinted(ts *testscript.TestScript) {
	for _, line := range machineOf(ts).takePrinted() {
		ts.Logf("%s", line)
	}
}

func mustFail(ts *testscript.TestScript, pattern, name string, args []string) {
	expected, err := regexp.Compile(pattern)
	ts.Check(err)
	i := slices.IndexFunc(commandList(), func(c command) bool { return c.name == name && c.do != nil })
	if i < 0 {
		ts.Fatalf("unknown command %q", name)
	}
	var out bytes.Buffer
	err = commandList()[i].do(machineOf(ts), args, &out)
	logPrinted(ts)
	switch {
	case errors.Is(err, errUsage):
		ts.Fatalf("usage: %s %s", name, commandList()[i].usage)
	case err == nil:
		ts.Fatalf("%s was not refused\n- refused: %s\n+ not refused", name, pattern)
	case !expected.MatchString(err.Error()):
		ts.Fatalf("%s was refused for another reason\n- %s\n+ %v", name, pattern, err)
	}
	fmt.Fprintln(ts.Stderr(), err)
}

func cmdSchema(m *machine, args []string, _ *bytes.Buffer) error {
	if len(args) == 0 {
		return errUsage
	}
	for _, path := range args {
		schemas, err := m.suite.options.ReadSchema(m.find(path))
		if err != nil {
			return err
		}
		for _, schema := range schemas {
			m.suite.coverage.addSchema(schema)
			if err := m.Facts.SetSchema(schema); err != nil {
				return err
			}
		}
	}
	return nil
}

func cmdInstall(m *machine, args []string, _ *bytes.Buffer) error {
	publisher, found := "", false
	if len(args) > 0 {
		if publisher, found = strings.CutPrefix(args[0], "--publisher="); found {
			args = args[1:]
		}
	}
	if len(args) < 1 || len(args) > 2 {
		return errUsage
	}
	snap, err := m.load(args[0], strings.Join(args[1:], ""))
	if err != nil {
		return err
	}
	if found {
		snap.Publisher = publisher
	}
	return m.install(snap)
}

func cmdDeclare(m *machine, args []string, _ *bytes.Buffer) error {
	if len(args) == 0 {
		return errUsage
	}
	snap := facts.Snap{Name: args[0], Plugs: map[string]facts.Plug{}}
	for _, arg := range args[1:] {
		role := ""
		name, custodian := strings.CutPrefix(arg, "custodian=")
		if custodian {
			role = facts.Custodian
		}
		id, err := m.view(name)
		if err != nil {
			return err
		}
		snap.Plugs[id.View] = facts.Plug{Interface: "confdb", Account: id.Account, View: id.Schema + "/" + id.View, Role: role}
	}
	if err := m.Facts.Install(snap); err != nil {
		return err
	}
	return m.connectAll(args[0])
}

func cmdRemove(m *machine, args []string, _ *bytes.Buffer) error {
	return each(args, func(name string) error { return m.Changes.Complete(m.ctx)(m.Changes.Remove(false, name)) })
}

func each(args []string, act func(string) error) error {
	if len(args) == 0 {
		return errUsage
	}
	for _, arg := range args {
		if err := act(arg); err != nil {
			return err
		}
	}
	return nil
}

func cmdConnect(m *machine, args []string, _ *bytes.Buffer) error {
	return each(args, func(name string) error {
		snap, plug, one := strings.Cut(name, ":")
		if one {
			return m.Changes.Complete(m.ctx)(m.Changes.Connect(snap, plug))
		}
		return m.connectAll(snap)
	})
}

func cmdDisconnect(m *machine, args []string, _ *bytes.Buffer) error {
	return each(args, func(name string) error {
		snap, plug, one := strings.Cut(name, ":")
		if one {
			return m.Changes.Complete(m.ctx)(m.Changes.Disconnect(snap, plug, ""))
		}
		for _, c := range m.Facts.Now().Connections() {
			if c.Snap == snap && c.Plugged.Interface == "confdb" {
				if err := m.Changes.Complete(m.ctx)(m.Changes.Disconnect(snap, c.Plug, "")); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// pairs parses KEY=VALUE and KEY!, as `snap set` does.
func pairs(args []string) (map[string]any, error) {
	return (&snapctlcmd.Command{}).Pairs(args)
}

func cmdSystem(m *machine, args []string, _ *bytes.Buffer) error {
	values, err := pairs(args)
	if err != nil {
		return err
	}
	return m.Facts.SetSystem(values)
}

func cmdConfigure(m *machine, args []string, _ *bytes.Buffer) error {
	if len(args) < 2 {
		return errUsage
	}
	values, err := pairs(args[1:])
	if err != nil {
		return err
	}
	return m.Changes.Complete(m.ctx)(m.Changes.Configure(args[0], values))
}

// schemaID returns account and name of a confdb-schema, given as NAME or ACCOUNT/NAME.
func (m *machine) schemaID(text string) (account, name string, err error) {
	if account, name, found := strings.Cut(text, "/"); found {
		return account, name, nil
	}
	for _, schema := range m.Facts.Now().Schemas() {
		if schema.Parsed.Name == text {
			return schema.Parsed.Account, text, nil
		}
	}
	return "", "", fmt.Errorf("no known confdb-schema is named %q", text)
}

func cmdStore(m *machine, args []string, _ *bytes.Buffer) error {
	if len(args) != 2 {
		return errUsage
	}
	account, name, err := m.schemaID(args[0])
	if err != nil {
		return err
	}
	text, err := os.ReadFile(m.find(args[1]))
	if err != nil {
		return err
	}
	return m.Facts.SetStored(account, name, text)
}

func cmdStored(m *machine, args []string, out *bytes.Buffer) error {
	if len(args) != 1 {
		return errUsage
	}
	account, name, err := m.schemaID(args[0])
	if err != nil {
		return err
	}
	fmt.Fprintln(out, m.Facts.Now().Stored(account, name))
	return nil
}

func cmdSet(m *machine, args []string, _ *bytes.Buffer) error {
	if len(args) < 2 {
		return errUsage
	}
	id, err := m.view(args[0])
	if err != nil {
		return err
	}
	values, err := pairs(args[1:])
	if err != nil {
		return err
	}
	return m.set(id, values)
}

func cmdUnset(m *machine, args []string, _ *bytes.Buffer) error {
	if len(args) < 2 {
		return errUsage
	}
	id, err := m.view(args[0])
	if err != nil {
		return err
	}
	values := map[string]any{}
	for _, key := range args[1:] {
		values[key] = nil
	}
	return m.set(id, values)
}

func cmdGet(m *machine, args []string, out *bytes.Buffer) error {
	if len(args) == 0 {
		return errUsage
	}
	id, err := m.view(args[0])
	if err != nil {
		return err
	}
	values, err := m.get(id, args[1:])
	if err != nil {
		return err
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", text)
	return nil
}

func cmdExpect(m *machine, args []string, _ *bytes.Buffer) error {
	if len(args) < 2 {
		return errUsage
	}
	id, err := m.view(args[0])
	if err != nil {
		return err
	}
	var keys []string
	var want map[string]any
	if len(args) == 2 && strings.HasPrefix(args[1], "{") {
		if err := jsonvalue.Decode([]byte(args[1]), &want); err != nil {
			return fmt.Errorf("%s is not a JSON object: %w", args[1], err)
		}
	} else if want, err = pairs(args[1:]); err != nil {
		return err
	}
	if len(args) > 2 || !strings.HasPrefix(args[1], "{") {
		keys = slices.Sorted(maps.Keys(want))
	}
	maps.DeleteFunc(want, func(_ string, value any) bool { return value == nil && keys != nil })
	got, err := m.get(id, keys)
	if nothing := (*errNoData)(nil); errors.As(err, &nothing) {
		got, err = map[string]any{}, nil
	}
	if err != nil {
		return err
	}
	if !jsonvalue.Equal(want, got) {
		return fmt.Errorf("%s has other values than expected:\n%s", args[0], compare(want, got))
	}
	return nil
}

// compare returns the differences between two documents, line by line.
func compare(want, got map[string]any) string {
	lines := func(document map[string]any) []byte {
		text, err := json.MarshalIndent(document, "", "  ")
		if err != nil {
			text = []byte(err.Error())
		}
		return append(text, '\n')
	}
	_, body, _ := strings.Cut(string(diff.Diff("expected", lines(want), "found", lines(got))), "\n")
	return body
}

// patience is how long await waits. It is so long that only a script that fails reaches it.
const patience = 30 * time.Second

func cmdAwait(m *machine, args []string, out *bytes.Buffer) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	// A service may change what a load-view hook supplies, and the machine has no event for that.
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		m.mu.Lock()
		moved := m.moved
		m.mu.Unlock()
		err := cmdExpect(m, args, out)
		if err == nil || errors.Is(err, errUsage) {
			return err
		}
		select {
		case <-moved:
		case <-again.C:
		case <-limit.C:
			return fmt.Errorf("after %v: %w", patience, err)
		}
	}
}

func cmdSnapctl(m *machine, args []string, out *bytes.Buffer) error {
	if len(args) < 2 {
		return errUsage
	}
	cookie, err := m.Facts.Now().Cookie(args[0])
	if err != nil {
		return err
	}
	output, err := m.Snapctl.Run(m.ctx, snapctl.Call{Cookie: cookie, Args: args[1:]})
	out.WriteString(output.Stdout)
	return err
}

func cmdRun(m *machine, args []string, out *bytes.Buffer) error {
	if len(args) == 1 || len(args) > 0 && strings.Contains(args[0], ".") {
		return m.runApp(args[0], args[1:], out)
	}
	if len(args) != 2 {
		return errUsage
	}
	return m.Changes.Complete(m.ctx)(m.Changes.Run(args[0], args[1]))
}

func cmdRan(m *machine, args []string, _ *bytes.Buffer) error {
	if len(args) < 2 || len(args) > 3 {
		return errUsage
	}
	id := args[0] + " " + args[1]
	m.mu.Lock()
	count := m.ran[id]
	delete(m.ran, id)
	m.mu.Unlock()
	if len(args) == 2 {
		if count == 0 {
			return fmt.Errorf("hook %s of snap %s did not run", args[1], args[0])
		}
		return nil
	}
	want, err := strconv.Atoi(args[2])
	if err != nil {
		return errUsage
	}
	if count != want {
		return fmt.Errorf("hook %s of snap %s ran %d times, expected %d", args[1], args[0], count, want)
	}
	return nil
}

func cmdTasks(m *machine, args []string, out *bytes.Buffer) error {
	if len(args) != 0 {
		return errUsage
	}
	changes := m.Changes.Changes()
	if len(changes) == 0 {
		return errors.New("there is no change yet")
	}
	for _, task := range changes[len(changes)-1].Tasks {
		fmt.Fprintf(out, "%s %s %s\n", task.Kind, task.Status, task.Summary)
	}
	return nil
}
