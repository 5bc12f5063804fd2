package kitcmd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"aspects-poc/internal/kit/script"
	"aspects-poc/internal/kit/world/facts"

	schemadoc "aspects-poc/internal/document"
)

// A sourceList reads files of confdb-schemas and remembers them. It reads each text once, however many scripts name it.
// It is safe for concurrent use.
type sourceList struct {
	mu      sync.Mutex // guards the fields below
	list    []script.Source
	schemas [][]facts.Schema // the confdb-schemas of each source
}

// read returns the confdb-schemas of a file.
func (l *sourceList) read(path, account string) ([]facts.Schema, error) {
	text, err := schemadoc.Read(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the confdb-schema: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, known := range l.list {
		if bytes.Equal(known.Text, text) && filepath.Ext(known.File) == filepath.Ext(path) {
			return l.schemas[i], nil
		}
	}
	docs, err := schemadoc.ParseSchemas(path, text)
	if err != nil {
		return nil, err
	}
	schemas, err := machineSchemas(path, docs, account)
	if err != nil {
		return nil, err
	}
	l.list = append(l.list, script.Source{File: shortName(path), Text: text, Documents: docs})
	l.schemas = append(l.schemas, schemas)
	return schemas, nil
}

// shortName returns a file's name for messages: its path from the working directory, or its base name if it is
// elsewhere.
func shortName(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return filepath.Base(path)
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return filepath.Base(path)
	}
	if below, found := strings.CutPrefix(full, here+"/"); found {
		return below
	}
	return filepath.Base(path)
}
