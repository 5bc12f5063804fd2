//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"aspects-poc/roles/network"
)

// refusals tries what must fail, and expects the reason at the prompt and no change.
func (r *run) refusals(context.Context) {
	tests := []struct{ what, command, reason string }{
		{"custodian: a sample-rate above 60", "set " + view(network.ControlTelemetryView) + " sample-rate=61", "sample-rate is reports a minute: 1 to 60, not 61"},
		{"custodian: a sample-rate of 0", "set " + view(network.ControlTelemetryView) + " sample-rate=0", "1 to 60, not 0"},
		{"custodian: a server that is no URL", "set " + view(network.ControlDeviceView) + " server-url=ftp://example.org", "it must begin with http:// or https://"},
		{"custodian: a tunnel on an interface that is not there", "set " + view(network.ControlTunnelView) + " interface=tun9", `the tunnel's interface "tun9" is not configured`},
		{"custodian: an interface removed under the tunnel", "set " + view(network.ControlInterfacesView) + " config.eth0!", `the tunnel's interface "eth0" is not configured`},
		{"custodian: a peer that is the device itself", "set " + view(network.ControlTunnelView) + ` peers='["10.0.0.1","172.16.0.3"]'`, "peer 172.16.0.3 is this device itself"},
		{"schema: the same peer twice", "set " + view(network.ControlTunnelView) + ` peers='["10.0.0.1","10.0.0.1"]'`, `cannot accept duplicate values for array with "unique" constraint`},
		{"schema: a sample-rate below 0", "set " + view(network.ControlTelemetryView) + " sample-rate=-3", "-3 is less than the allowed minimum 0"},
		{"schema: a text for a number", "set " + view(network.ControlTelemetryView) + " sample-rate=often", "expected int type but value was string"},
		{"schema: a number for a choice", "set -t " + view(network.ControlTelemetryView) + " monitor-peers=1", "expected bool type but value was number"},
		{"views: the secret key cannot be read", "get " + view(network.ControlTunnelView) + " secret-key", "no matching rule"},
		{"views: a write through observe-tunnel", "set " + view(network.ObserveTunnelView) + ` peers='["10.0.0.1"]'`, "no matching rule"},
		{"views: a write through observe-device", "set " + view(network.ObserveDeviceView) + " uuid=bd7bcbe7-25a4-4a75-9ee1-06a0ee6a05c0", "no matching rule"},
		{"configure: the server at an address that is none", "set aspects-poc-server listen=nonsense", "listen"},
		{"configure: a chance above 1", "set aspects-poc-vpn drop-rate=2", "drop-rate"},
		{"configure: an unknown word", "set aspects-poc-vpn drop-rate=often", "drop-rate"},
	}
	for _, test := range tests {
		r.check("refused, "+test.what, func(ctx context.Context) error {
			return r.refused(ctx, "snap "+test.command, test.reason)
		})
	}
	r.check("a custodian's refusal: our command prints what snap prints", func(ctx context.Context) error {
		if err := r.bringBinary(ctx); err != nil {
			return err
		}
		return r.alike(ctx, "set "+view(network.ControlTelemetryView)+" sample-rate=61")
	})
	r.check("nothing of it is stored", func(ctx context.Context) error {
		text, err := r.sh(ctx, "for v in control-telemetry control-tunnel control-device; do snap get -d "+view("")+"$v; done; snap get -d "+view(network.ControlInterfacesView)+" config")
		if err != nil {
			return err
		}
		for _, wrong := range []string{"61", "ftp:", "tun9", `"10.0.0.1"`} {
			if strings.Contains(text, wrong) {
				return fmt.Errorf("%s is stored: %s", wrong, text)
			}
		}
		if !strings.Contains(text, "eth0") {
			return fmt.Errorf("eth0 is gone: %s", text)
		}
		return nil
	})
	r.check("a plug is disconnected: the daemon says what mends it", func(ctx context.Context) error {
		now, err := r.now(ctx)
		if err != nil {
			return err
		}
		plug := "aspects-poc-vpn:" + network.ControlTunnelView
		// Restarted, because an idle daemon may take ten minutes to notice.
		if _, err := r.sh(ctx, "snap disconnect "+plug+" && snap restart "+snapOf("vpn")); err != nil {
			return err
		}
		return r.logged(ctx, minutes, "vpn", now, "snap connect "+plug)
	})
	r.check("connected again, it carries on by itself", func(ctx context.Context) error {
		now, err := r.now(ctx)
		if err != nil {
			return err
		}
		if err := r.connect(ctx, snapOf("vpn"), network.ControlTunnelView); err != nil {
			return err
		}
		return r.logged(ctx, minutes, "vpn", now, "the registry answers again")
	})
	r.check("the feature is turned off and on: the daemons wait and carry on", func(ctx context.Context) error {
		now, err := r.now(ctx)
		if err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap unset system experimental."+r.era.flag+" && snap restart "+snapOf("vpn")); err != nil {
			return err
		}
		off := r.logged(ctx, minutes, "vpn", now, "snap set system experimental."+r.era.flag+"=true")
		if _, err := r.sh(ctx, "snap set system experimental."+r.era.flag+"=true"); err != nil {
			return err
		}
		return errors.Join(off, r.logged(ctx, minutes, "vpn", now, "the registry answers again"))
	})
	r.check("the kernel logged no denial by AppArmor", func(ctx context.Context) error {
		// An older snapd does not let hooks read mountinfo, from which Go's runtime reads a limit of processors.
		text, err := r.sh(ctx, `journalctl -k --no-pager | grep 'apparmor="DENIED"' | grep aspects-poc | grep -v 'name="/proc/[0-9]*/mountinfo"' || true`)
		if err == nil && text != "" {
			err = errors.New(text)
		}
		return err
	})
}

// refused runs a command that must fail with a reason, at once and not after a time-out.
func (r *run) refused(ctx context.Context, command, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	text, err := r.sh(ctx, command+" 2>&1")
	if err == nil {
		return fmt.Errorf("%s was accepted: %s", command, text)
	}
	// snap wraps its errors.
	if plain := strings.Join(strings.Fields(text), " "); !strings.Contains(plain, reason) {
		return fmt.Errorf("%s printed %q, which does not say %q", command, plain, reason)
	}
	return nil
}
