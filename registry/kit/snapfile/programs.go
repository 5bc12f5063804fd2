package snapfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/internal/document"
)

// A Fault is a program that keeps snapd from installing a snap.
type Fault struct {
	Path   string // in the snap
	At     document.Position
	Gone   bool   // it is not there; else it cannot be executed
	Reason string // in snapd's words
}

// Programs looks, as snapd does before it installs a snap, at the files that apps and hooks name: they must be there, and
// executable. lstat tells of a file of the snap, by its path there; where it fails otherwise than with fs.ErrNotExist, nothing is said.
func Programs(top *document.Node, lstat func(path string) (fs.FileInfo, error)) []Fault {
	var faults []Fault
	look := func(command *document.Node, executable bool) {
		words := strings.Fields(command.String())
		if len(words) == 0 || strings.ContainsAny(words[0], "$@{}<>%\"'") {
			return
		}
		path := filepath.Clean(strings.TrimPrefix(words[0], "/"))
		if !filepath.IsLocal(path) || path == "." || !strings.Contains(path, "/") && finds(top) {
			return
		}
		switch info, err := lstat(path); {
		case errors.Is(err, fs.ErrNotExist):
			faults = append(faults, Fault{path, command.Pos, true,
				fmt.Sprintf("snap is unusable due to missing files: path %q does not exist", path)})
		case err == nil && executable && info.Mode().IsRegular() && info.Mode()&0o111 == 0:
			faults = append(faults, Fault{path, command.Pos, false,
				fmt.Sprintf("snap is unusable due to bad permissions: %q should be executable, and isn't: %s", path, info.Mode())})
		}
	}
	for _, section := range []string{"apps", "hooks"} {
		for _, name := range top.Get(section).Keys() {
			entry := top.Get(section).Get(name)
			for _, link := range entry.Get("command-chain").List() {
				look(link, true)
			}
			for _, key := range []string{"command", "stop-command", "reload-command", "post-stop-command"} {
				look(entry.Get(key), true)
			}
			look(entry.Get("completer"), false)
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return strings.Compare(a.Path, b.Path) })
	return faults
}

// finds tells whether snapcraft looks for a command without a folder where programs are, as it does for older bases.
func finds(top *document.Node) bool {
	base := top.Get("build-base").String()
	if base == "" {
		base = top.Get("base").String()
	}
	return top.Get("parts") != nil && (base == "" || base == "core" || base == "core18" || base == "core20")
}
