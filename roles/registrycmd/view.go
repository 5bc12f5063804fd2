package registrycmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/nearest"
	"aspects-poc/registry"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

// viewNamed returns the view of a command's first argument. It looks for a name without account or confdb-schema among
// the views that the registry knows, unless flags name the schema. It returns a usage error if several confdb-schemas
// have such a view.
func viewNamed(ctx context.Context, c *cli.Context, reg *registry.Registry, name string) (*registry.View, error) {
	view := reg.View(name)
	if strings.Count(name, "/") > 1 || named(c) {
		return view, nil
	}
	known, err := reg.Views(ctx)
	if err != nil {
		return view, nil // the access reports what is wrong
	}
	var found, names, there []string
	ours := false // the registry has the default confdb-schema of short names
	for _, v := range own(known) {
		id := v.ID.String()
		names, there = append(names, v.ID.View, v.ID.Schema+"/"+v.ID.View), append(there, v.ID.Schema+"/"+v.ID.View)
		ours = ours || v.ID.Account == view.ID().Account && v.ID.Schema == view.ID().Schema
		if strings.HasSuffix(id, "/"+name) {
			found = append(found, id)
		}
		if v.ID == view.ID() {
			return view, nil
		}
	}
	switch near := nearest.Names(name, names); {
	case len(found) == 1:
		return reg.View(found[0]), nil
	case len(found) > 1:
		return nil, roles.Usagef("several confdb-schemas have a view %q: name one of %s", name, strings.Join(found, ", "))
	case len(near) > 0:
		return nil, &registry.Error{Op: "find", View: view.ID(), Kind: registry.ErrNoView, Remedy: near[0],
			Message: fmt.Sprintf("no confdb-schema here has a view %q", name)}
	case !ours && len(there) > 0:
		return nil, &registry.Error{Op: "find", View: view.ID(), Kind: registry.ErrNoView,
			Message: fmt.Sprintf("no confdb-schema here has a view %q: there are %s", name, enumerate(there))}
	}
	return view, nil
}

// named reports whether flags or the environment name the confdb-schema.
func named(c *cli.Context) bool { return c.IsSet("account-id") || c.IsSet("schema") }

// own returns the views without those of snapd's built-in confdb-schemas.
func own(views []registry.ViewInfo) []registry.ViewInfo {
	return slices.DeleteFunc(slices.Clone(views), func(v registry.ViewInfo) bool { return v.ID.Account == "system" })
}

// enumerate joins names for a message. It shortens a long list.
func enumerate(names []string) string {
	const most = 10
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}

// completionPatience is how long a completion waits for a registry.
const completionPatience = time.Second

// completeViews returns the registry's views that suit the typed flags, for completion.
func completeViews(env *roles.Env, c *cli.Context, kind, _ string) []roles.Candidate {
	if kind != "VIEW" {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context, completionPatience)
	defer cancel()
	reg, err := open(ctx, env, c)
	if err != nil {
		return nil
	}
	defer func() { _ = reg.Close() }() // only read
	views, err := reg.Views(ctx)
	if err != nil {
		return nil
	}
	schemas := map[string]int{} // name of a view -> number of confdb-schemas with it
	for _, v := range views {
		schemas[v.ID.View]++
	}
	var list []roles.Candidate
	for _, v := range views {
		name := v.ID.View
		if schemas[name] > 1 {
			name = v.ID.String()
		}
		list = append(list, roles.Candidate{Word: name, About: v.Summary})
	}
	return list
}
