package registrycmd

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"aspects-poc/internal/plain"
	"aspects-poc/registry"
	"aspects-poc/roles"
	"aspects-poc/roles/network"

	"github.com/urfave/cli/v2"
)

func status(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show which registry is used, and what it can do",
		Description: "Prints which backend answers, its address, its generation of snapd and what it promises, whether the " +
			"confdb-schema can be used, and why \"auto\" chose this backend. Exit status: 1 if nothing answers.",
		UsageText: "aspects-poc registry status --registry snapd:",
		Flags: registryFlags(
			&cli.BoolFlag{Name: "json", Usage: "print one JSON document"},
		),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return roles.Usagef("unexpected argument %q: status takes flags only", c.Args().First())
			}
			return within(env, c, func(ctx context.Context, reg *registry.Registry) error {
				report, err := makeReport(ctx, c, reg)
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return printValue(env.Stdout, report, typed, roles.IsTerminal(env.Stdout))
				}
				return report.print(env.Stdout)
			})
		},
	}
}

// A report is the output of status. Its field names document its JSON.
type report struct {
	Backend      string       `json:"backend"`
	Address      string       `json:"address"`
	Version      string       `json:"version,omitempty"`
	Generation   string       `json:"generation,omitempty"`
	Capabilities capabilities `json:"capabilities"`
	Schemas      []schema     `json:"schemas"`
	Warnings     []string     `json:"warnings"`
	Candidates   []candidate  `json:"candidates,omitempty"` // of auto, in the order in which it looked at them
}

type capabilities struct {
	AtomicUpdate bool   `json:"atomic-update"`
	MultiView    bool   `json:"multi-view"`
	WatchPushed  bool   `json:"watch-pushed"`
	WatchEvery   string `json:"watch-every,omitempty"` // a duration, where watches poll
	SetConfirmed bool   `json:"set-confirmed"`
}

type schema struct {
	Name    string `json:"name"` // ACCOUNT/SCHEMA
	Usable  bool   `json:"usable"`
	Problem string `json:"problem,omitempty"`
}

type candidate struct {
	Backend string `json:"backend"`
	Taken   bool   `json:"taken"`
	Reason  string `json:"reason"`
}

func makeReport(ctx context.Context, c *cli.Context, reg *registry.Registry) (*report, error) {
	found, err := reg.Status(ctx)
	if err != nil {
		return nil, err
	}
	can := found.Capabilities
	result := &report{
		Backend: found.Backend, Address: found.Address, Version: found.Version, Generation: found.Generation,
		Capabilities: capabilities{AtomicUpdate: can.AtomicUpdate, MultiView: can.MultiView, WatchPushed: can.WatchPushed,
			SetConfirmed: can.SetConfirmed},
		Schemas:  probe(ctx, c, reg, found.Schemas),
		Warnings: append([]string{}, found.Warnings...),
	}
	if can.WatchEvery > 0 {
		result.Capabilities.WatchEvery = can.WatchEvery.String()
	}
	for _, looked := range reg.Choice().Candidates {
		result.Candidates = append(result.Candidates, candidate{looked.Scheme, looked.Taken, looked.Reason})
	}
	return result, nil
}

// probe finds out whether confdb-schemas can be used, by a read through one view of each. It probes the schemas that
// the registry knows. It also probes the default schema of short names, unless the registry knows others and no flag
// names a schema.
func probe(ctx context.Context, c *cli.Context, reg *registry.Registry, listed []string) []schema {
	views := map[string]string{} // ACCOUNT/SCHEMA -> a view to read; "" if none is known
	for _, name := range listed {
		views[name] = ""
	}
	infos, err := reg.Views(ctx)
	if err != nil {
		infos = nil // snapctl does not list them
	}
	for _, v := range own(infos) {
		if name := v.ID.Account + "/" + v.ID.Schema; views[name] == "" {
			views[name] = v.ID.View
		}
	}
	names := slices.Sorted(maps.Keys(views))
	if defaults := reg.Defaults(); defaults.Account != "" && defaults.Schema != "" {
		name := defaults.Account + "/" + defaults.Schema
		if _, there := views[name]; there {
			names = slices.DeleteFunc(names, func(other string) bool { return other == name })
			names = slices.Insert(names, 0, name)
		} else if len(names) == 0 || named(c) {
			names = slices.Insert(names, 0, name)
		}
	}
	list := []schema{}
	for _, name := range names {
		list = append(list, probeOne(ctx, reg, name, views[name]))
	}
	return list
}

// probeOne reads through a known view of the confdb-schema, or through one of ours. The schema is usable if the answer
// comes from it: no data, a view that is not readable without parameters, or, for another schema than ours, no such
// view.
func probeOne(ctx context.Context, reg *registry.Registry, name, known string) schema {
	result := schema{Name: name}
	ours := strings.HasSuffix(name, "/"+network.Name)
	view := known
	if known == "" || ours {
		view = network.ControlTelemetryView
	}
	_, err := reg.View(name + "/" + view).Get(ctx)
	switch {
	case err == nil, errors.Is(err, registry.ErrNoData):
		result.Usable = true
	case known != "" && (errors.Is(err, registry.ErrNoMatch) || errors.Is(err, registry.ErrBadRequest)):
		result.Usable = true // the view is write-only, or needs parameters
	case known == "" && !ours && errors.Is(err, registry.ErrNoView):
		result.Usable = true
	default:
		result.Problem = err.Error()
	}
	return result
}

func (r *report) print(w io.Writer) error {
	var text strings.Builder
	line := func(key, value string) {
		if value != "" {
			text.WriteString(key + ":\t" + plain.Line(strings.ReplaceAll(value, "\n", " ")) + "\n")
		}
	}
	line("backend", r.Backend)
	line("address", r.Address)
	line("version", r.Version)
	line("generation", r.Generation)
	for _, s := range r.Schemas {
		state := "usable"
		if !s.Usable {
			state = s.Problem
		}
		line("schema", s.Name+": "+state)
	}
	can := r.Capabilities
	line("update", choose(can.AtomicUpdate, "atomic", "not atomic: a concurrent write may be lost"))
	line("several views", choose(can.MultiView, "in one transaction", "one transaction each"))
	line("set", choose(can.SetConfirmed, "returns when committed", "confirmed by reading back"))
	line("watch", choose(can.WatchPushed, "changes are announced", "the view is read every "+can.WatchEvery))
	for _, warning := range r.Warnings {
		line("warning", warning)
	}
	for _, looked := range r.Candidates {
		line("auto: "+looked.Backend, choose(looked.Taken, "taken: ", "not taken: ")+looked.Reason)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, text.String()); err != nil {
		return err
	}
	return table.Flush()
}

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}
