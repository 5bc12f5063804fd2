package rest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// exportFeatures leaves files for those features that are on, as snapd does in /var/lib/snapd/features: the snap command
// looks there before it asks. It is called before each answer, so that whoever was told that a flag is set finds it so.
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
		return fmt.Errorf("cannot tell clients of the features that are on: %w", err)
	}
	s.exported = &on
	return nil
}
