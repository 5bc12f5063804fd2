//go:build e2e

package e2e_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-cmp/cmp"

	"aspects-poc/internal/console"
	"aspects-poc/internal/kit/assertion"
	"aspects-poc/roles/network"
)

// transcripts types the commands of the transcripts of internal/kit/rest at a real snapd, and compares the output with
// the transcripts. That package plays them on our imitation. The records are in build/e2e/transcripts; with
// E2E_UPDATE=1 they replace the transcripts in the repository.
//
// It installs a custodian of all views and an observer of one. Their hooks do what a transcript prepares.
func (r *run) transcripts(context.Context) {
	folder := filepath.Join(r.root, "internal", "kit", "rest", "testdata", "transcripts")
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		r.Fatalf("no transcripts in %s: %v", folder, err)
	}
	if !r.check("transcripts: install a custodian and an observer", func(ctx context.Context) error {
		return r.transcriptSnaps(ctx, folder)
	}) {
		return
	}
	for _, file := range files {
		r.check("transcript "+strings.TrimSuffix(filepath.Base(file), ".txt"), func(ctx context.Context) error {
			return r.transcript(ctx, file)
		})
	}
	r.check("transcripts: the snaps leave", func(ctx context.Context) error {
		_, err := r.sh(ctx, "snap remove --purge cust; snap remove --purge obs; rm -rf /run/files /root/cust.snap /root/obs.snap")
		return err
	})
}

// transcriptSnaps installs the snaps and writes the files that the commands expect.
func (r *run) transcriptSnaps(ctx context.Context, folder string) error {
	text, err := assertion.UnsignedText(network.Document(""))
	if err != nil {
		return err
	}
	if err := r.schema(ctx, network.Name, text); err != nil {
		return err
	}
	probe, err := r.build(ctx, "e2e/probe", false)
	if err != nil {
		return err
	}
	plugs := map[string]string{}
	for _, view := range []string{
		network.ControlDeviceView, network.ObserveDeviceView, network.ControlInterfacesView, network.ObserveInterfacesView,
		network.ControlTunnelView, network.ObserveTunnelView, network.ControlTelemetryView,
	} {
		plugs[view] = network.Name + "/" + view
	}
	for _, tree := range []snapTree{
		{name: "cust", yaml: "plugs:\n  network:\n" + custodianPlugs(plugs), hooks: []string{"change-view-" + network.ControlTelemetryView}},
		{name: "obs", yaml: fmt.Sprintf("plugs:\n  %[1]s: {interface: confdb, account: %[2]s, view: %[3]s/%[1]s}\n",
			network.ControlTelemetryView, network.AccountID, network.Name), hooks: []string{"observe-view-" + network.ControlTelemetryView}},
	} {
		tree.files = map[string]string{"bin/probe": probe}
		snap, err := tree.pack(ctx, r.scratch, r.arch())
		if err != nil {
			return err
		}
		if err := r.push(ctx, "/root/", snap); err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap install --dangerous /root/"+filepath.Base(snap)); err != nil {
			return err
		}
		if err := r.connect(ctx, tree.name); err != nil {
			return err
		}
	}
	texts, err := filepath.Glob(filepath.Join(folder, "files", "*"))
	if err != nil {
		return err
	}
	if _, err := r.sh(ctx, "mkdir -p /run/files"); err != nil {
		return err
	}
	return r.push(ctx, "/run/files/", texts...)
}

// transcript types the commands of one file, and compares or records the output.
func (r *run) transcript(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	t, err := console.Parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	recorded := t.Snapd != ""
	if err := r.blank(ctx); err != nil {
		return err
	}
	version, err := r.sh(ctx, "snap version | awk '$1 == \"snapd\" { print $2 }'")
	if err != nil {
		return err
	}
	last, err := r.sh(ctx, "snap changes | awk '$1 ~ /^[0-9]+$/ { id = $1 } END { print id }'")
	if err != nil {
		return err
	}
	var first int
	if _, err := fmt.Sscanf(last, "%d", &first); err != nil {
		return fmt.Errorf("the last change is %q: %w", last, err)
	}
	first++
	var problems []error
	for i, step := range t.Steps {
		if step.Prepare != "" {
			if err := r.prepareHook(ctx, step.Prepare); err != nil {
				return err
			}
			continue
		}
		got, err := r.outcome(ctx, strings.ReplaceAll(step.Command, "ACC", network.AccountID))
		if err != nil {
			return err
		}
		got = got.Placeholders(network.AccountID).Since(first)
		if diff := cmp.Diff(step.Relative(step.Outcome, t.NextChange), step.Relative(got, first)); recorded && diff != "" {
			problems = append(problems, fmt.Errorf("line %d: %s (-checked in +snapd):\n%s", step.Line, step.Command, diff))
		}
		t.Steps[i].Outcome = got
	}
	t.Snapd, t.NextChange = strings.TrimSpace(version), first
	to := filepath.Join(r.logs, "transcripts", filepath.Base(file))
	if os.Getenv("E2E_UPDATE") == "1" {
		to, problems = file, nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, []byte(t.String()), 0o644); err != nil {
		return err
	}
	if !recorded && os.Getenv("E2E_UPDATE") != "1" {
		problems = append(problems, fmt.Errorf("it is not recorded yet: look at %s, and run this with E2E_UPDATE=1", to))
	}
	return errors.Join(problems...)
}

// blank removes all values, and the scripts of hooks.
func (r *run) blank(ctx context.Context) error {
	commands := []string{"rm -f /var/snap/cust/common/*-view-* /var/snap/obs/common/*-view-*"}
	for name, keys := range map[string]string{
		network.ControlTelemetryView:  "sample-rate monitor-packets-sent monitor-packets-received monitor-peers",
		network.ControlInterfacesView: "config stats",
		network.ControlTunnelView:     "interface secret-key peers",
		network.ControlDeviceView:     "id registered server-url",
	} {
		commands = append(commands, "snap unset "+view(name)+" "+keys)
	}
	_, err := r.sh(ctx, strings.Join(commands, " && "))
	return err
}

// prepareHook handles "hook NAME [COMMAND]". The command's words are separated by bars.
func (r *run) prepareHook(ctx context.Context, prepare string) error {
	name, script, _ := strings.Cut(strings.TrimPrefix(prepare, "hook "), " ")
	snap := "cust"
	if strings.HasPrefix(name, "observe-") {
		snap = "obs"
	}
	file := "/var/snap/" + snap + "/common/" + name
	if script == "" {
		_, err := r.sh(ctx, "rm -f "+file)
		return err
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(script, "|", "\t") + "\n"))
	_, err := r.sh(ctx, "echo "+encoded+" | base64 -d >"+file)
	return err
}

// outcome runs a command and returns its outputs separately.
func (r *run) outcome(ctx context.Context, command string) (console.Outcome, error) {
	var o console.Outcome
	text, err := r.sh(ctx, "{ "+command+"; } >/run/stdout 2>/run/stderr </dev/null; echo $?; base64 -w0 /run/stdout; echo; base64 -w0 /run/stderr; echo")
	if err != nil {
		return o, fmt.Errorf("%s: %w", command, err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 3 {
		return o, fmt.Errorf("%s: it came to %q", command, text)
	}
	if _, err := fmt.Sscanf(lines[0], "%d", &o.Code); err != nil {
		return o, fmt.Errorf("%s: exit code %q: %w", command, lines[0], err)
	}
	stdout, err := base64.StdEncoding.DecodeString(lines[1])
	if err != nil {
		return o, fmt.Errorf("%s: %w", command, err)
	}
	stderr, err := base64.StdEncoding.DecodeString(lines[2])
	o.Stdout, o.Stderr = string(stdout), string(stderr)
	return o, err
}
