package sqlite

import "sync"

// mostRecent is how many devices, and how many layers, are remembered as they were read: some 2 kB each.
const mostRecent = 4096

// recent remembers what was read lately, exactly as it is committed. One process owns the file. Its one writer says before
// a transaction what that may change (begin), and when it is over (end). What was read in between, or while a transaction
// began, is not remembered. The zero value is ready for use.
type recent[K comparable, V any] struct {
	mu      sync.Mutex // guards what follows
	of      map[K]V
	writing map[K]bool
	all     bool   // all may be written
	writes  uint64 // how often something was to be written
}

// get returns what is remembered under a key, or reads it. What it returns is shared: nobody may change it.
func (r *recent[K, V]) get(key K, read func() (V, error)) (V, error) {
	r.mu.Lock()
	value, there := r.of[key]
	writes, writing := r.writes, r.all || r.writing[key]
	r.mu.Unlock()
	if there {
		return value, nil
	}
	value, err := read()
	if err != nil || writing {
		return value, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.writes != writes {
		return value, nil
	}
	if r.of == nil {
		r.of = map[K]V{}
	}
	if len(r.of) >= mostRecent {
		for other := range r.of { // none is worth more than another
			delete(r.of, other)
			break
		}
	}
	r.of[key] = value
	return value, nil
}

// begin forgets what is to be written: some keys, or all.
func (r *recent[K, V]) begin(keys []K, all bool) {
	if len(keys) == 0 && !all {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	if all {
		r.all = true
		clear(r.of)
	}
	if r.writing == nil {
		r.writing = map[K]bool{}
	}
	for _, key := range keys {
		r.writing[key] = true
		delete(r.of, key)
	}
}

// end tells that all that was to be written has been, or has not.
func (r *recent[K, V]) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.writing)
	r.all = false
}

// clear forgets all.
func (r *recent[K, V]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	clear(r.of)
}
