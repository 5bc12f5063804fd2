package document

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Read returns the text of a file. If path is a folder, the error names the files in it that have a confdb-schema.
func Read(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if !errors.Is(err, syscall.EISDIR) {
		return text, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		switch filepath.Ext(entry.Name()) {
		case ".yaml", ".yml", ".json", ".assert":
			file := filepath.Join(path, entry.Name())
			text, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			docs, err := ParseSchemas(file, text)
			if err == nil && docs[0].Headers.Get("views") != nil {
				found = append(found, file)
			}
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s is a folder, and no file in it is a confdb-schema: name a file", path)
	}
	return nil, fmt.Errorf("%s is a folder: name a file of it (try: %s)", path, strings.Join(found, ", "))
}
