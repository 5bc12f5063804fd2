package snapctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"aspects-poc/registry/backend"

	"github.com/fsnotify/fsnotify"
)

// Poke announces to the services of the snap that a view may show something else. It touches the file DIR/VIEW, and
// each Backend with DIR as NudgeDir then reads the view. Call it in an observe-view hook; such a hook should do
// nothing else, since the writer waits for it. Poke makes the folder if it does not exist.
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
	// One write is one event; truncating would be another. There is no content to sync.
	_, err = file.Write([]byte{'\n'})
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("cannot tell of view %q: %w", view, err)
	}
	return nil
}

// A hint is one call of Hints.
type hint struct {
	view backend.ViewID
	c    chan struct{} // holds one token
}

// Hints sends a value after each Poke for the view; several may become one. The error is ErrUnsupported without a
// NudgeDir, or if the folder cannot be watched.
func (b *Backend) Hints(ctx context.Context, view backend.ViewID) (<-chan struct{}, error) {
	request, _, err := b.request("watch", view, nil)
	if err != nil {
		return nil, err
	}
	_, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return nil, err
	}
	defer call.End()
	h := &hint{view: view, c: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.options.NudgeDir == "" {
		return nil, unsupported(request, "hooks cannot announce changes: SNAP_COMMON is not set")
	}
	if err := b.hear(); err != nil {
		refused := unsupported(request, "hooks cannot announce changes")
		refused.Err, refused.Message = err, "cannot hear of changes to "+view.String()+": "+err.Error()
		return nil, refused
	}
	b.hints[h] = struct{}{}
	ctx, done := b.life.Watch(ctx)
	go func() {
		defer done()
		<-ctx.Done()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.hints, h)
		close(h.c)
	}()
	return h.c, nil
}

// hear starts to listen in the NudgeDir unless it has. It returns why that failed. The caller holds the mutex.
func (b *Backend) hear() error {
	if b.options.NudgeDir == "" || b.listening {
		return nil
	}
	if b.listenErr == nil {
		if b.listenErr = b.listen(b.options.NudgeDir); b.listenErr != nil {
			b.warnings = append(b.warnings, "changes are noticed late: "+b.listenErr.Error())
		}
	}
	b.listening = b.listenErr == nil
	return b.listenErr
}

// listen reports each Poke in a folder until the Backend is closed. The caller holds the mutex and is within a Call.
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
	b.life.Go(func(ctx context.Context) {
		defer func() { _ = watcher.Close() }() // the process's last use of it
		for {
			select {
			case event, ok := <-watcher.Events:
				if !ok {
					return
				}
				if event.Has(fsnotify.Write) {
					b.heard(filepath.Base(event.Name))
				}
			case _, ok := <-watcher.Errors:
				if !ok {
					return
				}
				b.heard() // events were lost: any view may have changed
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}
