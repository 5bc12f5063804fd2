//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"aspects-poc/roles/network"
)

// The patience for what takes a minute on a real machine. An emulated one is slower.
const minutes = 4 * time.Minute

// readme runs the commands of the README in order, with the stock snap command, from outside of the snaps.
func (r *run) readme(context.Context) {
	var packets int
	r.check("the counters, for later", func(ctx context.Context) (err error) {
		packets, err = r.packets(ctx)
		return err
	})
	r.shows(`get %s -d`, network.ObserveDeviceView,
		"{\n\t\"registered\": \\d{10},\n\t\"uuid\": \"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\"\n}\n")
	r.shows(`get %s config -d`, network.ControlInterfacesView, regexp.QuoteMeta(document(map[string]any{
		"config": map[string]any{
			"eth0":  map[string]any{"interface-type": "ethernet", "ip-address": "172.16.0.3"},
			"wlan0": map[string]any{"interface-type": "wifi", "ip-address": "192.168.0.104"},
		},
	})))
	r.shows(`get %s -d`, network.ControlTunnelView, regexp.QuoteMeta(document(map[string]any{
		"interface": "eth0", "peers": []string{"192.168.21.3", "192.168.151.225", "192.168.21.7"},
	})))
	r.shows(`get %s -d`, network.ControlTelemetryView, regexp.QuoteMeta(document(map[string]any{
		"monitor-packets-received": false, "monitor-packets-sent": true, "monitor-peers": true, "sample-rate": 2,
	})))
	r.shows(`get %s -d`, network.ControlDeviceView, regexp.QuoteMeta(document(map[string]any{
		"server-url": "http://127.0.0.1:8000",
	})))
	r.shows(`get %s packets-received -l`, network.ObserveInterfacesView,
		`Key                     Value\npackets-received.eth0   \d+\npackets-received.wlan0  \d+\n`)
	r.shows(`get %s packets-sent -l`, network.ObserveInterfacesView,
		`Key                 Value\npackets-sent.eth0   \d+\npackets-sent.wlan0  \d+\n`)
	r.shows(`get %s peers`, network.ObserveTunnelView,
		regexp.QuoteMeta("[\n\t\"192.168.21.3\",\n\t\"192.168.151.225\",\n\t\"192.168.21.7\"\n]\n"))
	r.check("snap logs aspects-poc-control: packets of each interface", func(ctx context.Context) error {
		return errors.Join(
			r.snapLogs(ctx, "control", `eth0: \d+ packets ↑, \d+ packets ↓`), r.snapLogs(ctx, "control", `wlan0: \d+ packets ↑, \d+ packets ↓`),
			r.snapLogs(ctx, "control", `Device [0-9a-f-]{36} registered\.`))
	})
	r.check("snap logs aspects-poc-vpn: what became of the peers", func(ctx context.Context) error {
		return r.snapLogs(ctx, "vpn", `No changes to tunnel\.|Peer node .* (dropped|joined)\.`)
	})
	r.check("snap logs aspects-poc-reporting: a report", func(ctx context.Context) error {
		return errors.Join(r.snapLogs(ctx, "reporting", `device-id: [0-9a-f-]{36}`),
			r.snapLogs(ctx, "reporting", `packets-sent: eth0 \d+, wlan0 \d+`), r.snapLogs(ctx, "reporting", `tunnel-peers: .*\d`),
			r.snapLogs(ctx, "reporting", `Next run in \d+\.\d\d seconds`))
	})
	r.check("the server's documentation at /docs", func(ctx context.Context) error {
		return r.prints(ctx, `(?is)<html.*swagger`, "curl -sSfL http://127.0.0.1:8000/docs")
	})
	r.check("the server's /openapi.json", func(ctx context.Context) error {
		return r.prints(ctx, `/target-config/`, "curl -sSf http://127.0.0.1:8000/openapi.json | jq -r '.paths | keys[]'")
	})
	r.check("the control daemon counts every minute", r.everyMinute)
	r.check("observe-interfaces has grown", func(ctx context.Context) error {
		return eventually(ctx, 2*minutes, func(ctx context.Context) error { // the last count may be from before packets were read
			now, err := r.packets(ctx)
			if err == nil && now <= packets {
				err = fmt.Errorf("all packets together are %d, as before", now)
			}
			return err
		})
	})
	r.check("aspects-poc-control run --once, by hand", func(ctx context.Context) error {
		begin := time.Now()
		err := r.prints(ctx, `eth0: \d+ packets ↑, \d+ packets ↓\nwlan0: \d+ packets ↑, \d+ packets ↓\n`, "aspects-poc-control run --once")
		r.figure("aspects-poc-control run --once: %.1f s", time.Since(begin).Seconds())
		return err
	})
	if !r.era.hooks {
		return // the rest needs daemons that hear of changes
	}
	r.target()
	r.check("a changed sample-rate is obeyed at once", func(ctx context.Context) error {
		now, err := r.now(ctx)
		if err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap set "+view(network.ControlTelemetryView)+" sample-rate=12"); err != nil {
			return err
		}
		return r.logged(ctx, time.Minute, "reporting", now, "Next run in 5.00 seconds")
	})
	r.check("the target withdrawn, and sample-rate=2 again", func(ctx context.Context) error {
		if err := r.putTarget(ctx, `{}`); err != nil {
			return err
		}
		_, err := r.sh(ctx, "snap set "+view(network.ControlTelemetryView)+" sample-rate=2")
		return err
	})
	r.check("two idle minutes: no write, at most 6 reads that snapd has work with", r.idle)
	r.check("what the daemons take of memory, and snapd's state of the disk", func(ctx context.Context) error {
		state, err := r.sh(ctx, "stat -c %s /var/lib/snapd/state.json")
		if err != nil {
			return err
		}
		r.figure("state.json: %s bytes", strings.TrimSpace(state))
		for _, role := range roleNames {
			text, err := r.sh(ctx, "pid=$(systemctl show -P MainPID snap."+snapOf(role)+".daemon.service); awk '/VmRSS/ {print $2}' /proc/$pid/status")
			if err != nil {
				return err
			}
			r.figure("%s.daemon: %s kB resident", snapOf(role), strings.TrimSpace(text))
		}
		return nil
	})
}

// idle counts snapd's changes while nothing happens: writes, and the reads for which a hook runs. Other reads through
// snapctl leave no trace. The peers of the tunnel are those of the installation.
func (r *run) idle(ctx context.Context) error {
	const look = `curl -s --unix-socket /run/snapd.socket 'http://snapd/v2/changes?select=all' | jq -r '.result[] | select(.kind | endswith("-confdb")) | "\(.id) \(.kind) \(.summary)"' | sort -n`
	const written = `awk '/^wchar/ {print $2}' /proc/$(systemctl show -P MainPID snapd)/io`
	text, err := r.sh(ctx, look+" | tail -n 1; "+written+"; sleep 120; "+written+"; "+look)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) < 4 {
		return fmt.Errorf("snapd answered %q", text)
	}
	var before, after int
	if _, err := fmt.Sscan(lines[1]+" "+lines[2], &before, &after); err != nil {
		return fmt.Errorf("%w in %q", err, text)
	}
	var reads, writes []string
	for _, line := range lines[3+slices.Index(lines[3:], lines[0])+1:] {
		if strings.Contains(line, "get-confdb") {
			reads = append(reads, line)
		} else {
			writes = append(writes, line)
		}
	}
	r.figure("two idle minutes: %d writes, %d reads with hooks, %.1f MB written by snapd", len(writes), len(reads), float64(after-before)/1e6)
	if len(writes) > 0 || len(reads) > 6 {
		return fmt.Errorf("%d writes, %d reads: %q", len(writes), len(reads), append(writes, reads...))
	}
	return nil
}

// target sets a target on the server, and expects it in the views and in the logs of their users.
func (r *run) target() {
	var since string
	r.check("put a target on the server", func(ctx context.Context) (err error) {
		if since, err = r.now(ctx); err != nil {
			return err
		}
		return r.putTarget(ctx, `{"control-telemetry":{"sample-rate":6},"control-tunnel":{"peers":["10.77.0.1","10.77.0.2"]}}`)
	})
	r.check("the target arrives in control-telemetry", func(ctx context.Context) error {
		return eventually(ctx, minutes, func(ctx context.Context) error {
			return r.prints(ctx, `^6\n$`, "snap get "+view(network.ControlTelemetryView)+" sample-rate")
		})
	})
	r.check("the target arrives in observe-tunnel", func(ctx context.Context) error {
		return eventually(ctx, minutes, func(ctx context.Context) error {
			return r.prints(ctx, `10\.77\.0\.[12]`, "snap get "+view(network.ObserveTunnelView)+" peers")
		})
	})
	r.check("control logs the target", func(ctx context.Context) error {
		return r.logged(ctx, minutes, "control", since, "Target applied to control-telemetry: sample-rate=6.")
	})
	r.check("vpn logs the target's peers", func(ctx context.Context) error {
		return r.logged(ctx, minutes, "vpn", since, "10.77.0.1 joined")
	})
	r.check("reporting obeys the target", func(ctx context.Context) error {
		return r.logged(ctx, minutes, "reporting", since, "Next run in 10.00 seconds")
	})
	r.check("the server hears that the device is in step", func(ctx context.Context) error {
		return eventually(ctx, minutes, func(ctx context.Context) error {
			return r.prints(ctx, `"sample-rate": *6`, curlOperator+` -f http://127.0.0.1:8000/state/$(snap get `+view(network.ObserveDeviceView)+` uuid)/`)
		})
	})
}

// curlOperator is curl with the token that the server snap has made. A server before 0.4 needs no token, and has no
// file.
const curlOperator = `curl -sS -H "Authorization: Bearer $(cat /var/snap/aspects-poc-server/common/server.db.token 2>/dev/null)"`

func (r *run) putTarget(ctx context.Context, config string) error {
	return r.prints(ctx, "^200$", curlOperator+` -o /dev/null -w '%{http_code}' -X PUT http://127.0.0.1:8000/target-config/ `+
		`-H 'Content-Type: application/json' -d '{"config":`+config+`}'`)
}

// shows checks the output of a snap command about a view. format has the view's place.
func (r *run) shows(format, of, pattern string) {
	r.check("snap "+fmt.Sprintf(format, of), func(ctx context.Context) error {
		return eventually(ctx, minutes, func(ctx context.Context) error {
			return r.prints(ctx, "^"+pattern+"$", "snap "+fmt.Sprintf(format, view(of)))
		})
	})
}

// prints runs a command and checks its output.
func (r *run) prints(ctx context.Context, pattern, command string) error {
	text, err := r.sh(ctx, command)
	if err != nil {
		return err
	}
	if !regexp.MustCompile(pattern).MatchString(text) {
		return fmt.Errorf("%s printed %q, want %q", command, text, pattern)
	}
	return nil
}

func (r *run) snapLogs(ctx context.Context, role, pattern string) error {
	return eventually(ctx, minutes, func(ctx context.Context) error {
		return r.prints(ctx, snapOf(role)+`\.daemon\[\d+\]: .*(`+pattern+`)|(?m)\]:\s+(`+pattern+`)`, "snap logs "+snapOf(role)+" -n 200")
	})
}

// everyMinute checks the times at which the control daemon has logged eth0.
func (r *run) everyMinute(ctx context.Context) error {
	return eventually(ctx, 2*minutes, func(ctx context.Context) error {
		log, err := r.log(ctx, "control", "")
		if err != nil {
			return err
		}
		var times []time.Time
		for line := range strings.Lines(log) {
			if !strings.Contains(line, ": eth0: ") {
				continue
			}
			at, err := time.Parse("2006-01-02T15:04:05.000000-07:00", strings.Fields(line)[0])
			if err != nil {
				return err
			}
			times = append(times, at)
		}
		if len(times) < 3 {
			return fmt.Errorf("it counted %d times", len(times))
		}
		// The emulated machine may delay a cycle. It is enough that each minute has one.
		last := times[len(times)-3:]
		if took := last[2].Sub(last[0]); took < 100*time.Second || took > 160*time.Second {
			return fmt.Errorf("three counts took %v: %v", took, last)
		}
		return nil
	})
}

// packets returns the packets of all interfaces together.
func (r *run) packets(ctx context.Context) (int, error) {
	text, err := r.sh(ctx, "snap get -d "+view(network.ObserveInterfacesView)+" packets-sent packets-received")
	if err != nil {
		return 0, err
	}
	var document map[string]map[string]int
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return 0, err
	}
	sum := 0
	for _, counters := range document {
		for _, n := range counters {
			sum += n
		}
	}
	return sum, nil
}

// document returns a value as snap get -d prints it.
func document(value any) string {
	text, err := json.MarshalIndent(value, "", "\t")
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}
