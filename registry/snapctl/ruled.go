package snapctl

import (
	"sync"

	"aspects-poc/registry/backend"
)

// A ruled is a set of requests of views. The zero value is empty.
type ruled struct {
	mu    sync.Mutex
	known map[backend.ViewID]map[string]bool
}

// maxRemembered is the largest number of requests of one view in a ruled.
const maxRemembered = 1000

func (r *ruled) has(view backend.ViewID, request string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[view][request]
}

func (r *ruled) remember(view backend.ViewID, requests ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[backend.ViewID]map[string]bool{}
	}
	if r.known[view] == nil || len(r.known[view]) > maxRemembered {
		r.known[view] = map[string]bool{}
	}
	for _, request := range requests {
		r.known[view][request] = true
	}
}
