package embedded

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"aspects-poc/registry/confdb/databag"
)

// What the tests of failing disks and of the file's format need.
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

// OpenStores tells how many files this process has open.
func OpenStores() int {
	stores.mu.Lock()
	defer stores.mu.Unlock()
	return len(stores.byPath)
}

// QueueSize is how many events wait for a slow reader, RingSize of how many commits a file tells.
const (
	QueueSize = queueSize
	RingSize  = ringSize
)

// Recheck sets the pause between looks at the file where the kernel tells of changes, for watches to come.
func Recheck(b *Backend, every time.Duration) { b.store.watchers.slowly = every }

// Notified lists the directories that the kernel tells of.
func Notified(b *Backend) []string {
	w := b.store.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.feed.notify.WatchList()
}

// WithoutNotify lets the backend's store find no inotify instance.
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

// Encode returns what a file holds of a bag, with something before it that changes in length.
func (e *Encoder) Encode(bag databag.Bag, before string) string {
	roots := map[string]*databag.Node{"a/b": bag.Root()}
	text := append(e.encoder.begin(), before...)
	text = e.encoder.append(text, bag.Root(), e.encoder.roots["a/b"], 0)
	e.encoder.finish(text, roots)
	return string(text[len(before):])
}
