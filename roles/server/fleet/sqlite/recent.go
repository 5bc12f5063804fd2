package sqlite

import "sync"

// mostRecent is how many devices, and how many layers, are remembered: some 2 kB each.
const mostRecent = 4096

// recent remembers recently read values exactly as they are committed. One process owns the file. Its one writer calls
// begin before a transaction, with the keys that may change, and end after it. Values that were read between begin and
// end, or while a transaction began, are not remembered. The zero value is ready for use.
type recent[K comparable, V any] struct {
	mu      sync.Mutex // guards the fields below
	of      map[K]V
	writing map[K]bool
	all     bool   // everything may be written
	writes  uint64 // number of calls of begin
}

// get returns the remembered value of a key, or reads it. The value is shared: do not modify it.
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
		for other := range r.of { // all are worth the same
			delete(r.of, other)
			break
		}
	}
	r.of[key] = value
	return value, nil
}

// begin removes the values that may be written: those of some keys, or all.
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

// end ends the transaction of begin, whether it was committed or not.
func (r *recent[K, V]) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.writing)
	r.all = false
}

// clear removes all values.
func (r *recent[K, V]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	clear(r.of)
}
