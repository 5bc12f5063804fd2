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

// resetView writes the whole storage. The machine's copy of the confdb-schema has this view for the slate.
const resetView = "reset"

var everything = []string{"device", "interfaces", "tunnel", "metrics"}

// A slate is the storage on which the cases run, one after the other. Clearing it and writing a case's first values are
// most of a case's cost in snapd. So both wait until the case makes an access: a case with first values gets them in
// one write that replaces everything, and without a write if the previous cases left the same values.
type slate struct {
	mu    sync.Mutex // guards the fields below
	owed  bool       // the running case must find nothing, and the storage is not cleared yet
	holds string     // the stored values as JSON; "" if unknown
}

// begin starts a case. The case finds nothing, or what it prepares.
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

// touched records that the stored values are no longer known.
func (s *slate) touched() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = ""
}

// clear makes sure that a case without first values finds nothing.
func (s *slate) clear(ctx context.Context, b backend.Backend) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.owed {
		return nil
	}
	s.owed = false
	return s.write(ctx, b, map[string]any{})
}

// write replaces all stored values, if they differ.
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

// prepare implements registrytest.Options.Prepare. The embedded engine computes the values in the storage.
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
		s.holds = "" // the case asks for a write of these values, whatever is stored
	}
	s.owed = false
	return s.write(ctx, b, stored)
}

// An on is a backend that writes on the slate.
func (s *slate) on(b backend.Backend) backend.Backend { return slated{b, s} }

type slated struct {
	backend.Backend
	slate *slate
}

func (b slated) Get(ctx context.Context, view backend.ViewID, requests []string, options backend.GetOptions) (map[string]any, error) {
	if err := b.slate.clear(ctx, b.Backend); err != nil {
		return nil, err
	}
	return b.Backend.Get(ctx, view, requests, options)
}

func (b slated) Set(ctx context.Context, view backend.ViewID, values map[string]any) error {
	if err := b.slate.clear(ctx, b.Backend); err != nil {
		return err
	}
	err := b.Backend.Set(ctx, view, values)
	// If a refusal has stored something after all, begin makes the case fail.
	if !errors.Is(err, backend.ErrInvalid) && !errors.Is(err, backend.ErrNoMatch) &&
		!errors.Is(err, backend.ErrBadRequest) && !errors.Is(err, backend.ErrNoView) && !errors.Is(err, backend.ErrNoSchema) {
		b.slate.touched()
	}
	return err
}

func (b slated) Watch(ctx context.Context, view backend.ViewID) (<-chan backend.Event, error) {
	if err := b.slate.clear(ctx, b.Backend); err != nil {
		return nil, err
	}
	return b.Backend.Watch(ctx, view)
}
