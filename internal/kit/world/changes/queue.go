package changes

import "sync"

// queues let one hook of a snap run at a time.
type queues struct {
	mu     sync.Mutex // guards what follows, and the owners
	bySnap map[string]*queue
}

type queue struct {
	token chan struct{} // a running hook has the only one
	owner *Context      // the running hook
}

func (q *queues) of(snap string) *queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bySnap[snap] == nil {
		q.bySnap[snap] = &queue{token: make(chan struct{}, 1)}
	}
	return q.bySnap[snap]
}

// setOwner records the running hook of a snap; nil means that it has ended.
func (q *queues) setOwner(snap string, h *Context) {
	queue := q.of(snap)
	q.mu.Lock()
	defer q.mu.Unlock()
	queue.owner = h
}

func (q *queues) ownerOf(snap string) *Context {
	queue := q.of(snap)
	q.mu.Lock()
	defer q.mu.Unlock()
	return queue.owner
}
