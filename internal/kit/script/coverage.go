package script

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
)

// Coverage records which rules of views scripts have read and written, and which hooks have run. A request touches a rule
// if it matches, with or without a value. An access that a rule, the schema or a hook refuses does not count as read or
// written. Missing reports the rules whose accesses were all refused. Writes of a custodian's hooks, such as load-view or
// change-view, do not count: they are not writes of a script.
type Coverage struct {
	mu      sync.Mutex // guards what follows
	schemas map[string]facts.Schema
	touched map[access]bool // false: each attempt was refused
	hooks   map[string]int  // number of runs by "SNAP HOOK"
}

// An access is a read or a write through a rule.
type access struct {
	schema, view string
	rule         int // its index
	write        bool
}

func newCoverage() *Coverage {
	return &Coverage{schemas: map[string]facts.Schema{}, touched: map[access]bool{}, hooks: map[string]int{}}
}

func (c *Coverage) addSchema(schema facts.Schema) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schemas[schema.ID()] = schema
}

func (c *Coverage) addSnap(snap facts.Snap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, hook := range snap.Hooks {
		c.hooks[snap.Name+" "+hook] += 0
	}
}

// observe records an event of a world.
func (c *Coverage) observe(e changes.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	schema := e.View.Account + "/" + e.View.Schema
	switch e.Kind {
	case changes.HookRan:
		c.hooks[e.Snap+" "+e.Hook]++
		for _, get := range e.Gets {
			c.touch(schema, get.View, get.Requests, false, get.Err == "")
		}
	case changes.AccessEnded, changes.Refused:
		if e.Read {
			c.touch(schema, e.View.View, e.Requests, false, e.Err == "")
		} else {
			c.touch(schema, e.View.View, slices.Collect(maps.Keys(e.Values)), true, e.Err == "")
		}
	}
}

func (c *Coverage) touch(id, view string, requests []string, write, allowed bool) {
	schema, known := c.schemas[id]
	if !known {
		return
	}
	if len(requests) == 0 && !write {
		requests = []string{""}
	}
	for _, request := range requests {
		for _, index := range schema.Parsed.Touched(view, request, write) {
			at := access{id, view, index, write}
			c.touched[at] = c.touched[at] || allowed
		}
	}
}

// Missing lists what no script has touched. Summary counts what scripts have touched.
type Missing struct {
	Summary                     string
	NotRead, NotWritten         []string // ACCOUNT/SCHEMA/VIEW REQUEST
	ReadRefused, WrittenRefused []string // likewise: each attempt was refused
	NeverRan                    []string // SNAP HOOK
	Rules, Touched              int      // a rule that can be read and written counts twice
	Hooks, HooksThatRan         int
}

// Missing compares the coverage with all rules and hooks.
func (c *Coverage) Missing() Missing {
	c.mu.Lock()
	defer c.mu.Unlock()
	var m Missing
	for _, id := range slices.Sorted(maps.Keys(c.schemas)) {
		schema := c.schemas[id].Parsed
		for _, view := range schema.Views() {
			for index, r := range schema.Rules(view) {
				name := fmt.Sprintf("%s/%s %s", id, view, r.Request)
				count := func(can, write bool, missing, refused *[]string) {
					if !can {
						return
					}
					m.Rules++
					switch allowed, tried := c.touched[access{id, view, index, write}]; {
					case allowed:
						m.Touched++
					case tried:
						*refused = append(*refused, name)
					default:
						*missing = append(*missing, name)
					}
				}
				count(r.Readable, false, &m.NotRead, &m.ReadRefused)
				count(r.Writable, true, &m.NotWritten, &m.WrittenRefused)
			}
		}
	}
	for _, hook := range slices.Sorted(maps.Keys(c.hooks)) {
		m.Hooks++
		if c.hooks[hook] > 0 {
			m.HooksThatRan++
		} else {
			m.NeverRan = append(m.NeverRan, hook)
		}
	}
	m.Summary = fmt.Sprintf("%d of %d accesses of rules, %d of %d hooks", m.Touched, m.Rules, m.HooksThatRan, m.Hooks)
	return m
}

// Print prints a summary of the coverage and the missing rules and hooks.
func (c *Coverage) Print(w io.Writer) error {
	m := c.Missing()
	if _, err := fmt.Fprintf(w, "coverage: %s\n", m.Summary); err != nil {
		return err
	}
	for _, list := range []struct {
		title string
		names []string
	}{{"never read", m.NotRead}, {"never written", m.NotWritten}, {"read refused", m.ReadRefused},
		{"write refused", m.WrittenRefused}, {"never ran", m.NeverRan}} {
		for _, name := range list.names {
			if _, err := fmt.Fprintf(w, "  %-14s %s\n", list.title, name); err != nil {
				return err
			}
		}
	}
	return nil
}
