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

// settle is how long files must have been left alone before they are read again: editors save in several steps.
const settle = 100 * time.Millisecond

// keepUp reads files again when they change, until ctx ends.
func (s *workshop) keepUp(ctx context.Context, watch []string) error {
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
	defer func() { _ = watcher.Close() }() // nothing is written through it
	if err := s.follow(watcher, watch); err != nil {
		return err
	}
	still := time.NewTimer(time.Hour)
	still.Stop()
	for {
		select {
		case <-watcher.Events:
			still.Reset(settle)
		case err := <-watcher.Errors:
			s.log.say("watching files: %v", err)
			still.Reset(settle) // something may have been missed
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

// follow watches folders: a file that an editor replaces would be lost from sight.
func (s *workshop) follow(watcher *fsnotify.Watcher, watch []string) error {
	known := watcher.WatchList()
	for _, path := range watch {
		for _, dir := range []string{filepath.Dir(path), path} {
			if slices.Contains(known, dir) {
				continue
			}
			if err := watcher.Add(dir); err != nil && dir != path { // the path itself may be a file, or not there yet
				return fmt.Errorf("cannot watch %s: %w", dir, err)
			}
		}
	}
	return nil
}

// reload reads all again, and returns what is to be watched from now on. What cannot be read leaves all as it was.
func (s *workshop) reload(ctx context.Context) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	watch := slices.Clone(s.files)
	for _, file := range s.files {
		s.tellOnce(file, s.loadSchema(file))
	}
	changed := false
	for _, dir := range s.dirs {
		before := s.loaded[dir]
		more, err := s.loadSnap(ctx, dir)
		s.tellOnce(dir, err)
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

// tellOnce tells why a file or folder cannot be read, until it can be or something else is wrong with it.
func (s *workshop) tellOnce(name string, err error) {
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
