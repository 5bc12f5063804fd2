//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"aspects-poc/roles/network"
)

// lifecycle refreshes, reverts, disables and doubles snaps, and expects that nothing gets lost.
func (r *run) lifecycle(context.Context) {
	control := snapOf("control")
	var before, after vitals
	r.check("a daemon stopped in mid-cycle, as a refresh does, ends what it has begun", r.stoppedInMidCycle)
	r.check("before the refresh: an option for this revision", func(ctx context.Context) (err error) {
		if _, err = r.sh(ctx, "snap set "+control+" interval=50s"); err != nil {
			return err
		}
		before, err = r.vitals(ctx)
		return err
	})
	r.check("refresh "+snapOf("server")+" and "+control, func(ctx context.Context) error {
		var files []string
		for _, role := range []string{"server", "control"} {
			file, err := r.snapFile(role)
			if err != nil {
				return err
			}
			files = append(files, folder+"/"+filepath.Base(file))
		}
		begin := time.Now()
		_, err := r.sh(ctx, "snap install --dangerous "+strings.Join(files, " "))
		r.figure("server and control refreshed in %.0f s", time.Since(begin).Seconds())
		return err
	})
	refreshed := func(revision string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			err := r.prints(ctx, `^`+revision+`\n$`, "readlink /snap/"+control+"/current")
			if err != nil {
				return err
			}
			now, err := r.now(ctx)
			if err != nil {
				return err
			}
			if err := r.logged(ctx, minutes, "control", now, "eth0: "); err != nil {
				return err
			}
			if after, err = r.vitals(ctx); err != nil {
				return err
			}
			return after.continues(before)
		}
	}
	r.check("registration, keys, counters and connections are as before, and control counts on", refreshed("x2"))
	r.check("the option came along, and gets another value", func(ctx context.Context) error {
		// snap set may print what its change has logged.
		return r.prints(ctx, `^50s\n$`, "snap get "+control+" interval && snap set "+control+" interval=40s >/dev/null 2>&1")
	})
	r.check("revert "+control, func(ctx context.Context) error {
		_, err := r.sh(ctx, "snap revert "+control)
		return err
	})
	r.check("the revision before has its own option, and today's registration and counters", func(ctx context.Context) error {
		return errors.Join(refreshed("x1")(ctx), r.prints(ctx, `^50s\n$`, "snap get "+control+" interval"))
	})
	r.check("disable "+control+": views answer no more, and say why", func(ctx context.Context) error {
		if _, err := r.sh(ctx, "snap unset "+control+" interval && snap disable "+control); err != nil {
			return err
		}
		return r.refused(ctx, "snap get "+view(network.ControlTunnelView), "no custodian snap")
	})
	r.check("enable "+control+": all goes on by itself", func(ctx context.Context) error {
		now, err := r.now(ctx)
		if err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap enable "+control); err != nil {
			return err
		}
		return errors.Join(
			eventually(ctx, minutes, func(ctx context.Context) error {
				return r.prints(ctx, `peers`, "snap get -d "+view(network.ControlTunnelView))
			}),
			r.logged(ctx, minutes, "control", now, "eth0: "), r.logged(ctx, minutes, "reporting", now, "Next run in"))
	})
	r.parallel()
}

// A vitals has the values that must survive a refresh.
type vitals struct {
	uuid, keys, connections string
	packets                 int
}

func (r *run) vitals(ctx context.Context) (vitals, error) {
	var v vitals
	var err error
	if v.uuid, err = r.sh(ctx, "snap get "+view(network.ObserveDeviceView)+" uuid"); err != nil {
		return v, err
	}
	// All of control's files except the counters, which grow. The server must still know the device.
	if v.keys, err = r.sh(ctx, "cd /var/snap/"+snapOf("control")+"/common && sha256sum device.json && "+
		curlOperator+" -f http://127.0.0.1:8000/state/"+strings.TrimSpace(v.uuid)+"/ >/dev/null"); err != nil {
		return v, err
	}
	if v.connections, err = r.sh(ctx, "snap connections "+snapOf("control")+"; snap connections "+snapOf("server")); err != nil {
		return v, err
	}
	v.packets, err = r.packets(ctx)
	return v, err
}

// continues returns an error unless v is of the same device as before, at a later time.
func (v vitals) continues(before vitals) error {
	if v.uuid != before.uuid || v.keys != before.keys {
		return fmt.Errorf("device %s with %s, it was %s with %s", v.uuid, v.keys, before.uuid, before.keys)
	}
	if v.connections != before.connections {
		return same("connections", before.connections, v.connections)
	}
	if v.packets < before.packets {
		return fmt.Errorf("%d packets in all, it were %d before", v.packets, before.packets)
	}
	return nil
}

// stoppedInMidCycle stops the control daemon while snapd handles one of its writes. systemd must not have to kill the
// daemon, and in the end both views of a target must have it.
func (r *run) stoppedInMidCycle(ctx context.Context) error {
	if err := r.putTarget(ctx, `{"control-telemetry":{"sample-rate":7},"control-tunnel":{"peers":["10.78.0.1"]}}`); err != nil {
		return err
	}
	const service = "snap.aspects-poc-control.daemon.service"
	text, err := r.sh(ctx, "for i in $(seq 1500); do "+writing+" && break; sleep 0.1; done; "+writing+" && echo writes; "+
		"systemctl stop "+service+"; systemctl show -P Result "+service+"; snap get -d "+view(network.ControlTelemetryView)+
		"; systemctl start "+service)
	if err != nil {
		return err
	}
	if !strings.Contains(text, "writes") || !strings.Contains(text, "success") {
		return fmt.Errorf("the daemon was not stopped while it wrote, or not by itself: %s", text)
	}
	return errors.Join(
		eventually(ctx, 2*minutes, func(ctx context.Context) error {
			return errors.Join(
				r.prints(ctx, `^7\n$`, "snap get "+view(network.ControlTelemetryView)+" sample-rate"),
				r.prints(ctx, `10\.78\.0\.1`, "snap get "+view(network.ControlTunnelView)+" peers"))
		}),
		r.putTarget(ctx, `{}`))
}

// parallel installs a second instance of vpn beside the first.
func (r *run) parallel() {
	const lab = "aspects-poc-vpn_lab"
	r.check("install a parallel instance of "+snapOf("vpn"), func(ctx context.Context) error {
		file, err := r.snapFile("vpn")
		if err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap set system experimental.parallel-instances=true && snap install --dangerous --name "+lab+" "+
			folder+"/"+filepath.Base(file)+" && snap set "+lab+" drop-rate=0 join-rate=0"); err != nil {
			return err
		}
		return r.connect(ctx, lab)
	})
	r.check("both instances are told of a change", func(ctx context.Context) error {
		now, err := r.now(ctx)
		if err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap set "+view(network.ControlTunnelView)+` peers='["10.79.0.1","10.79.0.2"]'`); err != nil {
			return err
		}
		both := func(service string) error {
			return eventually(ctx, minutes, func(ctx context.Context) error {
				return r.prints(ctx, `10\.79\.0\.1 joined`, "journalctl --no-pager -u "+service+" --since '"+now+"'")
			})
		}
		return errors.Join(both("snap.aspects-poc-vpn.daemon.service"), both("snap.aspects-poc-vpn_lab.daemon.service"))
	})
	r.check("each has its own files and options", func(ctx context.Context) error {
		return r.prints(ctx, `^aspects-poc-vpn\naspects-poc-vpn_lab\n1\n$`,
			"cd /var/snap && ls -d aspects-poc-vpn*; snap set "+lab+" interval=2m >/dev/null; snap get "+snapOf("vpn")+" interval 2>&1 | grep -c 'no \"interval\"'")
	})
	r.check("the instance leaves, the first one stays", func(ctx context.Context) error {
		if _, err := r.sh(ctx, "snap remove --purge "+lab); err != nil {
			return err
		}
		return errors.Join(r.active(ctx, "vpn"), r.prints(ctx, `^aspects-poc-vpn\n$`, "cd /var/snap && ls -d aspects-poc-vpn*"))
	})
}
