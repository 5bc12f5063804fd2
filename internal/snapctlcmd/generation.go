package snapctlcmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/snapdhttp"
)

// A Generation has the abilities and words of snapctl in one version of snapd. The facts come from the source of the snapd releases;
// 2.77.1 and 2.68.3 were also observed.
type Generation struct {
	Version string // as `snapctl version` prints it

	Prefix string // prefix of messages
	Flag   string // name of the experimental flag
	NoData string // last words of a "no data" message

	Views     bool   // has --view: since 2.68
	Previous  string // name of the flag: pristine in 2.68, previous since 2.69
	Readers   bool   // a read needs a custodian: since 2.69
	Lenient   bool   // an answer to several requests leaves out those without a rule: up to 2.70
	Refuses   bool   // refuses an access at once if others hold the confdb: 2.70 to 2.75
	Connected bool   // the plug must be connected: since 2.72
	Defaults  bool   // has --default: since 2.72
	Tells     bool   // has `snapctl version`: since 2.73
	With      bool   // has --with: since 2.74
	Queues    bool   // has --wait-for, and waits at most two minutes: since 2.76
}

// GenerationOf returns the generation of version v, whose full text is text.
func GenerationOf(text string, v snapdhttp.Version) Generation {
	g := Generation{
		Version: text,
		Prefix:  "error running snapctl: ", Flag: "confdbs", NoData: "no view data", Views: v.AtLeast(2, 68),
		Lenient: !v.AtLeast(2, 71), Readers: v.AtLeast(2, 69), Refuses: v.AtLeast(2, 70) && !v.AtLeast(2, 76), Connected: v.AtLeast(2, 72),
		Defaults: v.AtLeast(2, 72), Tells: v.AtLeast(2, 73), With: v.AtLeast(2, 74), Queues: v.AtLeast(2, 76),
	}
	if g.Views {
		g.Previous = "pristine"
	}
	if v.AtLeast(2, 69) {
		g.Flag, g.Previous, g.NoData = "confdb", "previous", "no data"
	}
	if v.AtLeast(2, 70) {
		g.Prefix = "snapctl: "
	}
	return g
}

// Flags returns the flags of a command. The value is true for a flag that takes an argument.
func (g Generation) Flags(command string) map[string]bool {
	flags := map[string]bool{}
	add := func(known bool, name string, value bool) {
		if known {
			flags[name] = value
		}
	}
	switch command {
	case "get":
		add(true, "d", false)
		add(true, "t", false)
		add(true, "plug", false)
		add(true, "slot", false)
		add(g.Views, "view", false)
		add(g.Previous != "", g.Previous, false)
		add(g.Defaults, "default", true)
		add(g.With, "with", true)
		add(g.Queues, "wait-for", true)
	case "set":
		add(true, "s", false)
		add(true, "t", false)
		add(g.Views, "view", false)
		add(g.Queues, "wait-for", true)
	case "unset":
		add(g.Views, "view", false)
		add(g.Queues, "wait-for", true)
	case "is-connected":
		add(true, "list", false)
	case "start":
		add(true, "enable", false)
	case "stop":
		add(true, "disable", false)
	case "restart":
		add(true, "reload", false)
	}
	return flags
}

// Commands returns the commands of this snapd, sorted.
func (g Generation) Commands() []string {
	list := []string{}
	if g.Views {
		list = append(list, "fail")
	}
	list = append(list, "get", "is-connected", "restart", "services", "set", "start", "stop", "unset")
	if g.Tells {
		list = append(list, "version")
	}
	return list
}

// Usage returns the answer to --help, with the parts that clients use.
func (g Generation) Usage(command string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Usage:\n  snapctl %s [%s-OPTIONS]\n\n[%s command options]\n", command, command, command)
	flags := g.Flags(command)
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		switch {
		case len(name) == 1:
			fmt.Fprintf(&text, "      -%s\n", name)
		case flags[name]:
			fmt.Fprintf(&text, "          --%s=\n", name)
		default:
			fmt.Fprintf(&text, "          --%s\n", name)
		}
	}
	return text.String()
}

// Disabled returns the message for an experimental flag that is off.
func (g Generation) Disabled() string {
	return fmt.Sprintf("%q feature flag is disabled: set 'experimental.%s' to true", g.Flag, g.Flag)
}

// NoCustodian returns the message for an access to a view without a custodian.
func (g Generation) NoCustodian(id string, write bool) string {
	schema := id[:strings.LastIndex(id, "/")]
	switch {
	case g.Queues && write:
		return fmt.Sprintf("cannot write confdb view %s: no custodian snap connected", id)
	case g.Queues:
		return fmt.Sprintf("cannot read confdb view %s: no custodian snap connected", id)
	case g.Readers && write:
		return fmt.Sprintf("cannot commit changes to confdb made through view %s: no custodian snap installed", id)
	case g.Readers:
		return fmt.Sprintf("cannot load confdb through view %s: no custodian snap connected", id)
	default:
		return fmt.Sprintf("cannot commit changes to confdb %s: no custodian snap installed", schema)
	}
}

// UnknownSchema returns the message for a confdb-schema that does not exist.
func (g Generation) UnknownSchema(account, schema string) string {
	if g.Readers {
		return fmt.Sprintf("confdb-schema (%s; account-id:%s) not found", schema, account)
	}
	return fmt.Sprintf("cannot find confdb %s/%s: assertion not found", account, schema)
}

// UnknownView returns the message for a view that does not exist.
func (g Generation) UnknownView(account, schema, view string) string {
	if g.Readers {
		return fmt.Sprintf("cannot find view %q in confdb schema %s/%s", view, account, schema)
	}
	return fmt.Sprintf("cannot find view %q in confdb %s/%s", view, account, schema)
}

// Reworded translates a message of the engine, which has the words of the newest snapd, to the words of this version.
func (g Generation) Reworded(message string) string {
	if rest, found := strings.CutSuffix(message, ": no data"); found {
		return rest + ": " + g.NoData
	}
	return message
}
