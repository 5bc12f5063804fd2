package calls_test

import (
	"fmt"
	"strings"
	"testing"

	"aspects-poc/internal/kit/calls"

	"github.com/google/go-cmp/cmp"
)

// TestFind has hooks in the forms in which people write them. Each expected call is "LINE:COLUMN VERB PLUG FLAGS".
func TestFind(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"plain", `snapctl get --view :a k; snapctl set :b --view k=1
x=$(snapctl get :c k --view)
y=` + "`snapctl unset --view :d k`", "1:1 get :a view; 1:26 set :b view; 2:5 get :c view; 3:4 unset :d view again"},
		{"flags with values in the way", `snapctl get -d --view :a --default 1 k
snapctl set -s --view -- :b k=-1
snapctl get --view=:c k`, "1:1 get :a view; 2:1 set :b view; 3:1 get :c view value"},
		{"no call", `# snapctl set --view :a k=1
echo "try: snapctl set --view :a k=1"; logger -t x snapctl set --view :a k=1
command -v snapctl; snapctl services; snapctl restart a.b
cat <<END
snapctl set --view :a k=1
END
printf '%s\n' 'snapctl set --view :a k=1' >file`, ""},
		{"behind other commands", `if ! timeout 5 /usr/bin/snapctl get --view :a k >/dev/null 2>&1; then exec sudo -E env X=1 snapctl set --view :b k=1; fi
xargs snapctl unset --view :c <keys
snapctl get --view :d | jq -r .k || true`, "1:16 get :a view; 1:92 set :b view; 2:7 unset :c view; 3:1 get :d view"},
		{"lines that go on", "snapctl \\\n  set \\\n  --view \\\n  :a \\\n  k=1 \\\n  l=\"$(snapctl get --view :b l)\"", "1:1 set :a view; 6:8 get :b view"},
		{"variables", `SNAPCTL=snapctl
PLUG=":a"
readonly VIEW=b
$SNAPCTL set --view "$PLUG" k=1
"${SNAPCTL}" get --view ":$VIEW" k
snapctl get --view "${OTHER:-:c}" k
snapctl get --view "$UNKNOWN" k
line="snapctl get --view :d"
$line k`, "4:1 set :a view; 5:1 get :b view; 6:1 get :c view; 7:1 get ? view; 9:1 get :d view"},
		{"a variable that may be one or the other", `p=:a
[ -z "$X" ] || p=:b
snapctl get --view "$p" k`, "3:1 get ? view"},
		{"arrays", `cmd=(snapctl set --view)
cmd+=(:a)
cmd+=("k=$v")
"${cmd[@]}"
args=(
  --view
  :b
)
snapctl get "${args[@]}" k`, "4:1 set :a view; 9:1 get :b view"},
		{"loops", `for p in a b; do
  snapctl get --view ":$p" k
done
for p in $(list); do snapctl get --view ":$p" k; done`, "2:3 get :a view; 2:3 get :b view; 4:22 get ? view"},
		{"wrapper functions", `put() { snapctl set --view "$@"; }
function read_from {
  local view="$1"
  shift
  snapctl get "$view" --view "$@"
}
defaults() { snapctl set --view :c k=1; }
put :a k=1
x=$(read_from :b k)
never() { snapctl get --view :d; }
defaults`, "7:14 set :c view again; 8:1 set :a view; 9:5 get :b view; 10:11 get :d view"},
		{"a wrapper that tries again", `retry() {
  while true; do
    out="$(snapctl set --view "$@" 2>&1)" && return 0
    echo "$out" | grep -q "no custodian" || return 1
    sleep 1
  done
}
retry :a file="$(cat x)"
retry :b file="$(cat y)"`, "8:1 set :a view; 9:1 set :b view again"},
		{"scripts in scripts", `sh -c 'snapctl get --view :a k'
bash <<END
snapctl set --view :b k=1
END
python3 - <<'END'
import subprocess
subprocess.run(["snapctl", "get", "--view", ":c"])
END
eval "snapctl get --view :d k"`, "1:1 get :a view; 2:6 set :b view; 5:11 get :c view; 9:1 get :d view"},
		{"it cannot be read, but for some lines", `if then
snapctl get --view :a k`, "2:1 get :a view"},

		{"two writes", `snapctl set --view :a k=1
snapctl set --view :a l=1`, "1:1 set :a view; 2:1 set :a view again"},
		{"one of two writes", `if [ "$x" = 1 ]; then
  snapctl set --view :a k=1
elif [ "$x" = 2 ]; then
  snapctl set --view :a k=2
else
  snapctl set --view :a k=3
fi
case $y in
  a) exit 0 ;;
esac`, "2:3 set :a view; 4:3 set :a view; 6:3 set :a view"},
		{"a write, and then the end", `if [ "$x" = 1 ]; then
  snapctl set --view :a k=1
  exit 0
fi
snapctl set --view :a k=2`, "2:3 set :a view; 5:1 set :a view"},
		{"the second where the first fails", `snapctl set --view :a k=1 || snapctl set --view :a k=2
if ! snapctl set --view :b k=1; then snapctl fail "no"; fi`, "1:1 set :a view; 1:30 set :a view; 2:6 set :b view again; 2:38 fail"},
		{"a write in each round", `for k in $keys; do
  snapctl set --view :a "$k=1"
done`, "2:3 set :a view again"},
		{"a write in one round", `for k in $keys; do
  if [ -n "$k" ]; then snapctl set --view :a "$k=1"; break; fi
done
until snapctl set --view :b k=1; do sleep 1; done`, "2:24 set :a view; 4:7 set :b view again"},

		{"fail", `snapctl fail "one two"
snapctl fail one two
snapctl fail $reason
snapctl fail "$reason"; exit 1`, "1:1 fail; 2:1 fail several; 3:1 fail several; 4:1 fail exits"},
		{"fail, and how it ends", `if a; then
  snapctl fail no
  echo "no" >&2
  exit 1
fi
refuse() { snapctl fail "$1"; }
b || { refuse "b is short"; exit 3; }
c || { snapctl fail c; exit 0; }
d || snapctl fail d
exit 0`, "2:3 fail exits; 6:12 fail exits; 8:8 fail; 9:6 fail"},

		{"fail, and an end of its own", `snapctl fail a
if b; then exit 1; fi
die() { echo "$1" >&2; exit 1; }
snapctl fail c
die c`, "1:1 fail; 4:1 fail exits"},

		{"fail, and an end where it works", `snapctl fail "a b" && exit 0
exit 1
snapctl fail c && exit 1
d || ! snapctl fail e || exit 2
exit 1`, "1:1 fail; 3:1 fail exits; 4:8 fail exits"},
		{"a write that is tried again", `for i in 1 2 3; do snapctl set --view :a k=1 && break; done
for i in 1 2 3; do snapctl set --view :b k=1 && exit 0; done`, "1:20 set :a view; 2:20 set :b view again"},
		{"tried for ever", `while :; do snapctl set --view :a k=1 && break; sleep 1; done
put() { for i in 1 2 3; do snapctl set --view :b k=1 && return 0; done; }`, "1:13 set :a view; 2:28 set :b view"},
		{"tried again, by its status", `for i in $(seq 3); do snapctl set --view :a k=1; if [ $? -eq 0 ]; then exit 0; fi; done
snapctl set --view :a k=2; [ $? -ne 0 ] || exit 0
snapctl set --view :a k=2; [ "$?" = 0 ] && exit 0
snapctl set --view :a k=3`, "1:23 set :a view; 2:1 set :a view; 3:1 set :a view; 4:1 set :a view"},
		{"a write in each round, or an end", `for k in a b; do snapctl set --view :a $k=1 || exit 1; done`, "1:18 set :a view again"},
		{"a write, and the end if it works", `snapctl is-connected x && snapctl set --view :a k=1 && exit 0
snapctl set --view :b k=1`, "1:27 set :a view; 2:1 set :b view"},
		{"a question before", `snapctl get --view :a
snapctl is-connected a || exit 0
snapctl get --view :a
if snapctl is-connected b; then snapctl get --view :b; fi
snapctl get --view :c; snapctl is-connected c && snapctl get --view :c
snapctl is-connected "$p" && snapctl get --view ":$p"`,
			"1:1 get :a view; 3:1 get :a view asked; 4:33 get :b view asked; 5:1 get :c view; 5:50 get :c view asked; 6:30 get ? view asked"},
		{"python: a question before", `#!/usr/bin/env python3
if run(["snapctl", "is-connected", "a"]).returncode != 0:
    sys.exit(0)
run(["snapctl", "get", "--view", ":a"])`, "4:7 get :a view asked"},
		{"python: a write that is tried again", `#!/usr/bin/env python3
def put():
    for _ in range(3):
        if subprocess.run(["snapctl", "set", "--view", ":a", "k=1"]).returncode == 0:
            return
    for _ in range(3):
        p = subprocess.run(["snapctl", "set", "--view", ":b", "k=1"])
        if not p.returncode:
            return
    for _ in range(3):
        ok = put_it("x")
        if ok: break
def put_it(x):
    return subprocess.run(["snapctl", "set", "--view", ":c", x]).returncode == 0
put()`, "4:29 set :a view; 7:30 set :b view; 14:29 set :c view"},

		{"python: lists", `#!/usr/bin/env python3
"""Runs snapctl set --view :x."""
import subprocess
from subprocess import run, check_output as co
subprocess.run(["snapctl", "get", "--view", ":a", "-d"], check=True)
out = run(
    [
        "snapctl",
        "set",   # a remark
        ":b", "--view",
        f"k={value}",
    ],
    capture_output=True,
).stdout
cmd = ["snapctl", "get", "--view"]
cmd += [":c"]
cmd.append("k")
co(cmd)
args = [":d"]
run(["snapctl", "get", "--view"] + args + ["k"])
run(["snapctl", "get", "--view", *args, "k"])
run(("snapctl", "unset", "--view", ":e", "k"))
print("snapctl set --view :x k=1")
logger.error("snapctl get --view :y failed: %s", out)`,
			"5:18 get :a view; 8:10 set :b view; 15:9 get :c view; 20:7 get :d view; 21:7 get :d view; 22:7 unset :e view again"},
		{"python: texts", `#!/usr/bin/env python3
import os, shlex, subprocess
PLUG = ":a"
cmd = f"snapctl get --view {PLUG} -d"
proc = subprocess.run(cmd.split(), text=True)
os.system("snapctl set --view :b k=1 && true")
subprocess.check_output("snapctl get --view :c | jq .", shell=True)
subprocess.run(shlex.split("snapctl set --view :d 'k=a b'"))
subprocess.run("snapctl get --view {}".format(plug).split())
subprocess.run(["sh", "-c", "snapctl get --view :e"])`,
			"4:9 get :a view; 6:12 set :b view; 7:26 get :c view; 8:29 set :d view again; 9:17 get ? view; 10:12 get :e view"},
		{"python: wrapper functions", `#!/usr/bin/python3
import subprocess
SNAPCTL = "/usr/bin/snapctl"

def _snapctl(*args):
    result = subprocess.run([SNAPCTL, *args], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(1)
    return result.stdout.strip()

def read(view=":a", key=None):
    """Reads."""
    return _snapctl("get", "--view", view, key)

class Confdb:
    def __init__(self, plug):
        self.plug = plug
    def put(self, plug, **values):
        _snapctl("set", "--view", plug, *[f"{k}={v}" for k, v in values.items()])

def snapctl(args):
    return subprocess.check_output(["snapctl"] + args)

def main():
    raw = _snapctl("get", "--view", ":b", "-d")
    if raw:
        _snapctl("set", "--view", ":c", *settings)
    read()
    read(view=":d")
    Confdb(":x").put(":e", k=1)
    snapctl(["get", "--view", ":f"])

if __name__ == "__main__":
    main()
`, "13:12 get :a view; 25:11 get :b view; 27:9 set :c view; 29:5 get :d view; 30:18 set :e view again; 31:5 get :f view"},
		{"python: maps and lambdas", `#!/usr/bin/env python3
PLUGS = {"admin": ":a", "state": ":b"}
snapctl = lambda *args: subprocess.run(["snapctl", *args])
snapctl("get", "--view", PLUGS["state"])
subprocess.run([
    "snapctl", "set", "-t", "--view", PLUGS["admin"], "k=1"])
subprocess.run(["snapctl", "get", "--view", PLUGS[name]])
os.execvp("snapctl", ["snapctl", "unset", ":c", "--view", "k"])
`, "4:1 get :b view; 6:6 set :a view; 7:18 get ? view; 8:24 unset :c view again"},
		{"python: one of two writes", `#!/usr/bin/env python3
def put(value):
    run(["snapctl", "set", "--view", ":a", value])
if x:
    put("k=1")
elif y:
    put("k=2")
else:
    put("k=3")
try:
    z()
except Exception:
    pass
`, "3:11 set :a view"},
		{"python: a write in each round", `#!/usr/bin/env python3
for key, value in defaults.items():
    cmd = ["snapctl", "set", "--view", ":a", f"{key}={value}"]
    subprocess.run(cmd, check=True)
for plug in [":b", ":c"]:
    subprocess.run(["snapctl", "get", plug, "--view"])
`, "3:13 set :a view again; 6:22 get :b view; 6:22 get :c view"},
		{"python: instead of what failed", `#!/usr/bin/env python3
try:
    run(["snapctl", "set", "--view", ":a", "k=1"])
except Error:
    run(["snapctl", "set", "--view", ":a", "k=2"])
`, "3:11 set :a view; 5:11 set :a view"},
		{"python: fail", `#!/usr/bin/env python3
def refuse(reason):
    subprocess.run(["snapctl", "fail", reason])
    sys.exit(1)
def tell(reason):
    subprocess.run(["snapctl", "fail", reason])
for p in config:
    if bad(p):
        refuse("p is bad")
    if worse(p):
        tell("p is worse")
        sys.exit(0)
err = f"x {p}"
cmd = f"snapctl fail {err}"
subprocess.run(cmd.split())
exit(1)
`, "3:22 fail exits; 6:22 fail; 14:9 fail several exits"},

		{"go", `package main

import "os/exec"

// snapctl set --view :x
func snapctl(args ...string) ([]byte, error) {
	return exec.Command("snapctl", args...).Output()
}

func view(plug, key string) string {
	out, _ := exec.CommandContext(ctx, "snapctl", "get", "--view", plug, key).Output()
	return string(out)
}

func main() {
	if err := exec.Command("snapctl", "set", "--view", ":a", "k=1").Run(); err != nil {
		log.Fatalf("snapctl set --view :y: %v", err)
	}
	snapctl("get", ":b", "--view")
	args := []string{
		"snapctl", "unset",
		"--view", ":c", "k",
	}
	exec.Command(args[0], args[1:]...)
	cmd := exec.Command("snapctl", append([]string{"get", "--view", ":d"}, keys...)...)
	view(":e", "k")
}
`, "16:26 set :a view; 19:2 get :b view; 25:23 get :d view; 26:2 get :e view"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range calls.Find("change-view-a", []byte(test.script)) {
				line := fmt.Sprintf("%d:%d %s", c.At.Line, c.At.Column, c.Verb)
				if c.Verb != "fail" {
					if line += " " + c.Plug; c.Plug == "" {
						line += "?"
					}
				}
				for _, flag := range []struct {
					is   bool
					word string
				}{{c.View, "view"}, {c.ViewValue, "value"}, {c.Previous, "previous"}, {c.Several, "several"}, {c.Exits, "exits"},
					{c.Again, "again"}, {c.Asked, "asked"}} {
					if flag.is {
						line += " " + flag.word
					}
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, strings.Join(got, "; ")); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzFind: no text makes Find panic or run forever, and each call that it finds is in the text.
func FuzzFind(f *testing.F) {
	for _, script := range []string{"snapctl set --view :a k=1", "f() { f; }; f", "#!/usr/bin/python3\ndef f(*a):\n  f(*a)\nf()",
		"package main\nfunc main() { exec.Command(\"snapctl\", \"get\") }", "#!/usr/bin/python3\nx = f\"{a", "while :; do eval \"$x\"; done"} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script string) {
		rows := strings.Count(script, "\n") + 1
		for _, c := range calls.Find("change-view-a", []byte(script)) {
			if c.At.Line < 1 || c.At.Line > rows || c.At.Column < 1 {
				t.Errorf("%+v is not in %d lines", c, rows)
			}
		}
	})
}

// TestRefused has scripts that their shell cannot parse, and scripts for which that is not certain.
func TestRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"#!/bin/sh\nif true; then\n  echo\n":                    "2:1 `if` statement must end with `fi`",
		"#!/bin/sh -e\necho 'é \"x\n":                           "2:6 reached EOF without closing quote `'`",
		"#!/usr/bin/env bash\nfor x in a; do echo; fi\n":        "2:22 `fi` can only be used to end an `if`",
		"#!/usr/bin/env -S bash -e\necho )\n":                   "2:6 a command can only contain words and redirects; encountered `)`",
		"#!/bin/bash\n(echo\n":                                  "2:1 reached EOF without matching `(` with `)`",
		"#!/bin/sh\nif x; then exit 1; fi\nwhile x\ndone\n":     "4:1 `done` can only be used to end a loop",
		"#!/bin/sh\nif true; then\n  echo\nfi\n":                "",
		"#!/bin/bash\na=(1 2); [[ $x =~ ^(a|b)$ ]] && ((x++))":  "",
		"#!/bin/sh\na=(1 2)\n":                                  "", // bash could
		"#!/bin/sh\n[[ a\n":                                     "", // dash could
		"#!/bin/zsh\nif true\n":                                 "",
		"#!/usr/bin/env python3\nprint('\n":                     "",
		"if true\n":                                             "",
		"#!/bin/sh\nexit 0\nthis is (no) shell\n":               "",
		"#!/bin/sh\n'exec' python3 \"$0\"\ndef f(): \"it's\"\n": "",
		"#!/bin/sh\nif x; then exec a b; fi\ndef f():\n":        "",
		"#!/bin/sh\nalias begin=if\nbegin true; then x; fi\n":   "",
		"#!/bin/sh\nx=`echo ')'\necho ` )\n":                    "",
		"#!/bin/bash\ncat <<EOF\n":                              "", // a warning only
		"#!/bin/bash\necho ${x!}\n":                             "",
		"#!/bin/sh\n{% if x %}\nfi\n{% endif %}\n":              "",
		"#!/bin/sh\nif x; then\r\n":                             "",
	} {
		at, reason := calls.Refused([]byte(text))
		got := ""
		if reason != "" {
			got = fmt.Sprintf("%d:%d %s", at.Line, at.Column, reason)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestFindEnds has scripts in which a value doubles in each line. Without limits, Find would not end.
func TestFindEnds(t *testing.T) {
	for name, script := range map[string][3]string{
		"a text":                {"#!/bin/sh\nx=ab\n", "x=\"$x$x\"\n", "snapctl fail \"$x\"\n"},
		"a list":                {"#!/bin/bash\nx=(a)\n", "x=(\"${x[@]}\" \"${x[@]}\")\n", "snapctl fail \"${x[0]}\"\n"},
		"a text of Python":      {"#!/usr/bin/python3\nx = 'ab'\n", "x = x + x\n", "run(['snapctl', 'fail', x])\n"},
		"a list of Python":      {"#!/usr/bin/python3\nx = ['a']\n", "x = x + x\n", "run(['snapctl', 'fail', x[0]])\n"},
		"ways behind questions": {"#!/bin/sh\nsnapctl is-connected p\n", "if [ -e /x ]; then echo a; fi\n", "snapctl fail x\n"},
	} {
		found := calls.Find("change-view-p", []byte(script[0]+strings.Repeat(script[1], 60)+script[2]))
		if len(found) != 1 || found[0].Verb != "fail" || found[0].Several {
			t.Errorf("%s: found %+v", name, found)
		}
	}
}
