// Package script runs test scripts for confdb-schemas and snaps: testscript's format, with commands that set, get, install
// and expect on an imitated machine, which each script has for itself. Its main function is Run.
//
//	# A rate that is too high is refused.
//	schema schema.json
//	install custodian
//	connect custodian
//	set control-telemetry sample-rate=4
//	expect control-telemetry sample-rate=4
//	fail 'rate too high' set control-telemetry sample-rate=99
//
// Usage lists all commands. Hooks are run as processes, see package hookrun.
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

	"aspects-poc/internal/kit/source"
	"aspects-poc/internal/kit/world/facts"
)

// Options say what to run.
type Options struct {
	// Files are scripts; a folder stands for the .txtar and .txt files in it.
	Files []string
	// Schemas are known on each machine, and Snaps, folders with a snap's source, are installed and connected there.
	Schemas []facts.Schema
	Snaps   []string
	// Project is $PROJECT in scripts, and where the commands schema and install look for what is not among the script's
	// own files; "" is the working directory.
	Project string
	// Program is what hooks find as snapctl.
	Program string
	Account string // the account ID where the files of snaps have the place for one only
	// ReadSchema reads the confdb-schemas of a file for the command schema.
	ReadSchema func(path string) ([]facts.Schema, error)
	// RunServices starts the services of installed snaps.
	RunServices bool
	// Parallel is how many scripts run at a time; 0: as many as there are processors.
	Parallel int
	// Verbose wants the whole log of each script, else it has only what came before a failure.
	Verbose bool
	// Update rewrites files in scripts that cmp finds to differ.
	Update bool
	// Done, if not nil, is told of each script that has ended, one at a time.
	Done func(Result)
}

// A Result is what became of one script.
type Result struct {
	Name, File string
	Took       time.Duration
	Failed     bool
	Skipped    bool
	Log        string
}

// A Report is what became of all scripts.
type Report struct {
	Results  []Result // in the order of the files
	Took     time.Duration
	Coverage *Coverage
}

// Failed tells how many scripts have failed.
func (r *Report) Failed() int {
	failed := 0
	for _, result := range r.Results {
		if result.Failed {
			failed++
		}
	}
	return failed
}

// A suite is what all scripts of a run share.
type suite struct {
	ctx      context.Context // of the run: testscript's commands get none
	options  Options
	stage    string // folder that lives as long as the run
	snaps    []facts.Snap
	coverage *Coverage
}

// Run runs scripts, several at a time. The error is that they could not be run; that some failed is in the report. When
// ctx ends, so do the hooks that run, with their scripts, and no other is begun: that is an error.
func Run(ctx context.Context, options Options) (*Report, error) {
	files, err := expand(options.Files)
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
	defer os.RemoveAll(stage) //nolint:errcheck // in the system's folder for such
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
	var telling sync.Mutex
	for i, file := range files {
		places <- struct{}{}
		if s.ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			results[i] = s.runOne(file)
			if s.options.Done != nil {
				telling.Lock()
				defer telling.Unlock()
				s.options.Done(results[i])
			}
		})
	}
	running.Wait()
	return results
}

// expand replaces folders by the scripts in them.
func expand(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no %s: give the scripts, or the folder that has them", path)
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
		return nil, errors.New("none is named")
	}
	return files, nil
}
