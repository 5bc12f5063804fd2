package world

import "maps"

// An undo puts back one thing that a change has done before it was over. It is stored together with what it puts back,
// so that the next start can do it where the process of the change came to its end.
type undo struct {
	Connect    string         `json:"connect,omitempty"`    // SNAP:PLUG
	Disconnect string         `json:"disconnect,omitempty"` // SNAP:PLUG
	Remove     string         `json:"remove,omitempty"`     // a snap
	Snap       *Snap          `json:"snap,omitempty"`       // to take the place of the snap of its name, with Options as all of its
	Configure  string         `json:"configure,omitempty"`  // a snap, of whose options Options were so; nil: not set
	Options    map[string]any `json:"options,omitempty"`
}

// step does a part of a change and notes how to put it back, both at once on disk: act returns that.
func (w *World) step(c *change, act func() ([]undo, error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stepped(c, act)
}

// stepped is step for a caller that has the lock.
func (w *World) stepped(c *change, act func() ([]undo, error)) error {
	before := c.Undo
	err := w.changed(func() error {
		undos, err := act()
		c.Undo = append(c.Undo, undos...)
		return err
	})
	if err != nil {
		c.Undo = before
	}
	return err
}

// takeBack puts back what a change has done, the last first. The caller has the lock, and saves.
func (w *World) takeBack(c *change) {
	if c.Ready {
		return
	}
	for len(c.Undo) > 0 {
		last := c.Undo[len(c.Undo)-1]
		c.Undo = c.Undo[:len(c.Undo)-1]
		switch {
		case last.Connect != "":
			w.state.Connections[last.Connect] = true
		case last.Disconnect != "":
			delete(w.state.Connections, last.Disconnect)
		case last.Remove != "":
			w.drop(last.Remove)
		case last.Snap != nil:
			w.state.Snaps[last.Snap.Instance()] = last.Snap
			w.state.Config[last.Snap.Instance()] = last.Options
		case last.Configure != "" && w.state.Config[last.Configure] != nil:
			_ = w.configure(last.Configure, last.Options) // an option whose place another value has taken since
		}
	}
}

// put adds a snap, or replaces it, and returns what undoes that. The caller has the lock, and saves.
func (w *World) put(snap Snap) []undo {
	instance := snap.Instance()
	undos := []undo{{Remove: instance}}
	if old := w.state.Snaps[instance]; old != nil {
		undos = []undo{{Snap: old, Options: w.state.Config[instance]}}
		for name, service := range snap.Services {
			service.Running = old.Services[name].Running
			snap.Services[name] = service
		}
	}
	w.state.Snaps[instance] = &snap
	if w.state.Cookies[instance] == "" {
		w.state.Cookies[instance] = newCookie()
	}
	if w.state.Config[instance] == nil {
		w.state.Config[instance] = map[string]any{}
	}
	for _, id := range sortedKeys(w.state.Connections) {
		if _, there := snap.Plugs[plugOf(instance, id)]; plugOf(instance, id) != "" && !there {
			delete(w.state.Connections, id)
			undos = append(undos, undo{Connect: id})
		}
	}
	return undos
}

// drop removes a snap and all that belongs to it, but what is stored. The caller has the lock, and saves.
func (w *World) drop(instance string) {
	delete(w.state.Snaps, instance)
	delete(w.state.Cookies, instance)
	delete(w.state.Config, instance)
	maps.DeleteFunc(w.state.Connections, func(id string, _ bool) bool { return plugOf(instance, id) != "" })
}

// configured sets options of a snap and returns what undoes that. The caller has the lock, and saves.
func (w *World) configured(instance string, values map[string]any) ([]undo, error) {
	before := map[string]any{}
	for key := range values {
		value, there := Option(w.state.Config[instance], key)
		if !there {
			key = MissingOption(w.state.Config[instance], key)
		}
		before[key] = value
	}
	if err := w.configure(instance, values); err != nil {
		return nil, err
	}
	return []undo{{Configure: instance, Options: before}}, nil
}

// linked connects or disconnects a plug and returns what undoes that. The caller has the lock, and saves.
func (w *World) linked(instance, plug string, connected bool) ([]undo, error) {
	if err := w.hasPlug(instance, plug); err != nil {
		return nil, err
	}
	id := connection(instance, plug)
	was := w.state.Connections[id]
	switch {
	case was == connected:
		return nil, nil
	case connected:
		w.state.Connections[id] = true
		return []undo{{Disconnect: id}}, nil
	default:
		delete(w.state.Connections, id)
		return []undo{{Connect: id}}, nil
	}
}
