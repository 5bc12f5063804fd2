// Package snapfile reads a snap, as source or unpacked: its file, the hooks beside it, and the files that its parts copy. It
// has snapd's rules for confdb plugs, hooks and the names of snaps. Its main function is Read, its main type Snap.
//
//	snap, err := snapfile.Read("./custodian")
//
// Package lint reports faults of the snap. Package source prepares it to run.
package snapfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/dialect"
)

// Unpacked is the path of the file of an unpacked snap. Find searches the files of snapcraft besides.
const Unpacked = "meta/snap.yaml"

var files = []string{Unpacked, "snap/snapcraft.yaml", "snapcraft.yaml", ".snapcraft.yaml", "build-aux/snap/snapcraft.yaml"}

// templates are the endings of templates from which some projects make their snapcraft.yaml.
var templates = []string{".in", ".template", ".tmpl", ".tpl", ".j2"}

// Find returns the path of the snap's file in a folder, or name itself if it is a file. The error is a *MissingError if the folder
// has no snap.
func Find(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return name, nil
	}
	for _, inside := range files {
		file := filepath.Join(name, inside)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	for _, inside := range files {
		for _, ending := range templates {
			file := filepath.Join(name, inside+ending)
			if _, err := os.Stat(file); err == nil {
				return file, nil
			}
		}
	}
	return "", &MissingError{Dir: name}
}

// A MissingError is the error of a folder without a snap. errors.Is matches fs.ErrNotExist.
type MissingError struct{ Dir string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("cannot find a snap in %s: it has no snap/snapcraft.yaml, snapcraft.yaml or meta/snap.yaml", e.Dir)
}

// Is reports whether target is fs.ErrNotExist.
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

// Built reports whether a snap's file is that of an unpacked snap. Before that, snapcraft makes hooks executable.
func Built(file string) bool { return strings.HasPrefix(filepath.Base(file), "snap.yaml") }

// Root returns the folder of the project, or of the unpacked snap, that a snap's file belongs to.
func Root(file string) string {
	root := filepath.Dir(file)
	if base := filepath.Base(root); base == "snap" || base == "meta" {
		root = filepath.Dir(root)
		if base == "snap" && filepath.Base(root) == "build-aux" {
			root = filepath.Dir(root)
		}
	}
	return root
}

// HookFolder returns the folder of a snap's hooks: beside snap.yaml, or in snap/ of a snapcraft project.
func HookFolder(file string) string {
	dir := filepath.Dir(file)
	if !Built(file) && filepath.Base(dir) != "snap" {
		return filepath.Join(dir, "snap", "hooks")
	}
	return filepath.Join(dir, "hooks")
}

// beside returns the names of the files and of the folders in the folder of a snap's hooks, sorted. A broken link counts as a file.
func beside(file string) (names, folders []string, err error) {
	folder := HookFolder(file)
	list, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range list {
		info, err := os.Stat(filepath.Join(folder, entry.Name())) // follows links
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, nil, err
		case strings.HasPrefix(entry.Name(), "."):
		case err == nil && info.IsDir():
			folders = append(folders, entry.Name())
		default:
			names = append(names, entry.Name())
		}
	}
	return names, folders, nil
}

// Refused returns why snapd's confdb interface refuses a plug, in its words, and the attribute at fault. reason is "" if it accepts
// the plug. An empty role means a plug without a role.
func Refused(account, view, role string) (attribute, reason string) {
	schema, name, _ := strings.Cut(view, "/")
	switch {
	case account == "":
		return "account", `confdb plug must have an "account" attribute`
	case dialect.ValidAccount(account) != nil:
		return "account", `confdb plug must have a valid "account" attribute: format mismatch`
	case view == "":
		return "view", `confdb plug must have a "view" attribute`
	case strings.Count(view, "/") != 1:
		return "view", `confdb plug must have a valid "view" attribute: expected confdb and view names separated by a single '/': ` + view
	case !path.ValidSubkey(schema):
		return "view", fmt.Sprintf(`confdb plug must have a valid "view" attribute: invalid confdb name: %s does not match '%s'`, schema, path.Subkey)
	case !path.ValidSubkey(name):
		return "view", fmt.Sprintf(`confdb plug must have a valid "view" attribute: invalid view name: %s does not match '%s'`, name, path.Subkey)
	case role != "" && role != "custodian":
		return "role", `optional confdb plug "role" attribute must be "custodian"`
	case role != "" && account == "system":
		return "role", `snaps cannot be custodians of "system" confdb schemas`
	}
	return "", ""
}

// kinds has the beginnings of the names of hooks that are named after a plug; true means that only custodians have the hook.
var kinds = map[string]bool{"change-view-": true, "save-view-": true, "load-view-": true, "query-view-": true, "observe-view-": false,
	"prepare-plug-": false, "connect-plug-": false, "disconnect-plug-": false, "unprepare-plug-": false}

// others are the hooks that are not named after a plug.
var others = map[string]bool{"install": true, "default-configure": true, "configure": true, "pre-refresh": true, "post-refresh": true,
	"remove": true, "check-health": true, "gate-auto-refresh": true, "fde-setup": true, "install-device": true, "prepare-device": true}

// maxName is the largest length of a snap's name.
const maxName = 40

var validName = regexp.MustCompile(`^(?:[a-z0-9]+-?)*[a-z](?:-?[a-z0-9])*$`)

// ValidName reports whether snapd accepts a name for a snap.
func ValidName(name string) bool { return len(name) <= maxName && validName.MatchString(name) }

// Names returns the hooks that snapd runs for a snap with some plugs.
func Names(plugs []string) []string {
	names := slices.Collect(maps.Keys(others))
	for kind := range kinds {
		for _, plug := range plugs {
			names = append(names, kind+plug)
		}
	}
	slices.Sort(names)
	return names
}

// Split splits the name of a hook into its kind, such as "change-view-", and its plug. Both are "" if the hook is not named after a
// plug.
func Split(hook string) (kind, plug string) {
	for kind := range kinds {
		if plug, ok := strings.CutPrefix(hook, kind); ok {
			return kind, plug
		}
	}
	return "", ""
}

// RefusedHooks returns why snapd refuses a snap with these hooks, in its words, or "".
func RefusedHooks(names []string) string {
	if slices.Contains(names, "default-configure") && !slices.Contains(names, "configure") {
		return `cannot specify "default-configure" hook without "configure" hook`
	}
	return ""
}

// CustodianOnly reports whether snapd runs a kind of hooks for custodians only.
func CustodianOnly(kind string) bool { return kinds[kind] }

// Fixed reports whether snapd runs a hook of this name that is not named after a plug.
func Fixed(hook string) bool { return others[hook] }
