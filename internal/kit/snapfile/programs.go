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

// A Fault is a program that is missing or cannot be executed.
type Fault struct {
	Path   string // in the snap
	At     document.Position
	Gone   bool   // the file does not exist; otherwise it cannot be executed
	Late   bool   // the snap can be built and installed, and fails when it runs the program
	Reason string // in the words of snapd or snapcraft, whichever refuses the snap; ours if Late
}

// Programs checks the files that apps and hooks name. Like snapd before it installs a snap, it demands that commands exist and are
// executable, and that completers exist. Like snapcraft when it builds a snap, it demands that the programs of a command-chain exist
// and are executable. lstat returns the information about a file at a path in the snap. If it fails with another error than
// fs.ErrNotExist, Programs does not report the file.
func Programs(top *document.Node, lstat func(path string) (fs.FileInfo, error)) []Fault {
	var faults []Fault
	project := top.Get("parts") != nil
	check := func(command *document.Node, judge func(path string, gone bool, mode fs.FileMode) (reason string, late bool)) {
		words := strings.Fields(command.String())
		if len(words) == 0 || strings.ContainsAny(words[0], "$@{}<>%\"'") {
			return
		}
		path := filepath.Clean(strings.TrimPrefix(words[0], "/"))
		if !filepath.IsLocal(path) || path == "." || !strings.Contains(path, "/") && searches(top) {
			return
		}
		info, err := lstat(path)
		gone := errors.Is(err, fs.ErrNotExist)
		if !gone && (err != nil || !info.Mode().IsRegular()) {
			return
		}
		mode := fs.FileMode(0)
		if !gone {
			mode = info.Mode()
		}
		if reason, late := judge(path, gone, mode); reason != "" {
			faults = append(faults, Fault{path, command.Pos, gone, late, reason})
		}
	}
	for _, section := range []string{"apps", "hooks"} {
		for _, name := range top.Get(section).Keys() {
			entry := top.Get(section).Get(name)
			kind := strings.TrimSuffix(section, "s")
			for _, link := range entry.Get("command-chain").List() {
				check(link, func(path string, gone bool, mode fs.FileMode) (string, bool) {
					switch {
					case !gone && mode&0o111 != 0:
						return "", false
					case project:
						return fmt.Sprintf("snapcraft: The command-chain item '%s' defined in %s '%s' does not exist or is not executable", path, kind, name), false
					case gone:
						return fmt.Sprintf("%q of the command-chain does not exist: snapd installs the snap, and %s %q fails when it runs", path, kind, name), true
					}
					return fmt.Sprintf("%q of the command-chain is not executable: snapd installs the snap, and %s %q fails when it runs", path, kind, name), true
				})
			}
			if section == "hooks" {
				continue
			}
			service := entry.Get("daemon").String() != ""
			commands := []string{"command"}
			if service {
				commands = append(commands, "stop-command", "reload-command", "post-stop-command")
			}
			for _, key := range commands {
				check(entry.Get(key), func(path string, gone bool, mode fs.FileMode) (string, bool) {
					switch {
					case gone:
						return missing(path), false
					case service && mode&0o111 == 0:
						return fmt.Sprintf("snap is unusable due to bad permissions: %q should be executable, and isn't: %s", path, mode), false
					case !service && (mode&0o111 == 0 || !project && mode&0o555 != 0o555):
						return fmt.Sprintf("snap is unusable due to bad permissions: %q should be world-readable and executable, and isn't: %s",
							path, mode), false
					}
					return "", false
				})
			}
			check(entry.Get("completer"), func(path string, gone bool, _ fs.FileMode) (string, bool) {
				if gone {
					return missing(path), false
				}
				return "", false
			})
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return strings.Compare(a.Path, b.Path) })
	return faults
}

func missing(path string) string {
	return fmt.Sprintf("snap is unusable due to missing files: path %q does not exist", path)
}

// searches reports whether snapcraft searches the folders of programs for a command without a folder, as it does for older bases.
func searches(top *document.Node) bool {
	base := top.Get("build-base").String()
	if base == "" {
		base = top.Get("base").String()
	}
	return top.Get("parts") != nil && (base == "" || base == "core" || base == "core18" || base == "core20")
}
