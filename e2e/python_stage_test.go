//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"aspects-poc/internal/kit/assertion"
	"aspects-poc/internal/kit/generate"
	"aspects-poc/internal/kit/world/transcript"
	"aspects-poc/registry/confdb"
	"aspects-poc/roles/network"

	schemadoc "aspects-poc/internal/document"
)

// lamps is the snap with the generated Python module, custodian of the views of lamp.yaml that it uses.
const lamps = "lamps"

// python runs the module of registry generate python on a real snapd: over the socket, and in a strictly confined snap
// over snapctl. The snap contains this machine's Python, because the machine of the tests has none.
func (r *run) python(context.Context) {
	ready := r.check("python: a snap with the generated module and a Python", func(ctx context.Context) error {
		source, err := r.lampSource()
		if err != nil {
			return err
		}
		text, err := assertion.UnsignedText(source.Document)
		if err != nil {
			return err
		}
		if err := r.schema(ctx, source.Parsed.Name, text); err != nil {
			return err
		}
		probe, err := r.build(ctx, "e2e/probe", false)
		if err != nil {
			return err
		}
		module := filepath.Join(r.scratch, "lamp.py")
		if err := os.WriteFile(module, []byte(source.Python()), 0o600); err != nil {
			return err
		}
		files, err := r.bundle(ctx, module)
		if err != nil {
			return err
		}
		files["lamp.py"], files["program.py"], files["bin/probe"] = module, filepath.Join(r.root, "e2e", "python", "program.py"), probe
		plugs := map[string]string{}
		for _, view := range []string{"lamp-admin", "lamp-state", "lamp-filtered"} {
			plugs[view] = source.Parsed.Name + "/" + view
		}
		snap, err := snapTree{
			name: lamps,
			yaml: "environment: {PYTHONHOME: $SNAP}\napps:\n  program:\n    command: lib/ld.so --library-path $SNAP/lib $SNAP/bin/python3 -S -B $SNAP/program.py snap\n" +
				"plugs:\n" + custodianPlugs(plugs),
			files: files,
			hooks: []string{"change-view-lamp-admin"},
		}.pack(ctx, r.scratch, r.arch())
		if err != nil {
			return err
		}
		if err := r.push(ctx, folder+"/lamps.snap", snap); err != nil {
			return err
		}
		if _, err := r.sh(ctx, "snap install --dangerous "+folder+"/lamps.snap"); err != nil {
			return err
		}
		return r.connect(ctx, lamps)
	})
	if !ready {
		return
	}
	const outside = "PYTHONHOME=/snap/lamps/current /snap/lamps/current/lib/ld.so --library-path /snap/lamps/current/lib " +
		"/snap/lamps/current/bin/python3 -S -B /snap/lamps/current/program.py socket"
	for _, way := range []struct{ name, command string }{{"over the socket", outside}, {"in the snap", "snap run lamps.program"}} {
		for _, act := range []string{"holds", "errors"} {
			r.check("python: "+way.name+": "+act, func(ctx context.Context) error { return r.program(ctx, way.command+" "+act) })
		}
		r.check("python: "+way.name+": a custodian refuses", func(ctx context.Context) error {
			if err := r.hookScript(ctx, lamps, "change-view-lamp-admin", transcript.Script{Calls: [][]string{{"fail", "too bright"}}}); err != nil {
				return err
			}
			err := r.program(ctx, way.command+" refused")
			return errors.Join(err, r.hookScript(ctx, lamps, "change-view-lamp-admin", transcript.Script{}))
		})
	}
}

func (r *run) program(ctx context.Context, command string) error {
	output, err := r.sh(ctx, command+" 2>&1")
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	if !strings.HasSuffix(strings.TrimSpace(output), "done") {
		return fmt.Errorf("it prints %q", output)
	}
	return nil
}

// lampSource returns the confdb-schema of the generator's tests with our account.
func (r *run) lampSource() (*generate.Source, error) {
	file := filepath.Join(r.root, "internal", "kit", "generate", "testdata", "lamp.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	doc, err := schemadoc.Parse(file, text)
	if err != nil {
		return nil, err
	}
	doc.SetTimestamp(time.Unix(0, 0))
	doc.SetAccount(network.AccountID)
	signable, err := doc.SignInput(schemadoc.SignOptions{Account: network.AccountID})
	if err != nil {
		return nil, err
	}
	parsed, err := confdb.ParseDocument(signable)
	if err != nil {
		return nil, err
	}
	return generate.New("lamp.yaml", "aspects-poc e2e", parsed, signable)
}

// loaded prints the files of all modules that a program loads.
const loaded = `import sys
sys.path.insert(0, sys.argv[1])
import lamp, encodings.idna, encodings.latin_1, encodings.ascii, threading, queue, traceback
files = [m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None) and not m.__file__.startswith(sys.argv[1])]
import json
print(json.dumps([sys.executable] + sorted(set(files))))`

var library = regexp.MustCompile(`(?m)^\s*(?:\S+ => )?(/\S+) \(0x`)

// bundle returns the files of this machine's Python for the module: path in the snap -> file here.
func (r *run) bundle(ctx context.Context, module string) (map[string]string, error) {
	const python = "/usr/bin/python3"
	if r.arch() != runtime.GOARCH {
		return nil, fmt.Errorf("the machine is %s, and the Python of this machine is for %s", r.arch(), runtime.GOARCH)
	}
	output, err := exec.CommandContext(ctx, python, "-S", "-B", "-c", loaded, filepath.Dir(module)).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s for its modules (apt-get install python3): %w", python, err)
	}
	var list []string
	if err := json.Unmarshal(output, &list); err != nil {
		return nil, err
	}
	executable, err := filepath.EvalSymlinks(list[0])
	if err != nil {
		return nil, err
	}
	files := map[string]string{"bin/python3": executable}
	linked := []string{executable}
	for _, file := range list[1:] {
		files[strings.TrimPrefix(file, "/usr/")] = file
		if strings.HasSuffix(file, ".so") {
			linked = append(linked, file)
		}
	}
	output, err = exec.CommandContext(ctx, "ldd", linked...).Output()
	if err != nil {
		return nil, fmt.Errorf("ldd: %w", err)
	}
	for _, match := range library.FindAllStringSubmatch(string(output), -1) {
		name := filepath.Base(match[1])
		if strings.HasPrefix(name, "ld-linux") {
			name = "ld.so"
		}
		files["lib/"+name] = match[1]
	}
	return files, nil
}
