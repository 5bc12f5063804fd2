// Package recipe derives the metadata of our snaps from one file, snap/snapcraft.yaml: for each role the project file
// for snapcraft, and the meta/snap.yaml that snapcraft would write. Its main types are Recipe and Project. It reads and
// writes no files and runs no processes; command mksnap does.
//
//	r, err := recipe.Parse(text)
//	project, err := r.Project("vpn", recipe.Build{Version: "0.3", AccountID: "…"})
//	project.YAML()              // snapcraft.yaml
//	project.SnapYAML("arm64")   // meta/snap.yaml
package recipe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Recipe is snap/snapcraft.yaml, parsed.
type Recipe struct {
	common *yaml.Node
	names  []string
	roles  map[string]*yaml.Node
}

// Build has the values that a build fills into the recipe.
type Build struct {
	Version   string // of the snaps: letters, digits and :.+~-
	AccountID string // account of the confdb-schema, in every confdb plug
	Commit    string // the source commit; "" if unknown
}

// Parse reads a recipe. It does not check the sections of the roles: Project checks them with the variables filled in.
func Parse(text []byte) (*Recipe, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("cannot read the recipe: %w", err)
	}
	r := &Recipe{roles: map[string]*yaml.Node{}}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("cannot read the recipe: want a map with common and roles")
	}
	if err := plain(&document); err != nil {
		return nil, fmt.Errorf("cannot read the recipe: %w", err)
	}
	for key, value := range pairs(document.Content[0]) {
		if value.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("cannot read the recipe: line %d: %q is no map", value.Line, key)
		}
		switch key {
		case "common":
			r.common = value
		case "roles":
			for name, role := range pairs(value) {
				if role.Kind != yaml.MappingNode {
					return nil, fmt.Errorf("cannot read the recipe: line %d: role %q is no map", role.Line, name)
				}
				r.names, r.roles[name] = append(r.names, name), role
			}
		default:
			return nil, fmt.Errorf("cannot read the recipe: line %d: unknown section %q, want common and roles",
				value.Line, key)
		}
	}
	if r.common == nil || len(r.names) == 0 {
		return nil, errors.New("cannot read the recipe: want a map with common and roles")
	}
	return r, nil
}

// Roles lists the roles in the recipe's order.
func (r *Recipe) Roles() []string { return slices.Clone(r.names) }

// Project returns the project of one role. It returns an error if snapcraft would refuse the project.
func (r *Recipe) Project(role string, build Build) (*Project, error) {
	section, ok := r.roles[role]
	if !ok {
		return nil, fmt.Errorf("unknown role %q; the recipe has %s", role, strings.Join(r.names, ", "))
	}
	commit := build.Commit
	if commit == "" {
		commit = "unknown"
	}
	values := map[string]string{
		"ROLE": role, "VERSION": build.Version, "ACCOUNT_ID": build.AccountID, "COMMIT": commit,
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !safe.MatchString(values[name]) {
			return nil, fmt.Errorf("cannot make the snap of role %q: invalid %s %q: want letters, digits and :.+~-", role,
				name, values[name])
		}
	}
	root, err := fill(r.common, values)
	if err != nil {
		return nil, fmt.Errorf("cannot make the snap of role %q: %w", role, err)
	}
	own, err := fill(section, values)
	if err != nil {
		return nil, fmt.Errorf("cannot make the snap of role %q: %w", role, err)
	}
	if err := expand(own, build.AccountID); err != nil {
		return nil, fmt.Errorf("cannot make the snap of role %q: %w", role, err)
	}
	device, err := takeBinary(own)
	if err != nil {
		return nil, fmt.Errorf("cannot make the snap of role %q: %w", role, err)
	}
	merge(root, own)
	sortLike(root, projectKeys)
	project := &Project{root: root, device: device}
	if err := project.check(); err != nil {
		return nil, fmt.Errorf("cannot make the snap of role %q: %w", role, err)
	}
	return project, nil
}

// A Project is one role's snapcraft.yaml.
type Project struct {
	root   *yaml.Node
	device bool
}

// Device reports whether the snap contains the device binary, which has no server, development kit, load generator or
// demo.
func (p *Project) Device() bool { return p.device }

// Name is the snap's name.
func (p *Project) Name() string { return text(p.root, "name") }

// Version is the snap's version.
func (p *Project) Version() string { return text(p.root, "version") }

// Compression is mksquashfs's name of the compression.
func (p *Project) Compression() string { return text(p.root, "compression") }

// File returns the name of the snap's file for an architecture.
func (p *Project) File(arch string) string {
	return fmt.Sprintf("%s_%s_%s.snap", p.Name(), p.Version(), arch)
}

// Architectures lists the architectures of the project, by Debian's names.
func (p *Project) Architectures() []string { return keys(get(p.root, "platforms")) }

// Hooks lists the names of the snap's hooks.
func (p *Project) Hooks() []string { return keys(get(p.root, "hooks")) }

// YAML returns the project file for snapcraft.
func (p *Project) YAML() ([]byte, error) { return emit(p.root) }
