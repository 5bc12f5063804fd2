//go:build e2e

package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/kit/assertion"
	"aspects-poc/internal/kit/world/transcript"
	"aspects-poc/roles/network"
)

// hooks runs the transcripts of internal/kit/world on a real snapd: which hooks run, in which order, the answers of
// snapctl, the result of the change, and the stored values. It compares the results with the transcripts, which the
// imitation replays. It writes the results to build/e2e/hooks.json, and with E2E_UPDATE=1 to
// internal/kit/world/testdata/transcripts/recorded.json.
func (r *run) hooks(context.Context) {
	folder := filepath.Join(r.root, "internal", "kit", "world", "testdata", "transcripts")
	list, err := transcript.Load(filepath.Join(folder, "facts.json"))
	if err != nil {
		r.Fatal(err)
	}
	var probe, version string
	if !r.check("hooks: the schema and the probe", func(ctx context.Context) error {
		text, err := assertion.UnsignedText(network.Document(""))
		if err != nil {
			return err
		}
		if err := r.schema(ctx, network.Name, text); err != nil {
			return err
		}
		if probe, err = r.build(ctx, "e2e/probe", false); err != nil {
			return err
		}
		version, err = r.sh(ctx, "snap version | awk '$1 == \"snapd\" { print $2 }'")
		return err
	}) {
		return
	}
	var seen []transcript.Transcript
	for _, recorded := range list {
		r.check("hooks: "+recorded.Name, func(ctx context.Context) error {
			got, err := r.transcribe(ctx, recorded, probe)
			if err != nil {
				return err
			}
			got.Origin = "snapd " + strings.TrimSpace(version) + ", recorded by e2e"
			seen = append(seen, got)
			if diff := transcript.Diff(recorded, got); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
	}
	to := filepath.Join(r.logs, "hooks.json")
	if os.Getenv("E2E_UPDATE") == "1" {
		to = filepath.Join(folder, "recorded.json")
		if seen, err = merged(to, list, seen); err != nil {
			r.Fatal(err)
		}
	}
	if err := transcript.Save(to, seen); err != nil {
		r.Error(err)
	}
}

// merged adds the results to the earlier ones, in the order of the list, because a run may be partial (E2E_CHECKS).
func merged(file string, list, seen []transcript.Transcript) ([]transcript.Transcript, error) {
	before, err := transcript.Load(file)
	if err != nil {
		return nil, err
	}
	var all []transcript.Transcript
	for _, t := range list {
		for _, source := range [][]transcript.Transcript{seen, before} {
			if i := slices.IndexFunc(source, func(other transcript.Transcript) bool { return other.Name == t.Name }); i >= 0 {
				all = append(all, source[i])
				break
			}
		}
	}
	return all, nil
}

// allViews are the views of our confdb-schema. The writable ones have all of their keys.
var (
	allViews = []string{
		network.ControlDeviceView, network.ObserveDeviceView, network.ControlInterfacesView, network.ObserveInterfacesView,
		network.ControlTunnelView, network.ObserveTunnelView, network.ControlTelemetryView,
	}
	allKeys = map[string]string{
		network.ControlTelemetryView:  "sample-rate monitor-packets-sent monitor-packets-received monitor-peers",
		network.ControlInterfacesView: "config stats",
		network.ControlTunnelView:     "interface secret-key peers",
		network.ControlDeviceView:     "id registered server-url",
	}
)

// transcribe prepares the machine for a transcript, runs its steps, and removes everything again.
func (r *run) transcribe(ctx context.Context, t transcript.Transcript, probe string) (seen transcript.Transcript, err error) {
	seen = t
	seen.Steps = nil
	defer func() { err = errors.Join(err, r.clear(ctx, t)) }()
	for _, snap := range t.Given.Snaps {
		if err := r.installProbe(ctx, snap, t.Steps, probe); err != nil {
			return seen, err
		}
	}
	for _, command := range t.Given.Before {
		if _, err := r.sh(ctx, rootCommand(command)); err != nil {
			return seen, err
		}
	}
	for _, snap := range t.Given.Snaps {
		for _, plug := range snap.Disconnected {
			if _, err := r.sh(ctx, "snap disconnect "+snap.Name+":"+plug); err != nil {
				return seen, err
			}
		}
		for hook, script := range snap.Hooks {
			if err := r.hookScript(ctx, snap.Name, hook, script); err != nil {
				return seen, err
			}
		}
	}
	for _, step := range t.Steps {
		got, err := r.step(ctx, t, step)
		if err != nil {
			return seen, err
		}
		seen.Steps = append(seen.Steps, got)
	}
	return seen, nil
}

// installProbe packs and installs one of the snaps, and connects its plugs. Its hooks do nothing at first.
func (r *run) installProbe(ctx context.Context, snap transcript.Snap, steps []transcript.Step, probe string) error {
	yaml := "apps:\n  probe: {command: bin/probe}\nplugs:\n"
	add := func(views []string, role string) {
		for _, view := range transcript.Views(views, allViews) {
			yaml += fmt.Sprintf("  %s: {interface: confdb, account: %s, view: %s/%s%s}\n", cmp.Or(snap.Plugs[view], view),
				network.AccountID, network.Name, view, role)
		}
	}
	add(snap.Custodian, ", role: custodian")
	add(snap.Uses, "")
	for i, hook := range snap.Missing {
		if i == 0 {
			yaml += "hooks:\n"
		}
		yaml += "  " + hook + ": {}\n"
	}
	tree := snapTree{name: snap.Name, yaml: yaml, files: map[string]string{"bin/probe": probe}}
	for hook := range snap.Hooks {
		tree.hooks = append(tree.hooks, hook)
	}
	for _, step := range steps {
		if name, hook, found := strings.Cut(step.By, "/"); found && name == snap.Name && !slices.Contains(tree.hooks, hook) {
			tree.hooks = append(tree.hooks, hook)
		}
	}
	dir := filepath.Join(r.scratch, snap.Name+strconv.Itoa(len(tree.hooks)+len(snap.Missing)))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	file, err := tree.pack(ctx, dir, r.arch())
	if err != nil {
		return err
	}
	if err := r.push(ctx, "/root/", file); err != nil {
		return err
	}
	if _, err := r.sh(ctx, "snap install --dangerous /root/"+filepath.Base(file)); err != nil {
		return err
	}
	return r.connect(ctx, snap.Name)
}

// hookScript sets the script of a hook.
func (r *run) hookScript(ctx context.Context, snap, hook string, script transcript.Script) error {
	var text strings.Builder
	for _, call := range script.Calls {
		fmt.Fprintf(&text, "-%s\n", strings.Join(call, "\t"))
	}
	if script.Print != "" {
		fmt.Fprintf(&text, "=print\t%s\n", strings.ReplaceAll(script.Print, "\n", `\n`))
	}
	if script.Exit != 0 {
		fmt.Fprintf(&text, "=exit\t%d\n", script.Exit)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(text.String()))
	_, err := r.sh(ctx, fmt.Sprintf("echo %s | base64 -d >/var/snap/%s/common/%s", encoded, snap, hook))
	return err
}

// rootCommand returns a step of the administrator as a snap command.
func rootCommand(args []string) string {
	words := []string{"snap", args[0], view(args[1])}
	for _, arg := range args[2:] {
		words = append(words, shellQuote(arg))
	}
	return strings.Join(words, " ")
}

func shellQuote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// step runs a step and returns its result.
func (r *run) step(ctx context.Context, t transcript.Transcript, step transcript.Step) (transcript.Step, error) {
	seen := transcript.Step{By: step.By, Args: step.Args, Scripts: step.Scripts}
	for id, script := range step.Scripts {
		snap, hook, _ := strings.Cut(id, " ")
		if err := r.hookScript(ctx, snap, hook, script); err != nil {
			return seen, err
		}
	}
	var logs []string
	for _, snap := range t.Given.Snaps {
		logs = append(logs, "/var/snap/"+snap.Name+"/common/calls.jsonl")
	}
	before, err := r.lastChange(ctx)
	if err != nil {
		return seen, err
	}
	var command string
	snap, hook, inHook := strings.Cut(step.By, "/")
	switch {
	case step.By == "root":
		command = rootCommand(step.Args)
	case inHook:
		if len(step.Args) > 0 {
			if err := r.hookScript(ctx, snap, hook, transcript.Script{Calls: [][]string{step.Args}}); err != nil {
				return seen, err
			}
		}
		if command, err = hookTrigger(snap, hook); err != nil {
			return seen, err
		}
	default:
		var words []string
		for _, arg := range step.Args {
			words = append(words, shellQuote(arg))
		}
		command = "snap run " + snap + ".probe " + strings.Join(words, " ")
	}
	text, err := r.sh(ctx, "rm -f "+strings.Join(logs, " ")+"; { "+command+"; } >/run/stdout 2>/run/stderr </dev/null; echo $?; "+
		"base64 -w0 /run/stdout; echo; base64 -w0 /run/stderr; echo; cat "+strings.Join(logs, " ")+" 2>/dev/null; true")
	if err != nil {
		return seen, err
	}
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return seen, fmt.Errorf("%s: it came to %q", command, text)
	}
	stdout, err := base64.StdEncoding.DecodeString(lines[1])
	if err != nil {
		return seen, err
	}
	stderr, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return seen, err
	}
	failed := lines[0] != "0"
	if !inHook && step.By != "root" && !failed {
		seen.Stdout = new(string(stdout))
	}
	if err := hookCalls(&seen, lines[3]); err != nil {
		return seen, err
	}
	changed, err := r.changeSince(ctx, before, &seen)
	if err != nil {
		return seen, err
	}
	if failed && (!changed || step.By != "root" && !inHook) {
		// snap wraps the text at 80 columns, without indentation.
		seen.Error = new(strings.TrimPrefix(strings.Join(strings.Fields(string(stderr)), " "), "error: "))
	}
	stored, err := r.sh(ctx, fmt.Sprintf(`jq -c '.data["confdb-databags"]["%s"]["%s"] // {} | if type == "string" then fromjson else . end' `+
		"/var/lib/snapd/state.json", network.AccountID, network.Name))
	if err != nil {
		return seen, err
	}
	seen.Stored = json.RawMessage(strings.TrimSpace(stored))
	return seen, nil
}

// hookTrigger returns the command that makes snapd run a hook of the snap itself.
func hookTrigger(snap, hook string) (string, error) {
	if plug, found := strings.CutPrefix(hook, "connect-plug-"); found {
		return "snap disconnect " + snap + ":" + plug + " && snap connect " + snap + ":" + plug, nil
	}
	if hook == "configure" {
		return "snap set " + snap + " probed=$RANDOM", nil
	}
	return "", fmt.Errorf("nothing here makes snapd run the hook %s", hook)
}

// hookCalls reads the calls that the probes have recorded.
func hookCalls(seen *transcript.Step, text string) error {
	type line struct {
		At     int64
		Hook   string
		Args   []string
		Stdout string
		Error  string
	}
	var list []line
	decoder := json.NewDecoder(strings.NewReader(text))
	for decoder.More() {
		var l line
		if err := decoder.Decode(&l); err != nil {
			return fmt.Errorf("what the probes recorded cannot be read: %w", err)
		}
		list = append(list, l)
	}
	slices.SortStableFunc(list, func(a, b line) int { return cmp.Compare(a.At, b.At) })
	for _, l := range list {
		if l.Args == nil {
			seen.Hooks = append(seen.Hooks, l.Hook)
			continue
		}
		seen.Calls = append(seen.Calls, transcript.Call{Hook: l.Hook, Args: l.Args, Stdout: l.Stdout, Error: l.Error})
	}
	if seen.Hooks == nil {
		seen.Hooks = []string{"-"}
	}
	return nil
}

const snapdAPI = "curl -sS --unix-socket /run/snapd.socket http://localhost/v2/"

func (r *run) lastChange(ctx context.Context) (int, error) {
	text, err := r.sh(ctx, snapdAPI+"changes?select=all | jq '[.result[]?.id | tonumber] | max // 0'")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(text))
}

// changeSince returns the result of the last change after another one; false if there is none.
func (r *run) changeSince(ctx context.Context, before int, seen *transcript.Step) (bool, error) {
	last, err := r.lastChange(ctx)
	if err != nil || last <= before {
		return false, err
	}
	text, err := r.sh(ctx, snapdAPI+"changes/"+strconv.Itoa(last))
	if err != nil {
		return false, err
	}
	var answer struct {
		Result struct {
			Status, Err string
			Data        json.RawMessage
			Tasks       []struct {
				Kind, Status string
				Log          []string
			}
		}
	}
	if err := json.NewDecoder(bytes.NewBufferString(text)).Decode(&answer); err != nil {
		return false, fmt.Errorf("change %d cannot be read: %w", last, err)
	}
	seen.Status, seen.Err, seen.Data = answer.Result.Status, answer.Result.Err, answer.Result.Data
	for _, task := range answer.Result.Tasks {
		seen.Tasks = append(seen.Tasks, task.Kind+"="+task.Status)
		for _, line := range task.Log {
			_, text, _ := strings.Cut(line, " ")
			seen.Log = append(seen.Log, text)
		}
	}
	return true, nil
}

// clear removes all values and snaps of a transcript. The values come first, because they outlive their custodian.
func (r *run) clear(ctx context.Context, t transcript.Transcript) error {
	var commands []string
	for _, snap := range t.Given.Snaps {
		commands = append(commands, "rm -f /var/snap/"+snap.Name+"/common/*")
		for _, plug := range snap.Disconnected {
			commands = append(commands, "snap connect "+snap.Name+":"+plug)
		}
	}
	unset := map[string]bool{}
	for _, snap := range t.Given.Snaps {
		for _, name := range transcript.Views(snap.Custodian, allViews) {
			if keys := allKeys[name]; keys != "" && !unset[name] {
				commands = append(commands, "snap unset "+view(name)+" "+keys)
				unset[name] = true
			}
		}
	}
	for _, snap := range t.Given.Snaps {
		commands = append(commands, "snap remove --purge "+snap.Name, "rm -f /root/"+snap.Name+".snap")
	}
	_, err := r.sh(ctx, strings.Join(commands, "; "))
	return err
}
