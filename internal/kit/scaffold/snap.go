package scaffold

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/calls"
	"aspects-poc/internal/kit/keep"
	"aspects-poc/internal/kit/snapfile"
)

// An option is a key of "snap set SNAP KEY=VALUE" with its request path.
type option struct {
	Key     string // key in the snap's configuration
	Request string // request path in the views
	Type    string // type in the confdb-schema
	Value   string // value that a script of the snap sets; "" if none does
	Secret  bool
}

// An Extended is a project that adds confdb to a snap with options: views with the same keys, plugs, and a hook that copies the
// options to confdb. It adds files, and changes none of the snap's.
type Extended struct {
	Project
	Options []option
	HookAt  string // path of the hook
	notes   []string
	file    string // path of the snap's file below the folder, with slashes
	text    string // text of the snap's file with the plugs
}

var _ Plan = (*Extended)(nil)

// Limits of the search for options.
const (
	maxScripts    = 500
	maxScriptSize = 1 << 18
)

// FromSnap reads the snap in a folder and returns the project that adds confdb to it. The project's name is that of the snap. It
// returns an error if the snap has no option, or a confdb plug already.
func FromSnap(dir, account string) (*Extended, error) {
	snap, err := snapfile.Read(dir)
	if err != nil {
		return nil, err
	}
	if snapfile.Built(snap.File) {
		return nil, fmt.Errorf("%s is an unpacked snap: name the folder with its source", dir)
	}
	x := &Extended{Project: Project{Name: snap.Name, Account: account}}
	if err := x.Check(); err != nil {
		return nil, err
	}
	if file, err := filepath.Rel(dir, snap.File); err == nil {
		x.file = filepath.ToSlash(file)
	} else {
		return nil, err
	}
	for _, p := range snap.Plugs {
		if p.Confdb() {
			return nil, fmt.Errorf("snap %s has the plug %s for confdb already", snap.Name, p.Name)
		}
	}
	found, err := optionsIn(dir)
	if err != nil {
		return nil, err
	}
	if x.Options = named(found); len(x.Options) == 0 {
		return nil, fmt.Errorf("cannot find an option of snap %s: no script in %s calls snapctl get KEY or snapctl set KEY=VALUE with a key that is written out", snap.Name, dir)
	}
	if err := x.addPlugs(snap.File); err != nil {
		return nil, err
	}
	x.HookAt = "snap/hooks/post-refresh"
	if slices.ContainsFunc(snap.Hooks, func(h snapfile.Hook) bool { return h.Name == "post-refresh" }) {
		x.HookAt = "confdb/hooks/post-refresh"
		x.notes = append(x.notes, "the snap has a hook post-refresh: run what is in "+x.HookAt+" there, too")
	}
	return x, nil
}

// optionsIn returns the options that the scripts below a folder use, in the order in which they are found.
func optionsIn(dir string) (found []calls.Option, err error) {
	scripts := 0
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		base := filepath.Base(name)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != dir && (strings.HasPrefix(base, ".") || slices.Contains([]string{"node_modules", "parts", "stage", "prime", "venv", "vendor"}, base)):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil || info.Size() > maxScriptSize {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil || !bytes.HasPrefix(text, []byte("#!")) || !bytes.Contains(text, []byte("snapctl")) || !utf8.Valid(text) {
			return err
		}
		if scripts++; scripts > maxScripts {
			return fmt.Errorf("%s has more than %d scripts with snapctl", dir, maxScripts)
		}
		for _, c := range calls.Find(base, text) {
			found = append(found, c.Options...)
		}
		return nil
	})
	return found, err
}

// named returns the options with their request paths. If an option has others below it, as server has server.port, it is left out.
func named(found []calls.Option) []option {
	root := &node{}
	values := map[string]string{}
	var keys []string
	for _, o := range found {
		if !slices.Contains(keys, o.Key) {
			keys = append(keys, o.Key)
		}
		if values[o.Key] == "" {
			values[o.Key] = o.Value
		}
	}
	for _, key := range keys {
		if slices.ContainsFunc(keys, func(other string) bool { return strings.HasPrefix(other, key+".") }) {
			continue
		}
		at, path := root, strings.Split(key, ".")
		for _, step := range path[:len(path)-1] {
			at = at.child(step)
		}
		at.below = append(at.below, &node{key: path[len(path)-1], entry: &keep.Entry{Path: path}})
	}
	root.nameBelow()
	var list []option
	var walk func(n *node, prefix string)
	walk = func(n *node, prefix string) {
		for _, child := range n.below {
			request := strings.TrimPrefix(prefix+"."+child.name, ".")
			if child.entry == nil {
				walk(child, request)
				continue
			}
			key := keep.Dotted(child.entry.Path)
			list = append(list, option{Key: key, Request: request, Value: values[key], Type: typeOfText(values[key]), Secret: secretValue(child.name)})
		}
	}
	walk(root, "")
	return list
}

// typeOfText guesses the type of an option from a value that a script sets.
func typeOfText(text string) string {
	switch _, err := strconv.ParseInt(text, 10, 64); {
	case text == "" || strings.ContainsAny(text[:1], "[{"):
		return "any"
	case err == nil:
		return "int"
	case text == "true" || text == "false":
		return "bool"
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return "number"
	}
	return "string"
}

// addPlugs sets x.text to the text of the snap's file with the plugs added.
func (x *Extended) addPlugs(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	x.text = string(text)
	for _, view := range x.views() {
		for _, pair := range [][2]string{{"interface", "confdb"}, {"account", x.Account}, {"view", x.Name + "/" + view}, {"role", "custodian"}} {
			like := ""
			if pair[0] == "account" {
				like = `""` // an ID may look like a number
			}
			x.text, err = keep.Edit(keep.YAML, x.text, []keep.Change{{Path: []string{"plugs", x.Name + "-" + view, pair[0]}, Value: pair[1], Like: like}})
			if err != nil {
				return fmt.Errorf("cannot add plugs to %s: %w", file, err)
			}
		}
	}
	return nil
}

func (x *Extended) secrets() bool {
	return slices.ContainsFunc(x.Options, func(o option) bool { return o.Secret })
}

func (x *Extended) views() []string {
	views := []string{x.Name + "-admin", x.Name + "-state"}
	if x.secrets() {
		views = append(views, x.Name+"-secrets-state")
	}
	return views
}

// Notes returns sentences that say what a person has to do.
func (x *Extended) Notes() []string {
	notes := []string{fmt.Sprintf("nothing of the snap was changed: compare %s with confdb/snapcraft.yaml, which has the plugs, and put it in its place", x.file)}
	for _, o := range x.Options {
		if o.Type == "any" {
			notes = append(notes, fmt.Sprintf("decide the type of %s in confdb/%s.yaml: no script says what it is", o.Key, x.Name))
		}
	}
	return append(notes, x.notes...)
}

const carry = `#!/bin/sh
# Carries the options of "snap set [[.Name]]" over to confdb, once. It tries again at the next refresh if it cannot, such as while
# the plugs are not connected. The options stay, and what is in confdb already counts more than they do.
set -eu

carried=$SNAP_COMMON/.options-in-confdb
[ ! -e "$carried" ] || exit 0

# rounds tells whether confdb, which keeps numbers as 64-bit floats, would round a whole number in JSON.
rounds() {
	printf '%s\n' "$1" | awk '{
		gsub(/\\./, " ")
		gsub(/"[^"]*"/, " ")
		count = split($0, words, /[^-+.0-9eE]+/)
		for (i = 1; i <= count; i++)
			if (words[i] ~ /^-?[0-9]+$/ && sprintf("%.0f", words[i]) != words[i])
				found = 1
	} END { exit !found }'
}

[[range .Plugs]]if ! snapctl is-connected [[.]]; then
	echo "the options stay where they are: snap connect $SNAP_INSTANCE_NAME:[[.]]" >&2
	exit 0
fi
[[end]]
set --
[[range .Options]]value=$(snapctl get -t [[.Key]])
case $value in
null | "{}" | "[]" | "") ;;
*)
	if ! snapctl get --view :[[$.PlugOf .Secret]] [[.Request]] >/dev/null 2>&1; then
		if rounds "$value"; then
			echo "the options stay where they are: [[.Key]] would lose digits, as confdb keeps numbers as 64-bit floats: write it as a text" >&2
			exit 0
		fi
		set -- "$@" "[[.Request]]=$value"
	fi
	;;
esac
[[end]]
if [ $# -gt 0 ] && ! snapctl set -t --view :[[.Name]]-[[.Name]]-admin "$@"; then
	echo "the options stay where they are: the confdb-schema refuses them" >&2
	exit 0
fi
touch "$carried"
`

// Plugs returns the names of the plugs.
func (x *Extended) Plugs() (plugs []string) {
	for _, view := range x.views() {
		plugs = append(plugs, x.Name+"-"+view)
	}
	return plugs
}

// PlugOf returns the plug through which the snap reads options: secrets, or the others.
func (x *Extended) PlugOf(secret bool) string {
	if secret {
		return x.Name + "-" + x.Name + "-secrets-state"
	}
	return x.Name + "-" + x.Name + "-admin"
}

// Files returns the contents of the new files, by their names with slashes.
func (x *Extended) Files() (map[string][]byte, error) {
	parsed, err := template.New("carry").Delims("[[", "]]").Parse(carry)
	if err != nil {
		return nil, err
	}
	var hook bytes.Buffer
	if err := parsed.Execute(&hook, x); err != nil {
		return nil, err
	}
	schema, err := document.Format(x.Name+".yaml", []byte(x.schema()))
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"confdb/" + x.Name + ".yaml": schema,
		"confdb/snapcraft.yaml":      []byte(x.text),
		"confdb/tests/options.txtar": []byte(x.test()),
		x.HookAt:                     hook.Bytes(),
	}, nil
}

func (x *Extended) schema() string {
	var out strings.Builder
	fmt.Fprintf(&out, "# The confdb-schema of the options of snap %[1]s. After a change raise the revision, and see what a published one must not lose:\n# aspects-poc registry lint --against git:HEAD confdb/%[1]s.yaml .\n", x.Name)
	fmt.Fprintf(&out, "name: %s\naccount-id: %s\nrevision: 1\nsummary: Options of %s\nviews:\n", jsonOf(x.Name), jsonOf(x.Account), x.Name)
	view := func(name, summary, all, secret string) {
		fmt.Fprintf(&out, "  %s:\n    summary: %s\n    rules:\n", name, summary)
		for _, o := range x.Options {
			access := all
			if o.Secret {
				access = secret
			}
			if access != "none" {
				fmt.Fprintf(&out, "      - {request: %s, storage: v1.%s%s}\n", quoteKey(o.Request), o.Request, access)
			}
		}
	}
	view(x.Name+"-admin", "All options, to be read and written", "", ", access: write")
	view(x.Name+"-state", "All options but secrets, to be read", ", access: read", "none")
	if x.secrets() {
		view(x.Name+"-secrets-state", "The secrets, for the snap itself only", "none", ", access: read")
	}
	out.WriteString("storage:\n  schema:\n    v1: # views hide this step: a new layout can live beside the old one\n      schema:\n")
	var open []string
	for _, o := range x.Options {
		steps := strings.Split(o.Request, ".")
		same := 0
		for same < len(open) && same < len(steps)-1 && open[same] == steps[same] {
			same++
		}
		for i := same; i < len(steps)-1; i++ {
			indent := strings.Repeat("    ", i)
			fmt.Fprintf(&out, "        %s%s:\n        %s  schema:\n", indent, quoteKey(steps[i]), indent)
		}
		open = steps[:len(steps)-1]
		indent := "        " + strings.Repeat("    ", len(steps)-1)
		why := ""
		if o.Key != o.Request {
			why = " # " + quoted(o.Key) + " of the snap"
		}
		fmt.Fprintf(&out, "%s%s:%s\n%s  type: %s", indent, quoteKey(steps[len(steps)-1]), why, indent, o.Type)
		if o.Type == "any" {
			out.WriteString(" # decide: the type")
		}
		out.WriteString("\n")
		if o.Secret {
			fmt.Fprintf(&out, "%s  visibility: secret\n", indent)
		}
	}
	return out.String()
}

// test returns a test script for the hook that copies the options.
func (x *Extended) test() string {
	var set, expect []string
	for _, o := range x.Options {
		if o.Value != "" && !o.Secret && o.Type != "any" {
			set = append(set, word(o.Key+"="+o.Value))
			expect = append(expect, word(o.Request+"="+o.Value))
		}
	}
	script := fmt.Sprintf(`# The options are carried over once, as soon as the plugs are connected, and they stay.
# Run it from the folder of the snap, after confdb/snapcraft.yaml has become %[2]s:
# aspects-poc registry test confdb/tests/options.txtar
schema confdb/%[1]s.yaml
install $PROJECT
`, x.Name, x.file)
	if len(set) == 0 {
		return script + fmt.Sprintf("connect %[1]s\nrun %[1]s post-refresh\n", x.Name)
	}
	return script + fmt.Sprintf(`configure %[1]s %[2]s
run %[1]s post-refresh
connect %[1]s
run %[1]s post-refresh
expect %[1]s-state %[3]s
unset %[1]s-admin %[4]s
run %[1]s post-refresh
expect %[1]s-state %[5]s
`, x.Name, strings.Join(set, " "), strings.Join(expect, " "), x.firstWritten(), word(x.firstWritten()+"!"))
}

// firstWritten returns the request of the first option with a value.
func (x *Extended) firstWritten() string {
	i := slices.IndexFunc(x.Options, func(o option) bool { return o.Value != "" && !o.Secret && o.Type != "any" })
	return x.Options[i].Request
}
