// Package script runs test scripts for confdb-schemas and snaps. Scripts are in testscript's format, with further commands
// that act on an imitated machine, such as install, set and expect. Each script has its own machine. Its main function is Run.
//
//	# A rate that is too high is refused.
//	schema schema.json
//	install custodian
//	connect custodian
//	set control-telemetry sample-rate=4
//	expect control-telemetry sample-rate=4
//	fail 'rate too high' set control-telemetry sample-rate=99
//
// Usage lists all commands. Package world imitates the machine, and package hookrun runs the hooks as processes.
package script

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"aspects-poc/internal/kit/source"
	"aspects-poc/internal/kit/world/facts"
)

// Options configure Run.
type Options struct {
	// Files are scripts. A folder means the .txtar and .txt files in it.
	Files []string
	// Schemas are known on each machine.
	Schemas []facts.Schema
	// Snaps are folders with the source of a snap. Each machine has them installed and connected.
	Snaps []string
	// Project is $PROJECT in scripts; "" is the working directory. The commands schema and install read a file from there if
	// the script has no such file.
	Project string
	// Program is the program that hooks find as snapctl.
	Program string
	// Account is the account ID for snaps whose files have a placeholder instead of one.
	Account string
	// ReadSchema reads the confdb-schemas of a file for the command schema.
	ReadSchema func(path string) ([]facts.Schema, error)
	// RunServices starts the services of installed snaps.
	RunServices bool
	// Parallel is the number of scripts that run at a time; 0 means one for each processor.
	Parallel int
	// Verbose returns the whole log of each script. Without it, a log has only the section that failed.
	Verbose bool
	// Update replaces the files in a script that its cmp commands find to differ.
	Update bool
	// Done, if not nil, receives the result of each script at its end, one at a time.
	Done func(Result)

	atBreak func(*testscript.TestScript) // of RunUntil
}

// A Result is the outcome of one script.
type Result struct {
	Name, File string
	Took       time.Duration
	Failed     bool
	Skipped    bool
	Log        string
	// Warnings are about failed hooks of observers, which do not fail the script. Each is a line, followed by the lines that the
	// hook has printed.
	Warnings []string
	// Uses are the files and folders of the project that the script's commands have used: confdb-schemas, snaps, values.
	Uses []string
}

// A Report is the outcome of all scripts.
type Report struct {
	Results  []Result // in the order of the files
	Took     time.Duration
	Coverage *Coverage
}

// Failed returns the number of scripts that have failed.
func (r *Report) Failed() int {
	failed := 0
	for _, result := range r.Results {
		if result.Failed {
			failed++
		}
	}
	return failed
}

// A suite is the state that all scripts of a run share.
type suite struct {
	ctx      context.Context // of the run: testscript's commands get none
	options  Options
	stage    string // a folder that is removed at the end of the run
	snaps    []facts.Snap
	coverage *Coverage
}

// Run runs scripts, several at a time. The report says which of them failed. Run returns an error if it cannot run them, or
// if ctx ends first; then it stops the scripts and their hooks.
func Run(ctx context.Context, options Options) (*Report, error) {
	files, err := Files(options.Files)
	if err != nil {
		return nil, fmt.Errorf("cannot run scripts: %w", err)
	}
	if options.Project == "" {
		if options.Project, err = os.Getwd(); err != nil {
			return nil, fmt.Errorf("cannot run scripts: %w", err)
		}
	}
	stage, err := os.MkdirTemp("", "aspects-poc-test-")
	if err != nil {
		return nil, fmt.Errorf("cannot run scripts: %w", err)
	}
	defer os.RemoveAll(stage) //nolint:errcheck // the system cleans up its folder for temporary files
	s := &suite{ctx: ctx, options: options, stage: stage, coverage: newCoverage()}
	for _, schema := range options.Schemas {
		s.coverage.addSchema(schema)
	}
	for _, dir := range options.Snaps {
		found, err := source.Load(dir, source.Options{Stage: filepath.Join(stage, "snaps"), Account: options.Account})
		if err != nil {
			return nil, err
		}
		s.snaps = append(s.snaps, found.Snap)
	}
	began := time.Now()
	results := s.runAll(files)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cannot run scripts to their end: %w", context.Cause(ctx))
	}
	return &Report{Results: results, Took: time.Since(began), Coverage: s.coverage}, nil
}

func (s *suite) runAll(files []string) []Result {
	results := make([]Result, len(files))
	places := make(chan struct{}, cmp.Or(s.options.Parallel, runtime.GOMAXPROCS(0)))
	var running sync.WaitGroup
	var reporting sync.Mutex
	for i, file := range files {
		places <- struct{}{}
		if s.ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			results[i] = s.runOne(file)
			if s.options.Done != nil {
				reporting.Lock()
				defer reporting.Unlock()
				s.options.Done(results[i])
			}
		})
	}
	running.Wait()
	return results
}

// Files replaces folders by the scripts in them. It returns an error if a path does not exist or has no script.
func Files(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s does not exist: name the scripts, or a folder of scripts", path)
		}
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		before := len(files)
		for _, pattern := range []string{"*.txtar", "*.txt"} {
			inside, err := filepath.Glob(filepath.Join(path, pattern))
			if err != nil {
				return nil, err
			}
			files = append(files, inside...)
		}
		if len(files) == before {
			return nil, fmt.Errorf("there is no .txtar or .txt file in %s", path)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no script is named")
	}
	return files, nil
}
