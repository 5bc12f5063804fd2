package machine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb/databag"
)

func splitInstance(instance string) (name, key string) {
	name, key, _ = strings.Cut(instance, "_")
	return name, key
}

// must panics if err is not nil. Use it for acts that fail only if the test is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// alter changes the snap. Connections remain.
func (m *Machine) alter(change func(*facts.Snap)) {
	snap, err := m.World.Snap(m.snap)
	must(err)
	change(&snap)
	must(m.World.Facts.Install(snap))
}

// Connect connects a plug of the snap without running hooks.
func (m *Machine) Connect(plug string) { must(m.World.Facts.Connect(m.snap, plug)) }

// Disconnect disconnects a plug of the snap without running hooks.
func (m *Machine) Disconnect(plug string) { must(m.World.Facts.Disconnect(m.snap, plug)) }

// SetCustodian sets whether a plug of the snap has the custodian's role.
func (m *Machine) SetCustodian(plug string, custodian bool) {
	m.alter(func(snap *facts.Snap) {
		altered := snap.Plugs[plug]
		if altered.Role = ""; custodian {
			altered.Role = facts.Custodian
		}
		snap.Plugs[plug] = altered
	})
}

// SetEnabled turns the experimental flag on or off.
func (m *Machine) SetEnabled(enabled bool) {
	must(m.World.Facts.SetSystem(map[string]any{flag: enabled}))
}

// SetAcknowledged sets whether snapd has the assertion of the first confdb-schema.
func (m *Machine) SetAcknowledged(acknowledged bool) {
	if acknowledged {
		must(m.World.Facts.Acknowledge(m.schema))
		return
	}
	must(m.World.Facts.Forget(m.schema.Parsed.Account, m.schema.Parsed.Name))
}

// Stored returns the data of the first confdb-schema as compact JSON.
func (m *Machine) Stored() string {
	return m.World.Facts.Now().Stored(m.schema.Parsed.Account, m.schema.Parsed.Name)
}

// Load replaces the data of the first confdb-schema by a JSON object.
func (m *Machine) Load(text string) {
	must(m.World.Facts.SetStored(m.schema.Parsed.Account, m.schema.Parsed.Name, []byte(text)))
}

// Put stores values through a view without hooks and custodians. Use it to prepare data.
func (m *Machine) Put(view backend.ViewID, values map[string]any) {
	bag, err := databag.Parse([]byte(m.Stored()))
	must(err)
	tx := m.schema.Parsed.Begin(bag)
	must(tx.Write(view.View, values))
	bag, err = tx.Commit(bag)
	must(err)
	m.Load(string(bag.AppendJSON(nil)))
}

// Write writes through a view, as `snap set` by the administrator does. It returns the refusal.
func (m *Machine) Write(view string, values map[string]any) error {
	_, err := m.end(m.World.Changes.Set(context.Background(), m.View(view), values, changes.Access{}))
	return err
}

// Read reads through a view, as `snap get` by the administrator does. Without keys it reads the whole view.
func (m *Machine) Read(view string, keys ...string) (map[string]any, error) {
	change, err := m.end(m.World.Changes.Get(context.Background(), m.View(view), keys, changes.Access{}))
	if err != nil {
		return nil, err
	}
	if refused, found := change.Data["error"].(map[string]any); found {
		return nil, fmt.Errorf("%v", refused["message"])
	}
	document, ok := change.Data["values"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s shows %v, which is no document", view, change.Data["values"])
	}
	return document, nil
}

// Configure does what `snap set SNAP KEY=VALUE…` does: it runs the configure hook. It returns the hook's refusal.
func (m *Machine) Configure(values map[string]any) error {
	_, err := m.end(m.World.Changes.Configure(m.snap, values))
	return err
}

// StopService stops a service, named SNAP.SERVICE, as `snap stop` does.
func (m *Machine) StopService(service string) {
	_, err := m.end(m.World.Changes.Control("stop", []string{service}, changes.ServiceOptions{}))
	must(err)
}

// end waits for a change and returns the error of its failed task.
func (m *Machine) end(id string, err error) (changes.Change, error) {
	if err != nil {
		return changes.Change{}, err
	}
	change, err := m.World.Changes.Wait(context.Background(), id)
	if err != nil || change.Status == changes.Done {
		return change, err
	}
	for _, task := range change.Tasks {
		for _, line := range task.Log {
			if _, text, found := strings.Cut(line, " ERROR "); found && task.Status == changes.Failed {
				return change, errors.New(text)
			}
		}
	}
	return change, errors.New(cmp.Or(change.Err, "the change ended with "+change.Status))
}

// SetConfig sets options of the snap through snapctl, as an app does, without a hook. nil unsets.
func (m *Machine) SetConfig(values map[string]any) {
	args := []string{"set", "-t"}
	for key, value := range values {
		text, err := json.Marshal(value)
		must(err)
		if args = append(args, key+"="+string(text)); value == nil {
			args[len(args)-1] = key + "!"
		}
	}
	must(m.snapctl(m.cookie, args...))
}

// Config returns an option of the snap, or nil if it is not set.
func (m *Machine) Config(key string) any {
	value, _ := facts.Option(m.World.Facts.Now().Config(m.snap), key)
	return value
}
