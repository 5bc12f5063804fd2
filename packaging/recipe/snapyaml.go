package recipe

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// snapcraft 8 and 9 write the following for a project with build-base core24 (read in snapcraft/meta/snap_yaml.py,
// snapcraft/parts/setup_assets.py and snapcraft/services/package.py of canonical/snapcraft, and in
// craft_application/util/yaml.py of canonical/craft-application):
//
//   - meta/snap.yaml has the project's keys of snapKeys, in that order, and architectures, a list of the one that is
//     built for. What is for building stays out: build-base, platforms, compression, lint, parts. The grade is stable
//     where the project has none.
//   - contact, donation, issues, source-code and website move into links, each as a list.
//   - environment gets an LD_LIBRARY_PATH and a PATH, but for one that the project has: set, it stays; null, it is left
//     out. Without any variable there is no environment.
//   - assumes is sorted; an app's keys are those of appKeys, in that order; plugs and hooks are copied.
//   - The file is written by PyYAML: block style, keys unsorted, lists not indented, strings of many lines as literals.
//   - meta/gui is made, even if it stays empty. A hook of the project that meta/hooks does not have gets a stub
//     (#!/bin/true); one that is there, a link for instance, stays as it is.

var (
	// projectKeys are the known keys of a project, in the usual order. snapcraft knows more.
	projectKeys = []string{"name", "title", "version", "summary", "description", "license", "contact", "issues",
		"source-code", "website", "base", "build-base", "grade", "confinement", "assumes", "compression", "platforms",
		"environment", "plugs", "apps", "hooks", "lint", "parts"}
	snapKeys = []string{"name", "title", "version", "summary", "description", "license", "architectures", "base",
		"assumes", "apps", "confinement", "grade", "environment", "plugs", "hooks", "links"}
	linkKeys = []string{"contact", "issues", "source-code", "website"}
	appKeys  = []string{"command", "start-timeout", "stop-timeout", "restart-delay", "timer", "daemon", "refresh-mode",
		"stop-mode", "restart-condition", "install-mode", "plugs", "environment"}
	hookKeys = []string{"environment", "plugs"}
)

// SnapYAML returns meta/snap.yaml for an architecture, as snapcraft would write it.
func (p *Project) SnapYAML(arch string) ([]byte, error) {
	if !slices.Contains(p.Architectures(), arch) {
		return nil, fmt.Errorf("unknown architecture %q of %s; known are %s", arch, p.Name(),
			strings.Join(p.Architectures(), ", "))
	}
	snap := mapping()
	for _, key := range snapKeys {
		value := get(p.root, key)
		switch key {
		case "architectures":
			value = list(arch)
		case "assumes":
			if value != nil {
				assumes, err := items(value, key)
				if err != nil {
					return nil, err
				}
				slices.Sort(assumes)
				value = list(assumes...)
			}
		case "grade":
			if value == nil {
				value = scalar("stable")
			}
		case "environment":
			value = environment(value)
		case "apps":
			value = apps(value)
		case "links":
			value = links(p.root)
		}
		if value != nil && (value.Kind == yaml.ScalarNode || len(value.Content) > 0) {
			set(snap, key, value)
		}
	}
	return emit(snap)
}

// environment returns a copy without the variables that are null. check makes sure that the project names both of
// snapcraft's own variables.
func environment(project *yaml.Node) *yaml.Node {
	kept := mapping()
	for name, value := range pairs(project) {
		if value.Tag != "!!null" {
			set(kept, name, value)
		}
	}
	return kept
}

func apps(project *yaml.Node) *yaml.Node {
	sorted := mapping()
	for name, app := range pairs(project) {
		copied := &yaml.Node{Kind: app.Kind, Tag: app.Tag, Content: slices.Clone(app.Content)}
		sortLike(copied, appKeys)
		set(sorted, name, copied)
	}
	return sorted
}

func links(project *yaml.Node) *yaml.Node {
	links := mapping()
	for _, key := range linkKeys {
		switch value := get(project, key); {
		case value == nil:
		case value.Kind == yaml.ScalarNode:
			set(links, key, list(value.Value))
		default:
			set(links, key, value)
		}
	}
	return links
}

func list(values ...string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, value := range values {
		list.Content = append(list.Content, scalar(value))
	}
	return list
}
