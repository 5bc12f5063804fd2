package docs

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aspects-poc/internal/need"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// A trial is how a test runs an example of the program's help.
type trial struct {
	text  string   // the example, as it stands in CLI.md
	first string   // what is typed before
	as    []string // what the example names in one way and the test in another, in pairs
	until string   // what it says before it is interrupted; "" where it ends by itself
	want  string   // what it prints, in part
	skip  string   // why no test can run it
}

const (
	ownServer  = "export ASPECTS_STATE=$PWD/own.db"
	firstToken = "~/.local/state/aspects-poc/server.db.token"
	inNetwork  = "cd network"
	signs      = " | snap sign -k default > network.confdb-schema.assert"
	signsBuilt = " | snap sign -k default > network.assert"
)

// anID is the beginning of an ID in the help, and one of a device that there is.
var anID = []string{"3f2a", "$(aspects-poc fleet devices --limit 1 --no-headers | cut -d' ' -f1)"}

// trials has all examples, in the order in which they are run: some need what an earlier one has left.
var trials = []trial{
	{text: "aspects-poc control run --once", want: "eth0: "},
	{text: "aspects-poc registry get control-telemetry -d", want: `"sample-rate": 2`},
	{text: "aspects-poc server run --listen 127.0.0.1:8000", first: ownServer, as: []string{"127.0.0.1:8000", "127.0.0.1:0"}, until: "Listening on"},
	{text: "aspects-poc server run --once --listen 127.0.0.1:0", first: ownServer, want: "The server answers"},
	{text: "aspects-poc server secret rotate", first: ownServer, want: "All secrets are sealed with the key"},
	{text: "aspects-poc server secret set vpn < vpn.key", first: ownServer + "\necho hunter2 > vpn.key", want: "The secret vpn has revision"},
	{text: "aspects-poc server secret set vpn --file vpn.key", first: ownServer, want: "The secret vpn has revision"},
	{text: "aspects-poc server secret list", first: ownServer, want: "vpn"},
	{text: "aspects-poc server secret delete vpn", first: ownServer, want: "is deleted"},
	{text: "aspects-poc server token create anna", want: "aspects-operate-"},
	{text: "aspects-poc server token list", want: "anna"},
	{text: "aspects-poc server token create wall-screen --role viewer", want: "aspects-operate-"},
	{text: "aspects-poc server token create bert --role operator --scope site=berlin", want: "aspects-operate-"},
	{text: "aspects-poc server token create line-1 --enrol --label site=line-1 --uses 50 --expires 24h", want: "aspects-enrol-"},
	{text: "aspects-poc server token revoke anna"},
	{text: "aspects-poc server backup /var/backups/fleet-monday.db", as: []string{"/var/backups", "."}},
	{text: "aspects-poc server restore /var/backups/fleet-monday.db", first: ownServer, as: []string{"/var/backups", "."}},
	{text: "aspects-poc server migrate --database postgres://fleet@db.example.com/fleet", first: ownServer,
		as: []string{"postgres://fleet@db.example.com/fleet", `"$DATABASE"`}, want: "Copied and counted: 1 devices"},
	{text: "aspects-poc control run --source system --interval 10s", until: " packets "},
	{text: "aspects-poc control rotate-key", want: "has the new key"},
	{text: "aspects-poc vpn run --interval 10s --drop-rate 0.2", until: "tunnel"},
	{text: "aspects-poc reporting run --once --format json", want: `"packets-sent":{`},
	{text: "aspects-poc registry set control-tunnel 'peers=[\"10.0.0.7\"]'"},
	{text: "aspects-poc registry get control-tunnel peers", want: `"10.0.0.7"`},
	{text: "aspects-poc registry set control-telemetry sample-rate=4 monitor-peers!"},
	{text: "aspects-poc registry get observe-interfaces packets-sent -l", want: "packets-sent.eth0"},
	{text: "aspects-poc registry unset control-interfaces config.wlan0 stats.wlan0"},
	{text: "aspects-poc registry watch control-telemetry sample-rate", until: "watching"},
	{text: "aspects-poc registry status --registry snapd:", skip: "it needs a real snapd"},
	{text: "aspects-poc registry assertion --revision 2" + signs, as: []string{signs, ""}, want: `"revision": "2"`},
	{text: "aspects-poc registry new --account-id ACCOUNT-ID thermostat", as: []string{"ACCOUNT-ID", "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"}, want: "thermostat"},
	{text: "aspects-poc registry new --account-id ACCOUNT-ID --from device.yaml device", as: []string{"ACCOUNT-ID", "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"},
		first: "echo 'port: 80' > device.yaml", want: "device/custodian/default/device.yaml"},
	{text: "aspects-poc registry new --account-id ACCOUNT-ID --from snap ./agent", as: []string{"ACCOUNT-ID", "f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN"},
		first: "mkdir -p agent/snap/hooks; echo 'name: agent' > agent/snap/snapcraft.yaml; printf '#!/bin/sh\\nsnapctl get port\\n' > agent/snap/hooks/configure",
		want:  "./agent/confdb/agent.yaml"},
	{text: "aspects-poc registry lint network.yaml ./custodian ./observer", first: inNetwork},
	{text: "aspects-poc registry lint --fix network.yaml ./custodian", first: inNetwork},
	{text: "aspects-poc registry explain version-prefix", want: "puts all storage below v1"},
	{text: "aspects-poc registry fmt network.yaml", first: inNetwork},
	{text: "aspects-poc registry fmt --check *.yaml", first: inNetwork},
	{text: "aspects-poc registry lsp", as: []string{"aspects-poc registry lsp", `printf 'Content-Length: 44\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"shutdown"}` +
		`Content-Length: 33\r\n\r\n{"jsonrpc":"2.0","method":"exit"}' | aspects-poc registry lsp`}, want: `"result":null`},
	{text: "aspects-poc registry lint --against git:origin/main --format github --strict network.yaml", first: inNetwork + `
git init -q -b main .; git add network.yaml; git -c user.name=a -c user.email=a@example.com commit -qm first
git update-ref refs/remotes/origin/main main`},
	{text: "aspects-poc registry build --revision 2 network.yaml" + signsBuilt, first: inNetwork, as: []string{signsBuilt, ""}, want: `"revision": "2"`},
	{text: "snap known confdb-schema name=network > network.assert", skip: "it needs a real snapd"},
	{text: "aspects-poc registry show network.assert > network.yaml"},
	{text: "aspects-poc registry generate json-schema -o targets.schema.json network.yaml"},
	{text: "aspects-poc registry generate json-schema --check -o targets.schema.json network.yaml"},
	{text: "aspects-poc registry generate json-schema --view control-telemetry --access read network.yaml", want: `"title": "network/control-telemetry"`},
	{text: "aspects-poc registry generate json-schema --of schema-files -o confdb-schema.schema.json"},
	{text: "aspects-poc registry generate python -o network.py network.yaml"},
	{text: "aspects-poc registry generate python --check -o network.py network.yaml"},
	{text: "aspects-poc registry generate go -o network.go network.yaml"},
	{text: "aspects-poc registry generate go --package settings --check -o network.go network.yaml", first: "aspects-poc registry generate go --package settings -o network.go network.yaml"},
	{text: "aspects-poc registry generate docs -o network.md network.yaml"},
	{text: "aspects-poc registry generate docs --format html -o network.html network.yaml"},
	{text: "aspects-poc registry serve --schema-file network.yaml --socket /tmp/confdb/snapd.socket", first: inNetwork, as: []string{"/tmp/confdb", "$PWD"},
		until: "snapd.socket"},
	{text: "aspects-poc registry dev --schema-file proxy.yaml --socket /tmp/proxy/snapd.socket ./custodian ./browser", first: "cd proxy",
		as: []string{"/tmp/proxy", "$PWD"}, until: "snapd.socket"},
	{text: "aspects-poc registry run --shell custodian", as: []string{" custodian", " proxy-custodian"}, first: `cd proxy
aspects-poc registry dev --schema-file proxy.yaml --socket ./snapd.socket ./custodian ./browser > dev.log 2>&1 &
until grep -q Listening dev.log; do sleep 0.1; done
trap 'kill %1; wait' EXIT
echo 'echo in $SNAP_NAME' | ASPECTS_SOCKET=./snapd.socket \`, want: "in proxy-custodian"},
	{text: "aspects-poc registry test --schema-file network.yaml --snap ./custodian --junit report.xml --coverage", first: inNetwork,
		as: []string{"--snap ./custodian", "--snap ./custodian --snap ./observer"}},
	{text: "aspects-poc fleet login https://fleet.example.com", as: []string{"https://fleet.example.com", "$ASPECTS_SERVER_URL < " + firstToken},
		want: "Logged in to http"},
	{text: "aspects-poc fleet login http://127.0.0.1:8000 --token-file operator.token --context lab",
		as: []string{"http://127.0.0.1:8000", "$ASPECTS_SERVER_URL", "operator.token", firstToken}, want: "as context lab: 1 device"},
	{text: "aspects-poc fleet contexts", want: "lab "},
	{text: "aspects-poc fleet use lab"},
	{text: "aspects-poc fleet edit everyone", first: `export EDITOR="sed -i 's/config: {}/config: {control-telemetry: {sample-rate: 4}}/'"`,
		want: "everyone is now revision 1"},
	{text: "aspects-poc fleet edit labels/berlin --file berlin.yaml --dry-run", want: "labels/berlin would change",
		first: "echo '{selector: site=berlin, config: {control-telemetry: {sample-rate: 6}}}' > berlin.yaml"},
	{text: "aspects-poc fleet status", want: "1 device, revision"},
	{text: "aspects-poc fleet status --wait 5m -l stage=canary", as: []string{"stage=canary", "stage=canary || true"}, want: "no device matches"},
	{text: "aspects-poc fleet devices -l site=berlin --state refused", want: "no devices"},
	{text: "aspects-poc fleet devices --state pending -o name | xargs -r aspects-poc fleet approve"},
	{text: "aspects-poc fleet device 3f2a", as: anID, want: "control-telemetry.sample-rate"},
	{text: "aspects-poc fleet why 3f2a control-telemetry.sample-rate", as: anID, want: "everyone"},
	{text: "aspects-poc fleet label 3f2a site=berlin stage!", as: anID, want: "site=berlin"},
	{text: "aspects-poc fleet label -l site=berlin stage=canary", as: []string{"stage=canary", "stage=canary --yes"}, want: "The labels of 1 device are changed"},
	{text: "aspects-poc fleet rename 3f2a lobby", as: anID, want: ": lobby"},
	{text: "aspects-poc fleet rename lobby --remove", want: ": no name"},
	{text: "aspects-poc fleet revoke 3f2a", as: anID, want: "revoked"},
	{text: "aspects-poc fleet approve 3f2a", as: anID, want: "site=berlin"},
	{text: "aspects-poc fleet targets", want: "everyone"},
	{text: "aspects-poc fleet targets everyone -o yaml", want: "sample-rate: 4"},
	{text: "aspects-poc fleet history --limit 20", want: "labels: site=berlin"},
	{text: "aspects-poc fleet history labels/berlin", want: "no changes"},
	{text: "aspects-poc fleet diff", want: "+ control-telemetry.sample-rate: 4"},
	{text: "aspects-poc fleet diff 7 3", as: []string{"7 3", "1 0"}, want: "+ control-telemetry.sample-rate: 4"},
	{text: "aspects-poc fleet restore 7", as: []string{"7", "1"}, want: "everyone is as in revision 1 already"},
	{text: "aspects-poc fleet secret set vpn < vpn.key", first: "echo top > vpn.key", want: "the secret vpn is now revision"},
	{text: "aspects-poc fleet secret set vpn --file vpn.key", want: "the secret vpn is now revision"},
	{text: "aspects-poc fleet secret list", want: "vpn "},
	{text: "aspects-poc fleet secret delete vpn"},
	{text: "aspects-poc fleet remove labels/berlin", as: []string{"berlin", "berlin --yes"}, want: "The layer labels/berlin is removed",
		first: "aspects-poc fleet edit labels/berlin --file berlin.yaml"},
	{text: "aspects-poc fleet edit everyone --release release.yaml", want: "in 2 stages",
		first: `export EDITOR="sed -i 's/sample-rate: 4/sample-rate: 8/'"; echo 'stages: [{devices: 1}]' > release.yaml`},
	{text: "aspects-poc fleet release status", want: "stage 1"},
	{text: "aspects-poc fleet release list --limit 5", want: "rolling"},
	{text: "aspects-poc fleet release halt", want: "halted"},
	{text: "aspects-poc fleet release go", want: "rolling"},
	{text: "aspects-poc fleet release undo", want: "undone"},
	{text: "aspects-poc fleet release watch", want: "undone"},
	{text: "aspects-poc fleet release watch --wait 30m", as: []string{"30m", "30m || true"}, want: "undone"},
	{text: "aspects-poc fleet sign --init --operator-keys operators --key ~/.ssh/id_ed25519",
		first: "mkdir -p ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519; echo \"anna $(cat ~/.ssh/id_ed25519.pub)\" > operators",
		as:    []string{"id_ed25519", "id_ed25519 --yes"}, want: "statement 1 is signed by anna"},
	{text: "aspects-poc fleet export 3f2a > lobby.json", as: anID},
	{text: "aspects-poc control run --once --operator-keys operators", want: "eth0: "},
	{text: "aspects-poc control apply lobby.json", want: "is in force"},
	{text: "aspects-poc control status", want: "signed by anna"},
	{text: "aspects-poc fleet sign --key ~/.ssh/id_ed25519", as: []string{"id_ed25519", "id_ed25519 --yes"}, want: "statement 2 is signed by anna"},
	{text: "aspects-poc fleet pull fleet", want: "everyone.yaml is written"},
	{text: "aspects-poc fleet plan fleet", want: "Nothing to do"},
	{text: "aspects-poc fleet plan fleet --prune --out plan.json", want: "Nothing to do"},
	{text: "aspects-poc fleet apply fleet", want: "Nothing to do"},
	{text: "aspects-poc fleet apply --plan plan.json", want: "Nothing to do"},
	{text: "aspects-poc fleet apply fleet --sign --key ~/.ssh/id_ed25519", as: []string{"id_ed25519", "id_ed25519 --yes"}, want: "is signed by anna"},
	{text: "aspects-poc fleet schema > fleet/fleet.schema.json"},
	{text: "aspects-poc fleet watch", until: "following http"},
	{text: "aspects-poc fleet events --format json", until: "following http"},
	{text: "aspects-poc fleet whoami", want: "You are "},
	{text: "aspects-poc fleet token create anna --role admin", as: []string{"create anna", "create anna-over-the-api"}, want: "aspects-operate-"},
	{text: "aspects-poc fleet token create bert --role operator --scope site=berlin --expires 30d", as: []string{"create bert", "create bert-over-the-api"},
		want: "aspects-operate-"},
	{text: "aspects-poc fleet token create bert --role operator --scope site=berlin", as: []string{"create bert", "create bert-2"}, want: "aspects-operate-"},
	{text: "aspects-poc fleet token create line-1 --enrol --label site=line-1 --uses 50 --expires 24h", as: []string{"create line-1", "create line-2"},
		want: "aspects-enrol-"},
	{text: "aspects-poc fleet token list", want: "operator of site=berlin"},
	{text: "aspects-poc fleet token revoke bert", as: []string{"bert", "bert-2"}},
	{text: "aspects-poc fleet audit --since 24h", want: "revoke tokens/bert-2"},
	{text: "aspects-poc fleet audit --who anna@example.com --result refused", want: "no records"},
	{text: "aspects-poc fleet audit --follow -o json", until: "tokens/bert-2"},
	{text: "aspects-poc fleet delete 3f2a", as: []string{"3f2a", anID[1] + " --yes"}, want: "Not revoked: "},
	{text: "aspects-poc fleet logout lab"},
	{text: "aspects-poc fleet-sim --devices 1000 --server-url http://127.0.0.1:8000",
		as: []string{"1000", "10 --duration 1s", "http://127.0.0.1:8000", "$ASPECTS_SERVER_URL"}, want: "10 devices, registered"},
	{text: "aspects-poc fleet-sim --devices 1000 --rate 2000 --duration 30s --json", as: []string{"1000", "10", "2000", "20", "30s", "1s"}, want: `"failed": 0`},
	{text: "aspects-poc fleet-sim --devices 10000 --wait 60s", as: []string{"10000", "10 --duration 1s"}, want: "10 devices, registered"},
	{text: "aspects-poc fleet-sim --devices 2000 --refuse 2% --fail 1% --drift 1% --silent 5% --label site=berlin",
		as: []string{"2000", "10 --duration 1s"}, want: "10 devices, registered"},
	{text: "aspects-poc demo", until: "Page: "},
	{text: "aspects-poc demo --once"},
	{text: "aspects-poc demo --state ~/demo --interval 10s", until: "Page: "},
	{text: "aspects-poc hooks vpn", want: "configure"},
	{text: "aspects-poc version", want: "aspects-poc "},
	{text: "source <(aspects-poc completion bash)"},
	{text: `aspects-poc completion zsh > "${fpath[1]}/_aspects-poc"`, first: "fpath=(. .)"},
	{text: "aspects-poc completion fish > ~/.config/fish/completions/aspects-poc.fish", first: "mkdir -p ~/.config/fish/completions"},
}

// examplesOfHelp returns the examples of CLI.md, each once.
func examplesOfHelp(t *testing.T) (examples []string) {
	t.Helper()
	for _, block := range blocksOf(t, "CLI.md") {
		begin := slices.Index(block.lines, "Example:")
		if begin < 0 {
			continue // a help without one
		}
		for _, line := range block.lines[begin+1:] {
			if text := strings.TrimSpace(line); !slices.Contains(examples, text) {
				examples = append(examples, text)
			}
		}
	}
	return examples
}

// TestExamplesOfHelp runs the examples that commands have in their help.
func TestExamplesOfHelp(t *testing.T) {
	t.Parallel()
	need.Programs(t, "bash", "git")
	left := examplesOfHelp(t)
	shell, _ := withDevice(t)
	prepareExamples(t, shell)
	for _, one := range trials {
		at := slices.Index(left, one.text)
		if at < 0 {
			t.Errorf("no help has the example %s", one.text)
			continue
		}
		left = slices.Delete(left, at, at+1)
		t.Run(one.text, func(t *testing.T) { one.run(t, shell) })
	}
	for _, text := range left {
		t.Errorf("no test runs the example %s: add it to the trials", text)
	}
}

// prepareExamples lays out what examples name.
func prepareExamples(t *testing.T, shell *exec.Cmd) {
	t.Helper()
	shell.Env = append(shell.Env, "ASPECTS_REGISTRY=file:registry")
	assertion, err := os.ReadFile(filepath.Join("..", "internal", "kit", "assertion", "testdata", "signed.assert"))
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(shell.Dir, "network.assert"), assertion, 0o600),
			os.CopyFS(filepath.Join(shell.Dir, "proxy"), os.DirFS(filepath.Join("..", "examples", "proxy"))))
	}
	if err != nil {
		t.Fatal(err)
	}
	scaffold := trial{text: "aspects-poc registry new --account-id f22PSauKuNkwQTM9Wz67ZCjNACuSjjhN network"}
	scaffold.run(t, shell)
}

func (one trial) run(t *testing.T, shell *exec.Cmd) {
	t.Helper()
	if one.skip != "" {
		t.Log("not run, as " + one.skip)
		return
	}
	env := shell.Env
	if strings.Contains(one.text, "--database") {
		env = append(slices.Clone(env), "DATABASE="+postgrestest.URL(t))
	}
	text := strings.NewReplacer(one.as...).Replace(one.text)
	if one.until != "" {
		text = "exec " + text
	}
	command := exec.Command(shell.Path, "-c", "set -e\n"+one.first+"\n"+text)
	command.Dir, command.Env = shell.Dir, env
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	timeout := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
	defer timeout.Stop()
	var said bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(reader, &said))
	for told := false; lines.Scan(); {
		if one.until != "" && !told && strings.Contains(lines.Text(), one.until) {
			told = true
			if err := command.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
		}
	}
	err = command.Wait()
	if err != nil || !strings.Contains(said.String(), cmp.Or(one.until, one.want)) {
		t.Errorf("%v; it prints\n%s\nwant %q", err, said.String(), cmp.Or(one.until, one.want))
	}
}
