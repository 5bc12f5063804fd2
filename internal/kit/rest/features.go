package rest

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
)

// exportFeatures writes a file for each feature that is on, as snapd does in /var/lib/snapd/features. The snap command
// checks the files before it sends a request. The server calls exportFeatures before each answer: a client that has set a
// flag finds the file when the answer arrives.
func (s *Server) exportFeatures() error {
	if s.options.Features == "" {
		return nil
	}
	on := s.enabled("confdb") == nil
	s.exporting.Lock()
	defer s.exporting.Unlock()
	if s.exported != nil && *s.exported == on {
		return nil
	}
	file := filepath.Join(s.options.Features, "confdb")
	var err error
	if on {
		if err = os.MkdirAll(s.options.Features, 0o755); err == nil {
			err = os.WriteFile(file, nil, 0o644)
		}
	} else if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("cannot export the features that are on: %w", err)
	}
	s.exported = &on
	return nil
}

// enabled returns a refusal if a feature's flag is off.
func (s *Server) enabled(feature string) error {
	if value := s.world.Facts.Now().System("experimental." + feature); value == true || value == "true" {
		return nil
	}
	return badRequest(fmt.Sprintf("feature flag %q is disabled: set 'experimental.%s' to true", feature, feature))
}

// whileEnabled refuses requests while a feature's flag is off.
func whileEnabled(feature string, handle handler) handler {
	return func(s *Server, r *http.Request) (reply, error) {
		if err := s.enabled(feature); err != nil {
			return reply{}, err
		}
		return handle(s, r)
	}
}
