//go:build e2e

package contract

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"aspects-poc/e2e"
	"aspects-poc/registry"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/registrytest/testschema"
)

// resetView writes all that there is; the machine's copy of the confdb-schema has it for this purpose.
const resetView = "reset"

var everything = []string{"device", "interfaces", "tunnel", "metrics"}

// A slate is what the cases write on, one after the other. As wiping it and writing what a case begins with are most of
// what a case costs snapd, both are put off until the case wants something: a case that begins with certain values gets
// them in one write that replaces all, and in none where the cases before left just these.
type slate struct {
	mu    sync.Mutex // guards what follows
	owed  bool       // the case that runs has to find nothing, and nothing was done about it yet
	holds string     // what is stored, as JSON; "" is unknown
}

// begin is for a new case: what it finds is nothing, or what it prepares.
func (s *slate) begin(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed = true
	t.Cleanup(func() {
		if t.Failed() {
			s.touched()
		}
	})
}

// touched tells that what is stored is not known any more.
func (s *slate) touched() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = ""
}

// settle makes sure that a case which prepared nothing finds nothing.
func (s *slate) settle(ctx context.Context, b backend.Backend) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.owed {
		return nil
	}
	s.owed = false
	return s.write(ctx, b, map[string]any{})
}

// write replaces all that is stored, if it is something else.
func (s *slate) write(ctx context.Context, b backend.Backend, values map[string]any) error {
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	if s.holds == string(text) {
		return nil
	}
	s.holds = ""
	all := map[string]any{}
	for _, part := range everything {
		all[part] = values[part]
	}
	view := backend.ViewID{Account: testschema.AccountID, Schema: testschema.Name, View: resetView}
	if err := b.Set(ctx, view, all); err != nil {
		return err
	}
	s.holds = string(text)
	return nil
}

// prepare is registrytest.Options.Prepare. What the values are in storage the embedded engine says.
func (s *slate) prepare(ctx context.Context, b backend.Backend, values registry.Changes) error {
	schemas, err := registry.ParseSchemas(e2e.WithView(testschema.Document(), resetView, everything...))
	if err != nil {
		return err
	}
	model, err := registry.Open(ctx, "mem:", registry.Options{Schemas: schemas})
	if err != nil {
		return err
	}
	defer func() { _ = model.Close() }()
	if err := model.Apply(ctx, values); err != nil {
		return err
	}
	stored, err := model.View(resetView).Get(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.owed {
		s.holds = "" // the case asks for a write of these values, whatever is there
	}
	s.owed = false
	return s.write(ctx, b, stored)
}

// on is a backend that writes on the slate.
func (s *slate) on(b backend.Backend) backend.Backend { return slated{b, s} }

type slated struct {
	backend.Backend
	slate *slate
}

func (b slated) Get(ctx context.Context, view backend.ViewID, requests []string, options backend.GetOptions) (map[string]any, error) {
	if err := b.slate.settle(ctx, b.Backend); err != nil {
		return nil, err
	}
	return b.Backend.Get(ctx, view, requests, options)
}

func (b slated) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	if err := b.slate.settle(ctx, b.Backend); err != nil {
		return err
	}
	err := b.Backend.Set(ctx, view, values)
	// A refusal that stored something after all fails the case, for which begin has an eye.
	if !errors.Is(err, backend.ErrInvalid) && !errors.Is(err, backend.ErrNoMatch) &&
		!errors.Is(err, backend.ErrBadRequest) && !errors.Is(err, backend.ErrNoView) && !errors.Is(err, backend.ErrNoSchema) {
		b.slate.touched()
	}
	return err
}

func (b slated) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	if err := b.slate.settle(ctx, b.Backend); err != nil {
		return nil, err
	}
	return b.Backend.Watch(ctx, view)
}
