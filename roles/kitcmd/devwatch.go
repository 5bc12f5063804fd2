package kitcmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"aspects-poc/internal/kit/world/facts"
)

// quietTime is how long files must stay unchanged before they are read again, because editors save in several steps.
const quietTime = 100 * time.Millisecond

// watchFiles reads files again when they change, until ctx ends.
func (s *workshop) watchFiles(ctx context.Context, watch []string) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.say("files are not read again when they change: %v", err)
		for {
			select {
			case <-s.tried:
			case <-ctx.Done():
				return nil
			}
		}
	}
	defer func() { _ = watcher.Close() }() // only read
	if err := s.follow(watcher, watch); err != nil {
		return err
	}
	still := time.NewTimer(time.Hour)
	still.Stop()
	for {
		select {
		case <-watcher.Events:
			still.Reset(quietTime)
		case err := <-watcher.Errors:
			s.log.say("watching files: %v", err)
			still.Reset(quietTime) // an event may be lost
		case <-still.C:
			if err := s.follow(watcher, s.reload(ctx)); err != nil {
				s.log.say("watching files: %v", err)
			}
		case more := <-s.tried:
			if err := s.follow(watcher, more); err != nil {
				s.log.say("watching files: %v", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// follow watches the folders of files. A watch of the file itself would end when an editor replaces the file.
func (s *workshop) follow(watcher *fsnotify.Watcher, watch []string) error {
	known := watcher.WatchList()
	for _, path := range watch {
		for _, dir := range []string{filepath.Dir(path), path} {
			if slices.Contains(known, dir) {
				continue
			}
			if err := watcher.Add(dir); err != nil && dir != path { // the path may be a file, or not exist yet
				return fmt.Errorf("cannot watch %s: %w", dir, err)
			}
		}
	}
	return nil
}

// reload reads everything again, and returns the files and folders to watch. A file that cannot be read changes
// nothing.
func (s *workshop) reload(ctx context.Context) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	watch := slices.Clone(s.files)
	for _, file := range s.files {
		s.reportOnce(file, s.loadSchema(file))
	}
	changed := false
	for _, dir := range s.dirs {
		before := s.loaded[dir]
		more, err := s.loadSnap(ctx, dir)
		s.reportOnce(dir, err)
		watch = append(watch, more...)
		changed = changed || !sameSnap(before, s.loaded[dir])
	}
	if changed {
		s.missing()
		if err := s.connectAll(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.log.say("%v", err)
		}
	}
	return watch
}

// reportOnce reports why a file or folder cannot be read. It does not repeat the report until the reason changes.
func (s *workshop) reportOnce(name string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != s.told[name] {
		s.log.say("%s", text)
	}
	s.told[name] = text
}

func sameSnap(a, b facts.Snap) bool { return reflect.DeepEqual(a, b) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
