package metrics

import (
	"context"
	"errors"
	"time"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// Store returns a store that measures the calls of store for which polls and operators wait.
func (m *Metrics) Store(store fleet.Store) fleet.Store { return &measured{store, m} }

type measured struct {
	fleet.Store
	metrics *Metrics
}

// Shared implements fleet.Sharer.
func (s *measured) Shared() bool {
	store, ok := s.Store.(fleet.Sharer)
	return ok && store.Shared()
}

// Confirm implements fleet.Confirmer.
func (s *measured) Confirm(ctx context.Context) error {
	if store, ok := s.Store.(fleet.Confirmer); ok {
		return store.Confirm(ctx)
	}
	return nil
}

// Maintain implements fleet.Maintainer.
func (s *measured) Maintain(ctx context.Context) error {
	if store, ok := s.Store.(fleet.Maintainer); ok {
		return store.Maintain(ctx)
	}
	return nil
}

// took records a call: defer s.took("call", time.Now(), &err).
func (s *measured) took(call string, begin time.Time, err *error) {
	s.metrics.store.Observe(time.Since(begin).Seconds(), call)
	if *err != nil && !fleet.IsRefusal(*err) && !errors.Is(*err, context.Canceled) {
		s.metrics.failures.Add(call)
	}
}

func (s *measured) Add(ctx context.Context, device fleet.Device, mostPending int) (kept fleet.Device, err error) {
	defer s.took("add", time.Now(), &err)
	return s.Store.Add(ctx, device, mostPending)
}

func (s *measured) Device(ctx context.Context, id uuid.UUID) (device fleet.Device, err error) {
	defer s.took("device", time.Now(), &err)
	return s.Store.Device(ctx, id)
}

func (s *measured) DevicesByID(ctx context.Context, ids []uuid.UUID) (list []fleet.Device, err error) {
	defer s.took("devices", time.Now(), &err)
	return s.Store.DevicesByID(ctx, ids)
}

func (s *measured) Devices(ctx context.Context, after string, limit int) (list []fleet.Device, next string, err error) {
	defer s.took("devices", time.Now(), &err)
	return s.Store.Devices(ctx, after, limit)
}

func (s *measured) Report(ctx context.Context, id uuid.UUID, report fleet.Report) (sequence int64, err error) {
	defer s.took("report", time.Now(), &err)
	return s.Store.Report(ctx, id, report)
}

func (s *measured) Observe(ctx context.Context, list []fleet.Observation) (err error) {
	defer s.took("observe", time.Now(), &err)
	return s.Store.Observe(ctx, list)
}

func (s *measured) ChangeAll(ctx context.Context, batch fleet.Batch) (layers []fleet.Layer, err error) {
	defer s.took("change", time.Now(), &err)
	return s.Store.ChangeAll(ctx, batch)
}

func (s *measured) Standings(ctx context.Context, silent time.Time, cloned time.Duration) (list []fleet.Standing, err error) {
	defer s.took("standings", time.Now(), &err)
	return s.Store.Standings(ctx, silent, cloned)
}

func (s *measured) Check(ctx context.Context) (err error) {
	defer s.took("check", time.Now(), &err)
	return s.Store.Check(ctx)
}
