//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	"aspects-poc/roles/network"
)

// commands runs our registry command and the snap command with the same arguments on the same snapd, and compares their
// output. It needs the custodian of the contract stage.
func (r *run) commands(context.Context) {
	if !r.check("the values of the README", func(ctx context.Context) error {
		_, err := r.sh(ctx, `snap set `+view(network.ControlInterfacesView)+` config='{"eth0":{"ip-address":"172.16.0.3","interface-type":"ethernet"},`+
			`"wlan0":{"ip-address":"192.168.0.104","interface-type":"wifi"}}' && `+
			`snap set `+view(network.ControlTunnelView)+` interface=eth0 peers='["192.168.21.3","192.168.151.225","192.168.21.7"]' && `+
			`snap set `+view(network.ControlDeviceView)+` server-url=http://127.0.0.1:8000 && `+
			`snap set -t `+view(network.ControlTelemetryView)+` monitor-packets-sent=true monitor-packets-received=false monitor-peers=true sample-rate=2`)
		return err
	}) || !r.check("bring the binary", r.bringBinary) {
		return
	}
	device, tunnel, telemetry := view(network.ControlDeviceView), view(network.ControlTunnelView), view(network.ControlTelemetryView)
	interfaces := view(network.ControlInterfacesView)
	for _, arguments := range []string{
		"get -d " + device,
		"get " + telemetry,
		"get -l " + telemetry,
		"get " + telemetry + " sample-rate",
		"get " + telemetry + " sample-rate monitor-peers",
		"get " + tunnel + " interface",
		"get -t " + tunnel + " interface",
		"get " + view(network.ObserveTunnelView) + " peers",
		"get " + interfaces + " config -l",
		"get --with name=eth0 " + interfaces + " config -d",
		"get --default 7 " + telemetry + " sample-rate",
		"get " + telemetry + " nonsense",
		"get " + view("no-such-view"),
		"get -d -t " + telemetry,
		"set " + telemetry + " sample-rate=-3",
		"set " + telemetry + " sample-rate",
		"set " + telemetry + " Sample=3",
		"set -s " + telemetry + " sample-rate=3",
		"set " + tunnel + " peers=[]",
		"set " + telemetry + " sample-rate=2",
		"unset " + telemetry + " nonsense",
		"unset " + view(network.ObserveDeviceView) + " uuid",
	} {
		name := strings.ReplaceAll(arguments, network.AccountID+"/"+network.Name+"/", "")
		r.check("prints what snap prints: "+name, func(ctx context.Context) error {
			return r.alike(ctx, arguments)
		})
	}
}

// ours is the path of our binary in the machine.
const ours = folder + "/aspects-poc"

func (r *run) bringBinary(ctx context.Context) error {
	file, err := r.build(ctx, ".", false)
	if err != nil {
		return err
	}
	return r.push(ctx, ours, file)
}

// alike runs snap and our command with the same arguments. Standard output must be equal. Standard error must have the
// same words; ours may have more. snap wraps its errors, and warns of a future change of its output.
func (r *run) alike(ctx context.Context, arguments string) error {
	first, second := "snap "+arguments, ours+" registry "+arguments+" --registry snapd:"
	const split = "---"
	type result struct {
		code   int
		out    string
		errors string
	}
	try := func(command string) (result, error) {
		text, err := r.sh(ctx, "{ "+command+" 2>"+folder+"/stderr; }; code=$?; echo "+split+"; cat "+folder+"/stderr; exit $code")
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return result{}, err
		}
		out, errors, found := strings.Cut(text, split+"\n")
		if !found {
			return result{}, fmt.Errorf("%s: %w", command, err)
		}
		got := result{out: out, errors: strings.Join(strings.Fields(errors), " ")}
		if exit != nil {
			got.code = exit.ExitCode()
		}
		if strings.HasPrefix(got.errors, "WARNING: The output of 'snap get' will become") {
			got.errors = ""
		}
		return got, nil
	}
	want, err := try(first)
	if err != nil {
		return err
	}
	got, err := try(second)
	if err != nil {
		return err
	}
	if want.out != got.out || (want.code == 0) != (got.code == 0) || !says(got.errors, want.errors) {
		return fmt.Errorf("%s: %+v\n%s: %+v", first, want, second, got)
	}
	return nil
}

// hookPrefix begins our error after a hook's refusal.
var hookPrefix = regexp.MustCompile(`^hook (\S+) of (\S+): `)

// says reports whether our error says the same as snap's. snap prints the tasks of a failed change around the reason,
// and we print the hook in front of it.
func says(got, want string) bool {
	if strings.HasPrefix(got, want) {
		return true
	}
	reason := strings.TrimPrefix(got, "error: ")
	reason, _, _ = strings.Cut(reason, " (try: ")
	if hook := hookPrefix.FindStringSubmatch(reason); hook != nil {
		if !strings.Contains(want, fmt.Sprintf("Run hook %s of snap %q", hook[1], hook[2])) {
			return false
		}
		reason = reason[len(hook[0]):]
	}
	return strings.HasPrefix(want, "error: cannot perform the following tasks:") && reason != "" && strings.Contains(want, reason)
}
