package snapfile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/internal/document"
)

// parse parses the text of a snap's file. If snapcraft or snapd cannot read it, the error is a *document.Error.
// twice are the repeated keys of an unpacked snap's file. snapcraft refuses such a file. snapd uses the last one of the values, and
// merges the entries of sections.
func parse(file string, text []byte) (top *document.Node, twice []document.Fault, err error) {
	top, faults, err := document.ParseYAML(file, text)
	if err != nil {
		return nil, nil, err
	}
	wrong := func(at document.Position, format string, args ...any) error {
		return &document.Error{File: file, Pos: at, Message: fmt.Sprintf(format, args...)}
	}
	if !top.Is(document.Map) {
		return nil, nil, wrong(document.Position{Line: 1, Column: 1}, "want a map, as a snapcraft.yaml or snap.yaml is one")
	}
	// In a template, the two may be in different branches.
	template := filepath.Ext(file) != ".yaml" || bytes.Contains(text, []byte("{%"))
	for _, fault := range faults {
		switch {
		case fault.Kind != document.DuplicateKey || template:
		case Built(file):
			if fault.Pos.Column == 1 && slices.ContainsFunc(top.Entries, func(e document.Entry) bool { return e.KeyPos == fault.Pos && slices.Contains(sections, e.Key) }) {
				fault.Message = strings.TrimSuffix(fault.Message, lastCounts) + ": snapd takes what both have"
			}
			twice = append(twice, fault)
		default:
			return nil, nil, wrong(fault.Pos, "%s: snapcraft refuses it", strings.TrimSuffix(fault.Message, lastCounts))
		}
	}
	for _, section := range slices.Concat([]string{"parts"}, sections) {
		entry := top.Entry(section)
		switch {
		case entry == nil || entry.Value.Kind == document.Map || entry.Value.Kind == document.Null || document.Placeholder(entry.Value.String()):
		case entry.Value.Kind == document.List && section == "plugs":
			return nil, nil, wrong(entry.KeyPos, "want a map of plugs, not a list: lists of plugs are for apps and hooks")
		default:
			return nil, nil, wrong(entry.KeyPos, "want a map of %s, not a %s", section, entry.Value.Kind)
		}
	}
	if Built(file) {
		addUp(top)
	}
	return top, twice, nil
}

// addUp moves the entries of a repeated section into the last one of that name.
func addUp(top *document.Node) {
	for _, section := range sections {
		var all []document.Entry
		for _, entry := range top.Entries {
			if entry.Key == section && entry.Value.Kind == document.Map {
				all = append(all, entry.Value.Entries...)
			}
		}
		if last := top.Get(section); last.Is(document.Map) {
			last.Entries = all
		}
	}
}

// sections are the maps whose entries snapd merges if the key is repeated.
var sections = []string{"plugs", "apps", "hooks"}

// lastCounts is the end of the message about another repeated key.
const lastCounts = ": the last one counts"
