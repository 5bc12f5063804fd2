package fakesnapctl

import (
	"fmt"
	"strings"

	"aspects-poc/registry/internal/snapdhttp"
)

// A dialect is what one version of snapd does differently from another (2.77.1 and 2.68.3 seen, the others read in the
// sources of the releases).
type dialect struct {
	version string // as `snapctl version` prints it

	prefix string // of messages
	flag   string // name of the experimental flag
	noun   string // what messages call a confdb
	noData string // how "no data" ends

	views     bool   // get --view: 2.64
	writes    bool   // set --view, unset --view: 2.65
	fail      bool   // 2.66
	hooks     bool   // change-view and save-view hooks, and a custodian for writing: 2.67
	previous  string // name of the flag: pristine in 2.67, previous since 2.69
	readers   bool   // a custodian for reading: 2.69
	lenient   bool   // of several requests, those without a rule are left out: to 2.70
	refuses   bool   // an access that comes too early is refused at once: 2.70 to 2.75
	connected bool   // the plug must be connected: 2.72
	defaults  bool   // --default: 2.72
	tells     bool   // snapctl version: 2.73
	with      bool   // --with: 2.74
	queues    bool   // --wait-for, and a limit of two minutes: 2.76
}

func dialectOf(text string, v snapdhttp.Version) dialect {
	d := dialect{
		version: text,
		prefix:  "error running snapctl: ", flag: "registries", noun: "registry", noData: "no view data",
		views: v.AtLeast(2, 64), writes: v.AtLeast(2, 65), fail: v.AtLeast(2, 66), hooks: v.AtLeast(2, 67),
		lenient: !v.AtLeast(2, 71), readers: v.AtLeast(2, 69), refuses: v.AtLeast(2, 70) && !v.AtLeast(2, 76), connected: v.AtLeast(2, 72),
		defaults: v.AtLeast(2, 72), tells: v.AtLeast(2, 73), with: v.AtLeast(2, 74), queues: v.AtLeast(2, 76),
	}
	if v.AtLeast(2, 67) {
		d.previous = "pristine"
	}
	if v.AtLeast(2, 68) {
		d.flag, d.noun = "confdbs", "confdb"
	}
	if v.AtLeast(2, 69) {
		d.flag, d.previous, d.noData = "confdb", "previous", "no data"
	}
	if v.AtLeast(2, 70) {
		d.prefix = "snapctl: "
	}
	return d
}

// flags returns the flags of a command; true stands for one that takes a value.
func (d dialect) flags(command string) map[string]bool {
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
		add(d.views, "view", false)
		add(d.previous != "", d.previous, false)
		add(d.defaults, "default", true)
		add(d.with, "with", true)
		add(d.queues, "wait-for", true)
	case "set":
		add(true, "s", false)
		add(true, "t", false)
		add(d.writes, "view", false)
		add(d.queues, "wait-for", true)
	case "unset":
		add(d.writes, "view", false)
		add(d.queues, "wait-for", true)
	case "is-connected":
		add(true, "list", false)
	}
	return flags
}

// commands returns the commands that this snapd has, sorted.
func (d dialect) commands() []string {
	list := []string{}
	if d.fail {
		list = append(list, "fail")
	}
	list = append(list, "get", "is-connected", "restart", "services", "set", "start", "stop", "unset")
	if d.tells {
		list = append(list, "version")
	}
	return list
}

// usage is the answer to --help, as far as clients look at it.
func (d dialect) usage(command string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Usage:\n  snapctl %s [%s-OPTIONS]\n\n[%s command options]\n", command, command, command)
	flags := d.flags(command)
	for _, name := range sorted(flags) {
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

func (d dialect) disabled() string {
	return fmt.Sprintf("%q feature flag is disabled: set 'experimental.%s' to true", d.flag, d.flag)
}

func (d dialect) noCustodian(id string, write bool) string {
	schema := id[:strings.LastIndex(id, "/")]
	switch {
	case d.queues && write:
		return fmt.Sprintf("cannot write confdb view %s: no custodian snap connected", id)
	case d.queues:
		return fmt.Sprintf("cannot read confdb view %s: no custodian snap connected", id)
	case d.readers && write:
		return fmt.Sprintf("cannot commit changes to confdb made through view %s: no custodian snap installed", id)
	case d.readers:
		return fmt.Sprintf("cannot load confdb through view %s: no custodian snap connected", id)
	default:
		return fmt.Sprintf("cannot commit changes to %s %s: no custodian snap installed", d.noun, schema)
	}
}

func (d dialect) unknownSchema(account, schema string) string {
	if d.readers {
		return fmt.Sprintf("confdb-schema (%s; account-id:%s) not found", schema, account)
	}
	return fmt.Sprintf("cannot find %s %s/%s: assertion not found", d.noun, account, schema)
}

func (d dialect) unknownView(account, schema, view string) string {
	if d.readers {
		return fmt.Sprintf("cannot find view %q in confdb schema %s/%s", view, account, schema)
	}
	return fmt.Sprintf("cannot find view %q in %s %s/%s", view, d.noun, account, schema)
}

// reworded puts a message of the engine, which words as the newest snapd does, into the words of this one.
func (d dialect) reworded(message string) string {
	if rest, found := strings.CutSuffix(message, ": no data"); found {
		return rest + ": " + d.noData
	}
	return message
}
