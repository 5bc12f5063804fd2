//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"aspects-poc/registry/network"
)

// faults breaks things and expects them to mend themselves, with nothing lost.
func (r *run) faults(context.Context) {
	var uuid string
	r.check("the device has an identity", func(ctx context.Context) error {
		text, err := r.sh(ctx, "snap get "+view(network.ObserveDeviceView)+" uuid")
		uuid = strings.TrimSpace(text)
		return err
	})
	r.check("the server is away for two minutes: control goes on counting", func(ctx context.Context) error {
		now, err := r.now(ctx)
		if err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap stop aspects-poc-server"); err != nil {
			return err
		}
		return errors.Join(
			r.logged(ctx, minutes, "control", now, "http://127.0.0.1:8000"), // it says what cannot be reached
			eventually(ctx, minutes, func(ctx context.Context) error {
				log, err := r.log(ctx, "control", now)
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
	r.check("snapd restarted in mid-change: the write is done or refused, not halved", func(ctx context.Context) error {
		text, err := r.sh(ctx, "(sleep 0.7; systemctl restart snapd) & snap set -t "+view(network.ControlTelemetryView)+
			" sample-rate=5 monitor-packets-received=true; wait; snap watch --last=set-confdb; snap get -d "+view(network.ControlTelemetryView))
		if err != nil {
			return err
		}
		both := strings.Contains(text, `"sample-rate": 5`) && strings.Contains(text, `"monitor-packets-received": true`)
		none := strings.Contains(text, `"sample-rate": 2`) && strings.Contains(text, `"monitor-packets-received": false`)
		if !both && !none {
			return fmt.Errorf("now it is %s", text)
		}
		return nil
	})
	r.check("the settings as they were", func(ctx context.Context) error {
		_, err := r.sh(ctx, "snap set -t "+view(network.ControlTelemetryView)+" sample-rate=2 monitor-packets-received=false")
		return err
	})
	for _, role := range []string{"control", "vpn", "reporting"} {
		r.check(snapOf(role)+"'s daemon killed: it is back and goes on", func(ctx context.Context) error {
			now, err := r.now(ctx)
			if err != nil {
				return err
			}
			if _, err := r.sh(ctx, "systemctl kill -s KILL snap."+snapOf(role)+".daemon.service"); err != nil {
				return err
			}
			line := map[string]string{"control": "eth0: ", "vpn": "tunnel", "reporting": "Next run in"}[role]
			if err := r.logged(ctx, minutes, role, now, line); err != nil && role != "vpn" {
				return err
			}
			return r.active(ctx, role)
		})
	}
	r.check("the power is cut in mid-write and comes back", func(ctx context.Context) error {
		writing, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			// The connection breaks when the machine goes.
			_, _ = r.sh(writing, "while :; do for n in 2 3; do snap set -t "+view(network.ControlTelemetryView)+" sample-rate=$n; done; done")
		}()
		time.Sleep(5 * time.Second)
		_, err := r.control(ctx, "cut")
		stop()
		<-done
		if err != nil {
			return err
		}
		_, err = r.control(ctx, "again")
		return err
	})
	for _, role := range roleNames {
		r.check(snapOf(role)+"'s daemon runs again", func(ctx context.Context) error {
			return eventually(ctx, minutes, func(ctx context.Context) error { return r.active(ctx, role) })
		})
	}
	r.check("the device is who it was, for the views and for the server", func(ctx context.Context) error {
		return eventually(ctx, minutes, func(ctx context.Context) error {
			if err := r.prints(ctx, "^"+uuid+"\n$", "snap get "+view(network.ObserveDeviceView)+" uuid"); err != nil {
				return err
			}
			return r.prints(ctx, "^200$", "curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/state/"+uuid+"/")
		})
	})
	r.check("control goes on counting, and does not register again", func(ctx context.Context) error {
		if err := r.logged(ctx, minutes, "control", "", "eth0: "); err != nil {
			return err
		}
		log, err := r.log(ctx, "control", "-10min")
		if err != nil {
			return err
		}
		// The journal is in memory: what is there is of this boot.
		if strings.Contains(log, "registered.") {
			return errors.New(log)
		}
		return nil
	})
	r.check("nothing is half-written", func(ctx context.Context) error {
		return errors.Join(
			r.prints(ctx, `"sample-rate": [23]\n`, "snap get -d "+view(network.ControlTelemetryView)),
			r.prints(ctx, `"ip-address": "172.16.0.3"(.|\n)*"ip-address": "192.168.0.104"`, "snap get -d "+view(network.ControlInterfacesView)+" config"))
	})
	r.check("the counters did not go back to nothing", func(ctx context.Context) error {
		return r.prints(ctx, `packets-sent.eth0 +[1-9]\d*\n`, "snap get -l "+view(network.ObserveInterfacesView)+" packets-sent")
	})
}

func (r *run) active(ctx context.Context, role string) error {
	text, err := r.sh(ctx, "systemctl is-active snap."+snapOf(role)+".daemon.service || true")
	if err == nil && text != "active\n" {
		err = fmt.Errorf("the daemon of %s is %s", role, text)
	}
	return err
}

// remove removes the four snaps and looks for what they leave behind.
func (r *run) remove(context.Context) {
	for _, role := range []string{"reporting", "vpn", "control", "server"} {
		r.check("remove "+snapOf(role), func(ctx context.Context) error {
			_, err := r.sh(ctx, "snap remove --purge "+snapOf(role))
			return err
		})
	}
	r.check("nothing of them is left", func(ctx context.Context) error {
		text, err := r.sh(ctx, "ls -d /var/snap/aspects-poc-* /snap/aspects-poc-* /root/snap/aspects-poc-* /etc/systemd/system/snap.aspects-poc-* 2>/dev/null; pgrep -a aspects-poc; true")
		if err == nil && text != "" {
			err = errors.New(text)
		}
		return err
	})
}
