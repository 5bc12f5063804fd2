package fleet

import (
	"context"
	"sync"
)

// notices is how many notices a receiver may be behind.
const notices = 256

// A Hub hands notices on to whoever listens; stores use it for Changes. The zero value is ready for use.
type Hub struct {
	mu        sync.Mutex // guards what follows, and sending
	receivers map[chan Notice]*receiver
	closed    bool
}

type receiver struct{ lost bool }

// Listen returns a channel of notices, closed when the context ends or the hub closes. ErrClosed: it has.
func (h *Hub) Listen(ctx context.Context) (<-chan Notice, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	channel := make(chan Notice, notices)
	if h.receivers == nil {
		h.receivers = map[chan Notice]*receiver{}
	}
	h.receivers[channel] = &receiver{}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(channel)
	})
	return channel, nil
}

func (h *Hub) drop(channel chan Notice) {
	if h.receivers[channel] != nil {
		delete(h.receivers, channel)
		close(channel)
	}
}

// Send hands notices on, and never waits: a receiver that is too far behind gets one of kind Lost when there is room.
func (h *Hub) Send(list ...Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for channel, receiver := range h.receivers {
		for _, notice := range list {
			if receiver.lost {
				notice = Notice{Kind: Lost} // for this one too
			}
			select {
			case channel <- notice:
				receiver.lost = false
			default:
				// What is in the way is older than the loss, so that all of it can go.
				receiver.lost = true
				select {
				case <-channel:
				default:
				}
				select {
				case channel <- Notice{Kind: Lost}:
					receiver.lost = false
				default:
				}
			}
		}
	}
}

// Close closes the channels of all.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for channel := range h.receivers {
		h.drop(channel)
	}
}
