package calls_test

import (
	"strings"
	"testing"

	"aspects-poc/internal/kit/calls"

	"github.com/google/go-cmp/cmp"
)

// One file is several hooks and reads its own name. The wanted calls are those that certainly run in observe-view-a: not those of
// another hook, and not those for which the hook's name decides in an unknown way.
func TestOwnName(t *testing.T) {
	const dispatch = `import subprocess, sys, os
from pathlib import Path
def put(): subprocess.run(["snapctl", "set", "--view", ":a", "k=1"])
def say(): subprocess.run(["snapctl", "get", "--view", ":a"])
`
	for _, test := range []struct{ name, script, want string }{
		{"basename", `hook=$(basename "$0")
[ "$hook" != configure ] || snapctl set --view :a k=1
[ "$hook" = configure ] && snapctl set --view :a k=1
if test "$hook" = observe-view-a; then snapctl get --view :a; else snapctl fail x; fi`, "get"},
		{"basename and a suffix", `[ "` + "`basename -- $0 -a`" + `" = observe-view ] && snapctl get --view :a`, "get"},
		{"case", `case "$(basename "$0")" in
change-view-*) snapctl fail x ;;
save-view-* | observe-view-*) snapctl get --view :a ;;
*) snapctl set --view :a k=1 ;;
esac`, "get"},
		{"case of none", `case ${0##*/} in change-view-*) snapctl fail x ;; esac; snapctl get --view :a`, "get"},
		{"case of the path", `case "$0" in */observe-view-a) snapctl get --view :a ;; */*) snapctl fail x; esac`, "get"},
		{"the end of another", `hook=${0##*/}
case "$hook" in observe-*) ;; *) snapctl fail x; exit 0 ;; esac
snapctl get --view :a
[ "$hook" = change-view-a ] || exit 0
snapctl fail x`, "get"},
		{"bash", `if [[ ${BASH_SOURCE[0]##*/} == change-view-* && -n $x ]]; then snapctl fail x
elif [[ ! ( "${0##*/}" != observe-view-* ) ]]; then snapctl get --view :a; fi`, "get"},
		{"what follows from it", `case ${0##*/} in observe-*) kind=observe ;; *) kind=change ;; esac
[ "$kind" = observe ] || { snapctl fail x; exit 0; }
plug=${0##*/}; plug=${plug#observe-view-}
[ -z "$x" ] || snapctl get --view ":$plug"`, "get"},
		{"functions by its name", `change() { snapctl fail x; }
observe() { snapctl get --view :a; }
case ${0##*/} in change-*) change ;; observe-*) observe ;; esac`, "get"},
		{"functions that are named so", `change_view() { snapctl fail x; }
observe_view() { snapctl get --view :a; }
"$(basename "$0" -a | tr - _)"`, ""},
		{"a function that asks", `is() { [ "$(basename "$0")" = "$1" ]; }
if is change-view-a; then snapctl fail x; fi
is change-view-a && snapctl fail x
is observe-view-a || exit 0
snapctl get --view :a`, ""},
		{"nobody knows", `if echo "$0" | grep -q change; then snapctl fail x; fi
IFS=- read -r kind _ <<< "$(basename "$0")"
[ "$kind" != change ] || snapctl fail x
[[ $0 =~ change ]] && snapctl fail x
hook=$(basename "$(readlink -f "$0")")
case $hook in change-*) snapctl fail x ;; esac
snapctl get --view :a`, "get"},
		{"anything else", `dir=$(dirname "$0")
. "$dir/lib.sh"
if [ -n "$x" ]; then snapctl get --view :a; fi`, "get"},
		{"what another hook asks for", `ask() { snapctl get --view "$1"; }
case $0 in */observe-*) ask :a ;; *) snapctl set --view :b k=1 ;; esac`, "get"},

		{"python", `#!/usr/bin/python3
` + dispatch + `name = Path(sys.argv[0]).name
if name.startswith("change-view-"):
    subprocess.run(["snapctl", "fail", "x"])
elif name == "save-view-a" or name in ("configure", "install"):
    put()
elif not name.endswith("-b") and "observe" in name:
    say()
`, "get"},
		{"python: the file's name", `#!/usr/bin/python3
` + dispatch + `if os.path.basename(__file__) != "observe-view-a":
    sys.exit(0)
say()
if os.path.basename(sys.argv[0]).removesuffix("-a") != "change-view": sys.exit(0)
put()
`, "get"},
		{"python: match", `#!/usr/bin/python3
` + dispatch + `def main(argv):
    match os.path.basename(argv[0]):
        case "change-view-a" | "save-view-a":
            put()
        case "observe-view-a":
            say()
        case _:
            put()
main(sys.argv)
`, "get"},
		{"python: a map", `#!/usr/bin/python3
` + dispatch + `{"change-view-a": put, "observe-view-a": say}[os.path.basename(sys.argv[0])]()
{"change-view-a": lambda: subprocess.run(["snapctl", "fail", "x"])}.get(sys.argv[0], say)()
`, ""},
		{"python: nobody knows", `#!/usr/bin/python3
` + dispatch + `def hook(): return Path(sys.argv[0]).resolve().name
kind, _, plug = Path(__file__).name.partition("-view-")
if kind == "change":
    put()
if hook() == "change-view-a": put()
name = hook()
name.startswith("change") and put()
put() if name == "change-view-a" else None
say()
`, "get"},
		{"go", `package main
func main() {
	switch filepath.Base(os.Args[0]) {
	case "change-view-a":
		exec.Command("snapctl", "fail", "x").Run()
	}
}
`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range calls.Find("observe-view-a", []byte(test.script)) {
				if !c.May {
					if got = append(got, c.Verb); c.Verb != "fail" && c.Plug != ":a" {
						t.Errorf("%s of %q", c.Verb, c.Plug)
					}
				}
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}
