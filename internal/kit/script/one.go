package script

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// one is the testscript.T of one script, without package testing.
type one struct {
	verbose bool
	name    string
	log     strings.Builder
	machine *machine // nil until it is set up
	failed  bool
	skipped bool
}

func (s *suite) runOne(file string) Result {
	t := &one{verbose: s.options.Verbose}
	began := time.Now()
	t.wait(func() {
		testscript.RunT(t, testscript.Params{
			Files: []string{file}, Setup: func(env *testscript.Env) (err error) {
				t.machine, err = s.setup(env)
				return err
			}, Cmds: s.commands(), UpdateScripts: s.options.Update, RequireUniqueNames: true,
		})
	})
	name := t.name
	if name == "" {
		name = filepath.Base(file)
	}
	result := Result{Name: name, File: file, Took: time.Since(began), Failed: t.failed, Skipped: t.skipped, Log: t.log.String()}
	if t.machine != nil {
		result.Uses, result.Warnings = t.machine.uses, t.machine.warned()
	}
	return result
}

// wait runs a function on a new goroutine, which the function may end, and waits for the end.
func (t *one) wait(act func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		act()
	}()
	<-done
}

func (t *one) Run(name string, act func(testscript.T)) {
	t.name = name
	t.wait(func() { act(t) })
}

func (t *one) Log(args ...any) { t.log.WriteString(fmt.Sprintln(args...)) }
func (t *one) Parallel()       {}
func (t *one) Verbose() bool   { return t.verbose }

func (t *one) FailNow() {
	t.failed = true
	runtime.Goexit()
}

func (t *one) Fatal(args ...any) {
	t.Log(args...)
	t.FailNow()
}

func (t *one) Skip(args ...any) {
	t.Log(args...)
	t.skipped = true
	runtime.Goexit()
}
