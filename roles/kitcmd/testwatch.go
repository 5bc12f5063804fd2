package kitcmd

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"aspects-poc/internal/kit/script"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

// A testWatcher runs scripts again when a file that they use changes.
type testWatcher struct {
	env     *roles.Env
	paths   []string                       // the arguments: scripts and their folders
	again   func() (script.Options, error) // reads the options' files again
	printer *testPrinter
	files   *fsnotify.Watcher
	common  []string                 // files and folders that all scripts use
	fresh   []string                 // folders that are watched since this round, because its scripts named something in them
	results map[string]script.Result // last result by script
}

// testWatch runs scripts, and then repeats those that a change concerns, until ctx ends.
func testWatch(env *roles.Env, c *cli.Context, options script.Options, printer *testPrinter) error {
	for _, flag := range []string{"junit", "coverage", flagCoverageHTML, "update"} {
		if c.IsSet(flag) {
			return roles.Usagef("--%s and --%s do not go together", flagWatch, flag)
		}
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch files: %w", err)
	}
	defer func() { _ = watcher.Close() }() // only read
	w := &testWatcher{env: env, paths: options.Files, printer: printer, files: watcher, results: map[string]script.Result{},
		common: slices.Concat(c.StringSlice(flagSchema), options.Snaps)}
	w.again = func() (script.Options, error) {
		schemas, err := readSchemas(c.StringSlice(flagSchema), options.Account, readSchema)
		next := options
		next.Schemas = schemas
		return next, err
	}
	for changed, goOn := []string(nil), true; goOn; {
		begun := time.Now()
		if err := w.round(c.Context, changed); err != nil {
			return err
		}
		if changed = w.missed(begun); changed == nil {
			changed, goOn = w.wait(c.Context)
		}
	}
	return nil
}

// complain prints an error that may pass, such as a fault in a file that somebody edits.
func (w *testWatcher) complain(err error) {
	fmt.Fprintln(w.env.Stderr, "error:", err) //nolint:errcheck // nothing else can report it
}

// round runs the scripts that a change concerns, and prints the state of all.
func (w *testWatcher) round(ctx context.Context, changed []string) error {
	files, err := script.Files(w.paths)
	var chosen []string
	for _, file := range files {
		if _, ran := w.results[file]; !ran || changed == nil || w.concerned(file, changed) {
			chosen = append(chosen, file)
		}
	}
	if err := w.follow(files); err != nil { // watched before they are read, so that a later change runs them again
		return err
	}
	w.fresh = nil
	if err == nil && len(chosen) == 0 {
		return nil
	}
	if roles.IsTerminal(w.env.Stdout) {
		fmt.Fprint(w.env.Stdout, "\x1b[H\x1b[2J") //nolint:errcheck // the next write returns the error
	}
	var options script.Options
	if err == nil {
		options, err = w.again()
	}
	if err == nil {
		options.Files = chosen
		options.Done = func(r script.Result) {
			w.results[r.File] = r
			w.printer.done(r)
		}
		_, err = script.Run(ctx, options)
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		w.complain(err)
		for _, file := range chosen {
			delete(w.results, file)
		}
	}
	if err := w.follow(files); err != nil { // the files that the scripts named
		return err
	}
	passed, failed := 0, []string(nil)
	for _, file := range files {
		switch r, ran := w.results[file]; {
		case ran && r.Failed:
			failed = append(failed, file)
		case ran:
			passed++
		}
	}
	state := fmt.Sprintf("%d passed", passed)
	if failed != nil {
		state += fmt.Sprintf(", %d failed: %s", len(failed), strings.Join(failed, " "))
	}
	_, err = fmt.Fprintf(w.env.Stdout, "%s; waiting for changes, until Ctrl-C\n", state)
	return err
}

// missed returns the files that scripts name, that were not watched when the round began, and that have changed since.
func (w *testWatcher) missed(begun time.Time) (changed []string) {
	for _, dir := range w.fresh {
		entries, _ := os.ReadDir(dir) // no script has read a file of an unreadable folder
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil && !info.ModTime().Before(begun) && !passing(entry.Name()) {
				changed = append(changed, filepath.Join(dir, entry.Name()))
			}
		}
	}
	w.fresh = nil
	return changed
}

// concerned reports whether a change concerns a script or a file that it names.
func (w *testWatcher) concerned(file string, changed []string) bool {
	names := slices.Concat([]string{file}, w.common, w.results[file].Uses)
	return slices.ContainsFunc(changed, func(path string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			full, err := filepath.Abs(name)
			return err == nil && (path == full || strings.HasPrefix(path, full+"/"))
		})
	})
}

// follow watches the folders of files. A watch of the file itself would end when an editor replaces the file.
func (w *testWatcher) follow(files []string) error {
	names := slices.Concat(w.paths, files, w.common)
	for _, r := range w.results {
		names = append(names, r.Uses...)
	}
	known := w.files.WatchList()
	for _, name := range names {
		full, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		for _, dir := range append(foldersIn(full), filepath.Dir(full)) {
			if slices.Contains(known, dir) {
				continue
			}
			if err := w.files.Add(dir); err != nil {
				return fmt.Errorf("cannot watch %s: %w", dir, err)
			}
			known, w.fresh = append(known, dir), append(w.fresh, dir)
		}
	}
	return nil
}

// foldersIn returns a folder and the folders in it, without hidden ones and those of Python; nothing for a file.
func foldersIn(path string) (list []string) {
	_ = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error { // an unreadable folder cannot be watched
		switch {
		case err != nil:
			return nil
		case !entry.IsDir():
			return nil
		case name != path && passing(name):
			return filepath.SkipDir
		}
		list = append(list, name)
		return nil
	})
	return list
}

// passing reports whether a file or folder is a temporary one of an editor or of Python.
func passing(name string) bool {
	base := filepath.Base(name)
	return strings.HasPrefix(base, ".") || strings.HasSuffix(base, "~") || base == "__pycache__"
}

// wait returns the changed files once no file has changed for a moment; nil if any file may have changed. goOn is false
// if ctx ends first.
func (w *testWatcher) wait(ctx context.Context) (changed []string, goOn bool) {
	all := false
	still := time.NewTimer(time.Hour)
	still.Stop()
	for {
		select {
		case event := <-w.files.Events:
			if !passing(event.Name) {
				changed = append(changed, event.Name)
				still.Reset(quietTime)
			}
		case err := <-w.files.Errors: // an event may be lost
			w.complain(err)
			all = true
			still.Reset(quietTime)
		case <-still.C:
			if all {
				return nil, true
			}
			return changed, true
		case <-ctx.Done():
			return nil, false
		}
	}
}
