package registrycmd

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"aspects-poc/registry/kit/rest"
	"aspects-poc/registry/kit/world"
)

var _ rest.Trier = (*workshop)(nil)

// Try adds the snap in a folder, or refreshes it, and returns the ID of the change that does it. From then on dev treats it
// as those it was started with: it connects its plugs and reads it again when its files change.
func (s *workshop) Try(_ context.Context, dir string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(dir)
	if err != nil {
		return "", &world.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("cannot try %s: %v", dir, err)}
	}
	found.Snap.Try = true
	s.log.say("%s: snap %s, %s, tried", dir, found.Snap.Name, hooksOf(found.Snap))
	s.log.warn(dir, found.Warnings)
	if err := s.runner.Prepare(found.Snap); err != nil {
		return "", err
	}
	id, err := s.BeginInstall(found.Snap)
	if err != nil {
		return "", err
	}
	s.adopting.Go(func() { s.adopt(s.life, id, dir, found.Snap, found.Watch) })
	return id, nil
}

// adopt treats a snap that was tried as one of dev's own, when it is installed.
func (s *workshop) adopt(ctx context.Context, id, dir string, snap world.Snap, watch []string) {
	change, err := s.Wait(ctx, id)
	if err != nil { // dev ends
		return
	}
	if change.Status != world.Done {
		s.log.say("%s: not added: %s", dir, change.Err)
		return
	}
	s.mu.Lock()
	// A snap is in one folder: in the one that was named last.
	s.dirs = append(slices.DeleteFunc(s.dirs, func(other string) bool { return s.loaded[other].Name == snap.Name }), dir)
	s.loaded[dir] = snap
	s.missing()
	if err := s.connectAll(ctx); err != nil && ctx.Err() == nil {
		s.log.say("%v", err)
	}
	s.mu.Unlock()
	select {
	case s.tried <- watch:
	case <-ctx.Done():
	}
}
