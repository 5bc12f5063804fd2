package snapctlcmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/registry/internal/snapdhttp"
)

// A Dialect is what one version of snapd does differently from another (2.77.1 and 2.68.3 seen, the others read in the
// sources of the releases).
type Dialect struct {
	Version string // as `snapctl version` prints it

	Prefix string // of messages
	Flag   string // name of the experimental flag
	NoData string // how "no data" ends

	Views     bool   // --view: 2.68, where this begins
	Previous  string // name of the flag: pristine in 2.68, previous since 2.69
	Readers   bool   // a custodian for reading: 2.69
	Lenient   bool   // of several requests, those without a rule are left out: to 2.70
	Refuses   bool   // an access that comes too early is refused at once: 2.70 to 2.75
	Connected bool   // the plug must be connected: 2.72
	Defaults  bool   // --default: 2.72
	Tells     bool   // snapctl version: 2.73
	With      bool   // --with: 2.74
	Queues    bool   // --wait-for, and a limit of two minutes: 2.76
}

// DialectOf returns the dialect of a version, which is written as text.
func DialectOf(text string, v snapdhttp.Version) Dialect {
	d := Dialect{
		Version: text,
		Prefix:  "error running snapctl: ", Flag: "confdbs", NoData: "no view data", Views: v.AtLeast(2, 68),
		Lenient: !v.AtLeast(2, 71), Readers: v.AtLeast(2, 69), Refuses: v.AtLeast(2, 70) && !v.AtLeast(2, 76), Connected: v.AtLeast(2, 72),
		Defaults: v.AtLeast(2, 72), Tells: v.AtLeast(2, 73), With: v.AtLeast(2, 74), Queues: v.AtLeast(2, 76),
	}
	if d.Views {
		d.Previous = "pristine"
	}
	if v.AtLeast(2, 69) {
		d.Flag, d.Previous, d.NoData = "confdb", "previous", "no data"
	}
	if v.AtLeast(2, 70) {
		d.Prefix = "snapctl: "
	}
	return d
}

// Flags returns the flags of a command; true stands for one that takes a value.
func (d Dialect) Flags(command string) map[string]bool {
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
		add(d.Views, "view", false)
		add(d.Previous != "", d.Previous, false)
		add(d.Defaults, "default", true)
		add(d.With, "with", true)
		add(d.Queues, "wait-for", true)
	case "set":
		add(true, "s", false)
		add(true, "t", false)
		add(d.Views, "view", false)
		add(d.Queues, "wait-for", true)
	case "unset":
		add(d.Views, "view", false)
		add(d.Queues, "wait-for", true)
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

// Commands returns the commands that this snapd has, sorted.
func (d Dialect) Commands() []string {
	list := []string{}
	if d.Views {
		list = append(list, "fail")
	}
	list = append(list, "get", "is-connected", "restart", "services", "set", "start", "stop", "unset")
	if d.Tells {
		list = append(list, "version")
	}
	return list
}

// Usage is the answer to --help, as far as clients look at it.
func (d Dialect) Usage(command string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Usage:\n  snapctl %s [%s-OPTIONS]\n\n[%s command options]\n", command, command, command)
	flags := d.Flags(command)
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

// Disabled refuses where the experimental flag is off.
func (d Dialect) Disabled() string {
	return fmt.Sprintf("%q feature flag is disabled: set 'experimental.%s' to true", d.Flag, d.Flag)
}

// NoCustodian refuses an access to a view that nobody answers for.
func (d Dialect) NoCustodian(id string, write bool) string {
	schema := id[:strings.LastIndex(id, "/")]
	switch {
	case d.Queues && write:
		return fmt.Sprintf("cannot write confdb view %s: no custodian snap connected", id)
	case d.Queues:
		return fmt.Sprintf("cannot read confdb view %s: no custodian snap connected", id)
	case d.Readers && write:
		return fmt.Sprintf("cannot commit changes to confdb made through view %s: no custodian snap installed", id)
	case d.Readers:
		return fmt.Sprintf("cannot load confdb through view %s: no custodian snap connected", id)
	default:
		return fmt.Sprintf("cannot commit changes to confdb %s: no custodian snap installed", schema)
	}
}

// UnknownSchema refuses an access to a confdb-schema that is not there.
func (d Dialect) UnknownSchema(account, schema string) string {
	if d.Readers {
		return fmt.Sprintf("confdb-schema (%s; account-id:%s) not found", schema, account)
	}
	return fmt.Sprintf("cannot find confdb %s/%s: assertion not found", account, schema)
}

// UnknownView refuses an access to a view that is not there.
func (d Dialect) UnknownView(account, schema, view string) string {
	if d.Readers {
		return fmt.Sprintf("cannot find view %q in confdb schema %s/%s", view, account, schema)
	}
	return fmt.Sprintf("cannot find view %q in confdb %s/%s", view, account, schema)
}

// Reworded puts a message of the engine, which words as the newest snapd does, into the words of this one.
func (d Dialect) Reworded(message string) string {
	if rest, found := strings.CutSuffix(message, ": no data"); found {
		return rest + ": " + d.NoData
	}
	return message
}
