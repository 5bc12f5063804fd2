package snapctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"aspects-poc/internal/calls"
	"aspects-poc/registry/backend"

	"github.com/fsnotify/fsnotify"
)

// Poke announces to the services of the snap that a view may show something else. It touches the file DIR/VIEW, and
// each Backend with DIR as NudgeDir then reads the view. Call it in an observe-view hook; such a hook should do
// nothing else, since the writer waits for it. Poke makes the folder if it does not exist.
func Poke(dir, view string) error {
	if !name.MatchString(view) {
		return fmt.Errorf("cannot announce a change of view %q: no name of a view", view)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot announce a change of view %q: %w", view, err)
	}
	file, err := os.OpenFile(filepath.Join(dir, view), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("cannot announce a change of view %q: %w", view, err)
	}
	// One write is one event; truncating would be another. There is no content to sync.
	_, err = file.Write([]byte{'\n'})
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("cannot announce a change of view %q: %w", view, err)
	}
	return nil
}

// Hints sends a value after each Poke for the view; several may become one. The error is ErrUnsupported without a
// NudgeDir, or if the folder cannot be watched.
func (b *Backend) Hints(ctx context.Context, view backend.ViewID) (<-chan struct{}, error) {
	request, _, err := b.options.request("watch", view, nil)
	if err != nil {
		return nil, err
	}
	_, call, err := b.life.Begin(ctx, request.About())
	if err != nil {
		return nil, err
	}
	defer call.End()
	if b.options.NudgeDir == "" {
		return nil, unsupported(request, "hooks cannot announce changes: SNAP_COMMON is not set")
	}
	if err := b.pokes.listen(); err != nil {
		refused := unsupported(request, "hooks cannot announce changes")
		refused.Err, refused.Message = err, "cannot receive hints of changes to "+view.String()+": "+err.Error()
		return nil, refused
	}
	return b.pokes.hints(ctx, view.View), nil
}

// A pokes receives what Poke announces in a folder, and forwards it to watches and hints.
type pokes struct {
	dir   string // "" if hooks announce nothing
	life  *calls.Life
	nudge func(views ...string) // for the watches

	mu        sync.Mutex // guards what follows
	listening bool
	err       error                    // why listening failed
	hinted    map[chan struct{}]string // channels of hints, each holds one token -> name of the view
}

// listen begins to receive announcements. A later call only returns the result of the first one. Without a folder it does
// nothing. Call it within a Call. It returns an error if the folder cannot be watched.
func (p *pokes) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir == "" || p.listening || p.err != nil {
		return p.err
	}
	p.err = p.begin()
	p.listening = p.err == nil
	return p.err
}

// failed returns the error of listen, or nil.
func (p *pokes) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// begin starts a goroutine that forwards each Poke until the life ends.
func (p *pokes) begin() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch %s: %w", p.dir, err)
	}
	if err := watcher.Add(p.dir); err != nil {
		_ = watcher.Close() // nothing was watched
		return fmt.Errorf("cannot watch %s: %w", p.dir, err)
	}
	p.life.Go(func(ctx context.Context) {
		defer func() { _ = watcher.Close() }() // the process's last use of it
		for {
			select {
			case event, ok := <-watcher.Events:
				if !ok {
					return
				}
				if event.Has(fsnotify.Write) {
					p.forward(filepath.Base(event.Name))
				}
			case _, ok := <-watcher.Errors:
				if !ok {
					return
				}
				p.forward() // events were lost: any view may have changed
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

// forward forwards an announcement about views to watches and hints. Without views, it is about all views.
func (p *pokes) forward(views ...string) {
	p.nudge(views...)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, view := range p.hinted {
		if len(views) == 0 || slices.Contains(views, view) {
			select {
			case c <- struct{}{}:
			default: // one is waiting already
			}
		}
	}
}

// hints returns a channel that receives a value after each announcement of a view, until the context or the life ends.
func (p *pokes) hints(ctx context.Context, view string) <-chan struct{} {
	c := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hinted == nil {
		p.hinted = map[chan struct{}]string{}
	}
	p.hinted[c] = view
	ctx, done := p.life.Watch(ctx)
	go func() {
		defer done()
		<-ctx.Done()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.hinted, c)
		close(c)
	}()
	return c
}
