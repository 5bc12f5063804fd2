package sqlite

import (
	"crypto/sha256"
	"sync"

	"github.com/google/uuid"
)

// A digest stands for a text: the first half of its SHA-256.
type digest [16]byte

func digestOf(text string) digest {
	sum := sha256.Sum256([]byte(text))
	return digest(sum[:])
}

// mostRemembered is how many devices' reports a process remembers: some 60 MB.
const mostRemembered = 1 << 20

// lastReports remembers what devices reported last, so that a report which repeats it costs no access to the file. What
// it says is true: the file has one writer, which alone calls keep, after the commit, and forget, before a change whose
// outcome is open. A device that it does not know is one to ask the file about. The zero value is ready for use.
type lastReports struct {
	mu sync.RWMutex // guards of
	of map[uuid.UUID]digest
}

// is tells whether a report is known to be a device's last one.
func (l *lastReports) is(id uuid.UUID, report digest) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	last, known := l.of[id]
	return known && last == report
}

func (l *lastReports) keep(id uuid.UUID, report digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[uuid.UUID]digest{}
	}
	if _, known := l.of[id]; !known && len(l.of) >= mostRemembered {
		// Any other has to go. To choose the oldest would be the wrong choice: devices poll in turn.
		for other := range l.of {
			delete(l.of, other)
			break
		}
	}
	l.of[id] = report
}

func (l *lastReports) forget(id uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, id)
}
