package snapctl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Poke leaves word for the services of the snap that what a view shows has changed: it touches the file DIR/VIEW, upon
// which each Backend with that NudgeDir reads the view. An observe-view hook has no more to do than this, and should
// not do more, since whoever wrote waits for it. The directory is made where it is missing.
func Poke(dir, view string) error {
	if !name.MatchString(view) {
		return fmt.Errorf("cannot tell of view %q: no name of a view", view)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot tell of view %q: %w", view, err)
	}
	file, err := os.OpenFile(filepath.Join(dir, view), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("cannot tell of view %q: %w", view, err)
	}
	// One write is one event; truncating would be another. Nothing is stored, so nothing needs to be synced.
	_, err = file.Write([]byte{'\n'})
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("cannot tell of view %q: %w", view, err)
	}
	return nil
}

// listen turns what Poke leaves in a directory into nudges until the Backend is closed. The caller holds the mutex and
// has found the Backend open.
func (b *Backend) listen(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	if err := watcher.Add(dir); err != nil {
		_ = watcher.Close() // nothing was watched
		return fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	b.running.Go(func() {
		defer func() { _ = watcher.Close() }() // the process's last use of it
		for {
			select {
			case event, ok := <-watcher.Events:
				if !ok {
					return
				}
				if event.Has(fsnotify.Write) {
					b.Nudge(filepath.Base(event.Name))
				}
			case _, ok := <-watcher.Errors:
				if !ok {
					return
				}
				b.Nudge() // events were lost: any view may have changed
			case <-b.life.Done():
				return
			}
		}
	})
	return nil
}
