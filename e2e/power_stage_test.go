//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"aspects-poc/roles/network"
)

// power cuts the machine's power during a write, and expects the same device back.
func (r *run) power(context.Context) {
	var uuid string
	r.check("the device has an identity", func(ctx context.Context) error {
		text, err := r.sh(ctx, "snap get "+view(network.ObserveDeviceView)+" uuid")
		uuid = strings.TrimSpace(text)
		return err
	})
	r.check("the power is cut in mid-write and comes back", func(ctx context.Context) error {
		machine := r.machine.(vm)
		writing, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			// The connection breaks with the machine.
			_, _ = r.sh(writing, "while :; do for n in 2 3; do snap set -t "+view(network.ControlTelemetryView)+" sample-rate=$n; done; done")
		}()
		time.Sleep(5 * time.Second)
		err := machine.cut(ctx)
		stop()
		<-done
		if err != nil {
			return err
		}
		return machine.again(ctx)
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
			return r.prints(ctx, "^200$", curlOperator+" -o /dev/null -w '%{http_code}' http://127.0.0.1:8000/state/"+uuid+"/")
		})
	})
	r.check("control goes on counting, and does not register again", func(ctx context.Context) error {
		booted, err := r.sh(ctx, "uptime -s")
		if err != nil {
			return err
		}
		booted = strings.TrimSpace(booted)
		if err := r.logged(ctx, minutes, "control", booted, "eth0: "); err != nil {
			return err
		}
		log, err := r.log(ctx, "control", booted)
		if err != nil {
			return err
		}
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
