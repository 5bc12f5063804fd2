// Package snapfile reads a snap, as source or unpacked: its file, the hooks beside it, and what its parts copy. It
// knows which plugs for a confdb snapd refuses, and which hooks snapd runs. Its main function is Read.
//
//	snap, err := snapfile.Read("./custodian")
//
// Package lint judges the snap, and package source makes it run.
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

// Unpacked is the file of an unpacked snap; the others in which a snap is looked for are snapcraft's.
const Unpacked = "meta/snap.yaml"

var files = []string{Unpacked, "snap/snapcraft.yaml", "snapcraft.yaml", ".snapcraft.yaml", "build-aux/snap/snapcraft.yaml"}

// templates are what a snapcraft.yaml is made of in some projects, by sed or by a program.
var templates = []string{".in", ".template", ".tmpl", ".tpl", ".j2"}

// Find returns the file of the snap in a folder; a file is itself. Where there is none, the error is a *MissingError.
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

// A MissingError is a folder without a snap. It is fs.ErrNotExist.
type MissingError struct{ Dir string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("cannot find a snap in %s: it has no snap/snapcraft.yaml, snapcraft.yaml or meta/snap.yaml", e.Dir)
}

// Is tells that this is an fs.ErrNotExist.
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

// Built tells whether a snap's file is that of an unpacked snap. What is not built yet snapcraft makes executable.
func Built(file string) bool { return strings.HasPrefix(filepath.Base(file), "snap.yaml") }

// Root is the folder of the project, or of the unpacked snap, that a snap's file belongs to.
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

// HookFolder is where the hooks of a snap are: beside snap.yaml, or in snap/ of a snapcraft project.
func HookFolder(file string) string {
	dir := filepath.Dir(file)
	if !Built(file) && filepath.Base(dir) != "snap" {
		return filepath.Join(dir, "snap", "hooks")
	}
	return filepath.Join(dir, "hooks")
}

// beside returns the names of the hooks in the folder of a snap's file, sorted, and those of the folders that are among them.
// Links that lead nowhere are hooks.
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
		info, err := os.Stat(filepath.Join(folder, entry.Name())) // what a link leads to counts
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

// Refused returns what snapd's confdb interface refuses of a plug's attributes, in its words, and the attribute that is
// meant; "" if it takes them. An empty role is none.
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

// kinds are the hooks that are named after a plug; true for those that only custodians have.
var kinds = map[string]bool{"change-view-": true, "save-view-": true, "load-view-": true, "query-view-": true, "observe-view-": false,
	"prepare-plug-": false, "connect-plug-": false, "disconnect-plug-": false, "unprepare-plug-": false}

// others are the hooks that are not named after a plug.
var others = map[string]bool{"install": true, "default-configure": true, "configure": true, "pre-refresh": true, "post-refresh": true,
	"remove": true, "check-health": true, "gate-auto-refresh": true, "fde-setup": true, "install-device": true, "prepare-device": true}

// maxName is how long snapd lets the name of a snap be.
const maxName = 40

var validName = regexp.MustCompile(`^(?:[a-z0-9]+-?)*[a-z](?:-?[a-z0-9])*$`)

// ValidName tells whether snapd takes a name for a snap.
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

// Split takes the name of a hook apart: its kind, such as "change-view-", and the plug that it is for; "" for another one.
func Split(hook string) (kind, plug string) {
	for kind := range kinds {
		if plug, ok := strings.CutPrefix(hook, kind); ok {
			return kind, plug
		}
	}
	return "", ""
}

// RefusedHooks returns what snapd refuses of the hooks that a snap has, in its words; "" if it takes them.
func RefusedHooks(names []string) string {
	if slices.Contains(names, "default-configure") && !slices.Contains(names, "configure") {
		return `cannot specify "default-configure" hook without "configure" hook`
	}
	return ""
}

// CustodianOnly tells whether snapd runs a kind of hooks for custodians only.
func CustodianOnly(kind string) bool { return kinds[kind] }

// Fixed tells whether snapd knows a hook that is not named after a plug.
func Fixed(hook string) bool { return others[hook] }
