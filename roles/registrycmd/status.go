package registrycmd

import (
	"context"
	"errors"
	"io"
	"strings"
	"text/tabwriter"

	"aspects-poc/registry"
	"aspects-poc/roles"
	"aspects-poc/roles/internal/plain"
	"aspects-poc/roles/network"

	"github.com/urfave/cli/v2"
)

func status(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "explain which registry is used, and what it can do",
		Description: "Tells which backend answers, where, which dialect it speaks and what it promises, whether the\n" +
			"confdb-schema can be used, and how \"auto\" came to its choice. The exit code is 1 when nothing answers.",
		UsageText: "aspects-poc registry status --registry snapd:",
		Flags: registryFlags(
			&cli.BoolFlag{Name: "json", Usage: "print one JSON document"},
		),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return roles.Usagef("unexpected argument %q: status takes flags only", c.Args().First())
			}
			return within(env, c, func(ctx context.Context, reg *registry.Registry) error {
				report, err := makeReport(ctx, reg)
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

// A report is what status prints; its JSON is documented by the field names.
type report struct {
	Backend      string       `json:"backend"`
	Address      string       `json:"address"`
	Version      string       `json:"version,omitempty"`
	Dialect      string       `json:"dialect,omitempty"`
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

func makeReport(ctx context.Context, reg *registry.Registry) (*report, error) {
	found, err := reg.Status(ctx)
	if err != nil {
		return nil, err
	}
	can := found.Capabilities
	result := &report{
		Backend: found.Backend, Address: found.Address, Version: found.Version, Dialect: found.Dialect,
		Capabilities: capabilities{AtomicUpdate: can.AtomicUpdate, MultiView: can.MultiView, WatchPushed: can.WatchPushed,
			SetConfirmed: can.SetConfirmed},
		Schemas:  probe(ctx, reg, found.Schemas),
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

// probe finds out whether confdb-schemas can be used, by reading through one of their views: that which short view names
// belong to, and those that the registry lists.
func probe(ctx context.Context, reg *registry.Registry, known []string) []schema {
	defaults := reg.Defaults()
	var list []schema
	if defaults.Account != "" && defaults.Schema != "" {
		list = append(list, probeOne(ctx, reg, defaults.Account+"/"+defaults.Schema))
	}
	for _, name := range known {
		if len(list) == 0 || name != list[0].Name {
			list = append(list, probeOne(ctx, reg, name))
		}
	}
	return list
}

// probeOne reads a view that our own confdb-schema has. That another one has not is an answer of it as well.
func probeOne(ctx context.Context, reg *registry.Registry, name string) schema {
	result := schema{Name: name}
	_, err := reg.View(name + "/" + network.ControlTelemetryView).Get(ctx)
	switch {
	case err == nil, errors.Is(err, registry.ErrNoData):
		result.Usable = true
	case errors.Is(err, registry.ErrNoView) && !strings.HasSuffix(name, "/"+network.Name):
		result.Usable = true // the view is not there, but the confdb-schema is
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
	line("dialect", r.Dialect)
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
