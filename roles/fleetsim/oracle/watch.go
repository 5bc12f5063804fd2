package oracle

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// A Watcher follows the fleet by what it hears. Its picture is compared with the truth.
type Watcher interface {
	Name() string
	// States returns the state of each device that the watcher knows.
	States() map[uuid.UUID]string
	Close()
}

// watch starts to follow the events of all servers.
func (h *harness) watch() {
	h.watchers = append(h.watchers, h.options.Watchers...)
	for i := range h.world.Servers() {
		f := &follower{h: h, server: i, states: map[uuid.UUID]string{}}
		h.watchers = append(h.watchers, f)
		h.running.Go(func() { f.run(h.ctx) })
	}
}

// A follower reads the devices that the events of a server name, and all devices after it connects.
type follower struct {
	h      *harness
	server int

	mu     sync.Mutex // guards the fields below
	states map[uuid.UUID]string
}

func (f *follower) Name() string { return fmt.Sprintf("events of server %d", f.server) }

func (f *follower) Close() {}

func (f *follower) States() map[uuid.UUID]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.states)
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		_ = f.follow(ctx) // an unreachable server is expected
		select {
		case <-ctx.Done():
		case <-time.After(f.h.options.Interval / 10):
		}
	}
}

func (f *follower) follow(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.h.world.URL(f.server)+"/events/", nil)
	if err != nil {
		return err
	}
	response, err := f.h.world.Transport().RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // already read, or not needed
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/events/ answers %s", response.Status)
	}
	if err := f.askAll(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is {
			continue
		}
		var event serverapi.Event
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return err
		}
		if err := f.handle(event); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) handle(event serverapi.Event) error {
	f.h.mu.Lock()
	f.h.figures.Events++
	f.h.mu.Unlock()
	id, err := uuid.Parse(event.UUID)
	if err != nil {
		return f.askAll()
	}
	var device serverapi.Device
	err = f.h.ask(f.server, http.MethodGet, "/devices/"+event.UUID+"/", nil, &device)
	f.mu.Lock()
	defer f.mu.Unlock()
	if refused(err) {
		delete(f.states, id)
		return nil
	} else if err == nil {
		f.states[id] = device.State
	}
	return err
}

func (f *follower) askAll() error {
	list, err := f.h.list(f.server, url.Values{"limit": {"1000"}})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.states = map[uuid.UUID]string{}
	for _, device := range list {
		f.states[device.UUID] = device.State
	}
	return nil
}
