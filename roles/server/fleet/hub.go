package fleet

import (
	"context"
	"sync"
)

// notices is the number of notices that a receiver may be behind.
const notices = 256

// A Hub sends notices to all receivers that listen. Stores use it for Changes. The zero value is ready for use.
type Hub struct {
	mu        sync.Mutex // guards the fields below, and sending
	receivers map[chan Notice]*receiver
	closed    bool
}

type receiver struct{ lost bool }

// Listen returns a channel of notices. The channel is closed when ctx ends or the hub is closed. Listen returns
// ErrClosed for a closed hub.
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

// Send sends notices to all receivers without waiting. A receiver that is too far behind gets a notice of kind Lost
// instead of those that it has missed.
func (h *Hub) Send(list ...Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for channel, receiver := range h.receivers {
		for _, notice := range list {
			if receiver.lost {
				notice = Notice{Kind: Lost} // covers this notice too
			}
			select {
			case channel <- notice:
				receiver.lost = false
			default:
				// Lost covers the notices in the channel, because they are older. So one of them can make room.
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

// Close closes the channels of all receivers.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for channel := range h.receivers {
		h.drop(channel)
	}
}
