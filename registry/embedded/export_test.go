package embedded

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"aspects-poc/registry/confdb/databag"
)

// Types for the tests of failing disks and of the file's format.
type (
	Disk   = disk
	Handle = handle
)

// OpenOn is Open on another disk.
func OpenOn(ctx context.Context, path string, options Options, d Disk) (*Backend, error) {
	return open(ctx, path, options, d)
}

// RealDisk is the disk that Open uses.
func RealDisk() Disk { return realDisk{} }

// Recode reads a file's content and writes it again.
func Recode(text []byte) ([]byte, error) {
	s, err := decode(text, nil)
	if err != nil {
		return nil, err
	}
	return encode(&encoder{}, s)
}

// Frame puts a header before a body.
func Frame(content []byte) []byte { return frame(append(make([]byte, headerSize), content...)) }

// OpenStores returns the number of files that this process has open.
func OpenStores() int {
	stores.mu.Lock()
	defer stores.mu.Unlock()
	return len(stores.byPath)
}

// QueueSize is how many events wait for a slow reader, and RingSize how many commits a file records.
const (
	QueueSize = queueSize
	RingSize  = ringSize
)

// Recheck sets the pause between two checks of the file if the kernel reports changes, for later watches.
func Recheck(b *Backend, every time.Duration) { b.store.watchers.slowly = every }

// Notified lists the directories that the kernel watches.
func Notified(b *Backend) []string {
	w := b.store.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.feed.notify.WatchList()
}

// WithoutNotify makes the backend's store fail to get an inotify instance.
func (b *Backend) WithoutNotify() {
	b.store.watchers.notify = func() *fsnotify.Watcher { return nil }
}

// Decode reads a file's content.
func Decode(text []byte) error {
	_, err := decode(text, nil)
	return err
}

// An Encoder encodes one version of a bag after another.
type Encoder struct{ encoder encoder }

// Encode returns the text of a bag in a file, behind the text before, whose length may change.
func (e *Encoder) Encode(bag databag.Bag, before string) string {
	roots := map[string]*databag.Node{"a/b": bag.Root()}
	text := append(e.encoder.begin(), before...)
	text = e.encoder.append(text, bag.Root(), e.encoder.roots["a/b"], 0)
	e.encoder.finish(text, roots)
	return string(text[len(before):])
}
