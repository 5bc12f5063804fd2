package script_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"aspects-poc/internal/kit/script"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/need"
	"aspects-poc/internal/program"
	"aspects-poc/registry/registrytest/testschema"
)

// The hooks of a custodian, in shell and in Python: each asks snapctl once, as most do.
var benchHooks = map[string][2]string{
	"sh": {"#!/bin/sh\nrate=$(snapctl get --view :control-telemetry sample-rate)\n[ \"$rate\" -lt 50 ] || snapctl fail \"too high\"\n",
		"#!/bin/sh\nsnapctl get --view :control-telemetry >\"$SNAP_COMMON/kept\"\n"},
	"python": {"#!/usr/bin/env python3\nimport json, subprocess\nrate = subprocess.check_output(['snapctl', 'get', '-d', '--view', ':control-telemetry'])\n" +
		"if json.loads(rate)['sample-rate'] >= 50:\n    subprocess.check_call(['snapctl', 'fail', 'too high'])\n",
		"#!/usr/bin/env python3\nimport os, subprocess\nwith open(os.environ['SNAP_COMMON'] + '/kept', 'wb') as kept:\n" +
			"    kept.write(subprocess.check_output(['snapctl', 'get', '--view', ':control-telemetry']))\n"},
}

// bareSnapctl answers by itself, without a machine.
const bareSnapctl = `#!/bin/sh
case "$*" in *" -d "*) echo "{\"sample-rate\": $RATE}" ;; get*) echo "$RATE" ;; esac
`

// BenchmarkHooks is 500 scripts with two writes each, of which one is refused: three hooks, and three or four calls of snapctl. The
// floor is the same hooks by the same interpreter, as often and as many at a time, with a snapctl of three lines that asks nobody.
// x-floor is how many times as long the scripts take.
func BenchmarkHooks(b *testing.B) {
	need.Program(b, "python3")
	snapctl := filepath.Join(program.Dir(b), "aspects-poc")
	for language, hooks := range benchHooks {
		b.Run(language, func(b *testing.B) {
			project := b.TempDir()
			for name, text := range map[string]string{
				"cust/meta/snap.yaml": "name: cust\nplugs:\n  control-telemetry: {interface: confdb, account: " + testschema.AccountID +
					", view: network/control-telemetry, role: custodian}\n",
				"cust/meta/hooks/change-view-control-telemetry": hooks[0],
				"cust/meta/hooks/save-view-control-telemetry":   hooks[1],
				"schema.json": string(testschema.Document()),
			} {
				path := filepath.Join(project, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					b.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
					b.Fatal(err)
				}
			}
			texts := make([]string, 500)
			for i := range texts {
				texts[i] = "schema schema.json\ninstall cust\nconnect cust\nset control-telemetry sample-rate=4\n" +
					"fail 'too high' set control-telemetry sample-rate=50\n"
			}
			dir := write(b, texts...)
			parsed := []facts.Schema{schema(b)}
			options := script.Options{Files: []string{dir}, Project: project, Program: snapctl,
				ReadSchema: func(string) ([]facts.Schema, error) { return parsed, nil }}
			var own, floor time.Duration
			rounds := 0
			for b.Loop() {
				rounds++
				report, err := script.Run(b.Context(), options)
				if err != nil || report.Failed() > 0 {
					b.Fatalf("%v, %d failed, first: %+v", err, report.Failed(), report.Results[0])
				}
				own += report.Took
				b.StopTimer()
				floor += bareHooks(b, filepath.Join(project, "cust", "meta", "hooks"), len(texts))
				b.StartTimer()
			}
			b.ReportMetric(float64(own.Microseconds())/float64(rounds*len(texts)), "µs/script")
			b.ReportMetric(float64(floor.Microseconds())/float64(rounds*len(texts)), "floor-µs/script")
			b.ReportMetric(float64(own)/float64(floor), "x-floor")
		})
	}
}

// bareHooks runs the three hooks of each script by themselves, as many at a time as scripts are run, and returns how long it took.
func bareHooks(b *testing.B, hooks string, scripts int) time.Duration {
	b.Helper()
	bin := b.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "snapctl"), []byte(bareSnapctl), 0o755); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	var running errgroup.Group
	running.SetLimit(runtime.GOMAXPROCS(0))
	for range scripts {
		running.Go(func() error {
			for _, run := range [][2]string{{"change", "4"}, {"save", "4"}, {"change", "50"}} {
				command := exec.CommandContext(b.Context(), filepath.Join(hooks, run[0]+"-view-control-telemetry"))
				command.Env = []string{"PATH=" + bin + ":/usr/local/bin:/usr/bin:/bin", "SNAP_COMMON=" + bin, "RATE=" + run[1]}
				if text, err := command.CombinedOutput(); err != nil {
					return fmt.Errorf("%w: %s", err, text)
				}
			}
			return nil
		})
	}
	if err := running.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
