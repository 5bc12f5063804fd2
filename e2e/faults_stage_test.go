//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aspects-poc/roles/network"
)

// faults breaks things, and expects that they recover by themselves without any loss. The server is away meanwhile.
func (r *run) faults(context.Context) {
	var away string
	r.check("the server is stopped", func(ctx context.Context) (err error) {
		if away, err = r.now(ctx); err == nil {
			_, err = r.sh(ctx, "snap stop aspects-poc-server")
		}
		return err
	})
	r.check("snapd restarted in mid-change: the write is done or refused, not halved", func(ctx context.Context) error {
		const restart = "{ for i in $(seq 100); do " + writing + " && break; sleep 0.1; done; systemctl restart snapd; }"
		telemetry := view(network.ControlTelemetryView)
		text, err := r.sh(ctx, "snap get -d "+telemetry+"; "+restart+" & snap set -t "+telemetry+
			" sample-rate=5 monitor-packets-received=true; wait; snap watch --last=set-confdb; snap get -d "+telemetry)
		if err != nil {
			return err
		}
		before, after, _ := strings.Cut(text, "}\n")
		both := strings.Contains(after, `"sample-rate": 5`) && strings.Contains(after, `"monitor-packets-received": true`)
		if !both && after != before+"}\n" {
			return fmt.Errorf("now it is %s", text)
		}
		return nil
	})
	r.check("the settings as they were", func(ctx context.Context) error {
		_, err := r.sh(ctx, "snap set -t "+view(network.ControlTelemetryView)+" sample-rate=2 monitor-packets-received=false")
		return err
	})
	for _, role := range []string{"control", "vpn", "reporting"} {
		r.check(snapOf(role)+"'s daemon killed: it is back and goes on", func(ctx context.Context) (err error) {
			if role == "control" { // only the new process can report that it reaches the server again
				if away, err = r.now(ctx); err != nil {
					return err
				}
			}
			if _, err := r.sh(ctx, "systemctl kill -s KILL snap."+snapOf(role)+".daemon.service; sleep 1"); err != nil {
				return err
			}
			killed, err := r.now(ctx)
			if err != nil {
				return err
			}
			line := map[string]string{"control": "eth0: ", "vpn": "tunnel", "reporting": "Next run in"}[role]
			if err := r.logged(ctx, minutes, role, killed, line); err != nil {
				return err
			}
			return eventually(ctx, minutes, func(ctx context.Context) error { return r.active(ctx, role) })
		})
	}
	r.check("without the server control says so, and counts every minute", func(ctx context.Context) error {
		return errors.Join(
			r.logged(ctx, minutes, "control", away, "http://127.0.0.1:8000"),
			eventually(ctx, minutes, func(ctx context.Context) error {
				log, err := r.log(ctx, "control", away)
				if err == nil && strings.Count(log, ": eth0: ") < 2 {
					err = errors.New("it did not count twice:\n" + log)
				}
				return err
			}))
	})
	r.check("the server is back: control finds it", func(ctx context.Context) error {
		now, err := r.now(ctx)
		if err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap start aspects-poc-server"); err != nil {
			return err
		}
		return r.logged(ctx, 2*minutes, "control", now, "server reached again")
	})
}

// writing reports whether a write through confdb is under way.
const writing = `curl -s --unix-socket /run/snapd.socket 'http://snapd/v2/changes?select=in-progress' | grep -q '"set-confdb"'`

func (r *run) active(ctx context.Context, role string) error {
	text, err := r.sh(ctx, "systemctl is-active snap."+snapOf(role)+".daemon.service || true")
	if err == nil && text != "active\n" {
		err = fmt.Errorf("the daemon of %s is %s", role, text)
	}
	return err
}
