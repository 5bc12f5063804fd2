package kitcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/snapfile"
	"aspects-poc/internal/kit/source"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
)

var _ rest.Installer = (*workshop)(nil)

// Try adds the snap in a folder, or refreshes it, and returns the ID of its change. dev then treats the snap as one of
// its own: it connects the plugs, and reads the snap again when its files change.
func (s *workshop) Try(_ context.Context, dir string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(dir)
	if err != nil {
		return "", &facts.Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("cannot try %s: %v", dir, err)}
	}
	found.Snap.Try = true
	return s.add(dir, found, "tried")
}

// InstallFile unpacks and adds the snap in a file. dev then treats the snap as after Try.
func (s *workshop) InstallFile(ctx context.Context, file, instance string, devmode bool) (string, error) {
	refuse := func(format string, args ...any) error {
		return &facts.Error{Status: http.StatusBadRequest, Message: "cannot install snap file: " + fmt.Sprintf(format, args...)}
	}
	if err := os.MkdirAll(s.unpacked, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(s.unpacked, "")
	if err != nil {
		return "", err
	}
	unpack := exec.CommandContext(ctx, "unsquashfs", "-no-progress", "-no-xattrs", "-force", "-dest", dir, file)
	if said, err := unpack.CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		return "", refuse("unsquashfs is not there, which is in the package squashfs-tools: unpack it elsewhere and use `snap try DIR`")
	} else if _, none := os.Stat(filepath.Join(dir, snapfile.Unpacked)); none != nil {
		return "", refuse("it cannot be unpacked: %s", bytes.TrimSpace(said))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(dir)
	if err != nil {
		return "", refuse("%v", err)
	}
	if name, key, parallel := strings.Cut(instance, "_"); parallel && name == found.Snap.Name {
		found.Snap.Key = key
	}
	found.Snap.DevMode = devmode
	return s.add(dir, found, "from a file")
}

// add begins to install a snap. Once it is installed, dev treats it as one of its own. The caller holds the lock.
func (s *workshop) add(dir string, found *source.Source, how string) (string, error) {
	s.log.say("%s: snap %s, %s, %s", dir, found.Snap.Instance(), hooksOf(found.Snap), how)
	s.log.warn(dir, found.Warnings)
	if err := s.runner.Prepare(found.Snap); err != nil {
		return "", err
	}
	id, err := s.Changes.Install(found.Snap)
	if err != nil {
		return "", err
	}
	s.adopting.Go(func() { s.adopt(s.life, id, dir, found.Snap, found.Watch) })
	return id, nil
}

// adopt waits for the installation of a tried snap, and then treats the snap as one of dev's own.
func (s *workshop) adopt(ctx context.Context, id, dir string, snap facts.Snap, watch []string) {
	change, err := s.Changes.Wait(ctx, id)
	if err != nil { // dev ends
		return
	}
	if change.Status != changes.Done {
		s.log.say("%s: not added: %s", dir, change.Err)
		return
	}
	s.mu.Lock()
	// A snap has one folder: the one that was named last.
	s.dirs = append(slices.DeleteFunc(s.dirs, func(other string) bool {
		return s.loaded[other].Name == snap.Name && s.loaded[other].Key == snap.Key
	}), dir)
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
