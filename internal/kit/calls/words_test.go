package calls_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"aspects-poc/internal/kit/calls"

	"github.com/google/go-cmp/cmp"
)

// A shell runs each script with a snapctl that counts its arguments. Call.Several must agree.
func TestWordsAreThoseOfTheShell(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash: ", err)
	}
	for _, script := range []string{
		`refuse() { snapctl fail "$*"; }; refuse ssid admin is reserved`,
		`refuse() { snapctl fail "$@"; }; refuse ssid admin is reserved`,
		`refuse() { snapctl fail "$@"; }; refuse "ssid admin is reserved"`,
		`refuse() { snapctl fail $*; }; refuse "ssid admin"`,
		`refuse() { snapctl fail $@; }; refuse ssid`,
		`refuse() { snapctl fail $1; }; refuse "ssid admin"`,
		`refuse() { snapctl fail "$1"; }; refuse "ssid admin"`,
		`refuse() { snapctl fail "refused: $*"; }; refuse ssid admin`,
		`refuse() { snapctl fail "refused: $@"; }; refuse ssid admin`,
		`refuse() { snapctl fail "refused: $@"; }; refuse`,
		`refuse() { why="$*"; snapctl fail "$why"; }; refuse ssid admin`,
		`refuse() { why=$*; snapctl fail $why; }; refuse ssid admin`,
		`refuse() { why=$@; snapctl fail "$why"; }; refuse ssid admin`,
		`refuse() { shift; snapctl fail "$*"; }; refuse 1 ssid admin`,
		`refuse() { local IFS=-; snapctl fail "$*"; }; refuse ssid admin`,
		`refuse() { shift; snapctl fail "$@"; }; refuse 1 "ssid admin"`,
		`why="a b"; snapctl fail $why`,
		`why="a b"; snapctl fail "$why"`,
		`why="a b"; snapctl fail x$why`,
		`why="a b"; snapctl fail x"$why"y`,
		`why=" a "; snapctl fail $why`,
		`why=" a "; snapctl fail $why$why`,
		`why=; snapctl fail $why a`,
		`why=; snapctl fail "$why" a`,
		`IFS=,; why="a b"; snapctl fail $why`,
		`IFS=,; why="a,b"; snapctl fail $why`,
		`IFS=,; why="a,,"; snapctl fail $why`,
		`IFS=", "; why="a , "; snapctl fail $why`,
		`IFS=; why="a b"; snapctl fail $why`,
		`IFS=$'\n'; why="a b"; snapctl fail $why`,
		`why=("a b" c); snapctl fail "${why[*]}"`,
		`why=("a b" c); snapctl fail "${why[@]}"`,
		`why=("a b"); snapctl fail "${why[@]}"`,
		`why=("a b"); snapctl fail ${why[@]}`,
		`why=("a b" c); snapctl fail "$why"`,
		`why=("a b" c); snapctl fail ${why[1]}`,
		`snapctl fail ${why:-a b}`,
		`snapctl fail ${why:-"a b"}`,
		`snapctl fail "${why:-a b}"`,
		`snapctl fail a\ b`,
		`snapctl fail a $((1 + 2))`,
		`snapctl fail $((1 + 2))`,
		`snapctl fail "$?"$#`,
		`for why in "a b"; do snapctl fail $why; done`,
		`for why in "a b"; do snapctl fail "$why"; done`,
	} {
		run := exec.CommandContext(t.Context(), bash, "-c", "snapctl() { shift; echo $#; }\n"+script)
		var out bytes.Buffer
		run.Stdout = &out
		if err := run.Run(); err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		found := calls.Find("change-view-a", []byte(script))
		if len(found) != 1 {
			t.Errorf("%s: %d calls, want 1", script, len(found))
			continue
		}
		if count := strings.TrimSpace(out.String()); found[0].Several != (count != "0" && count != "1") {
			t.Errorf("%s: several is %t, where the shell makes %s words", script, found[0].Several, count)
		}
	}
}

func TestRequests(t *testing.T) {
	for _, test := range []struct{ script, want string }{
		{`snapctl get --view :p --default "" ssid psk`, "ssid psk"},
		{`snapctl get --view --with id=7 :p --wait-for 2s -d -- ssid`, "ssid"},
		{`snapctl get --view :p --default=x ssid`, "ssid"},
		{`snapctl get --view :p`, ""},
		{`snapctl get --view :p "$1"`, ""},
		{`snapctl get --view :p $flags ssid`, ""},
		{`snapctl get --view :p "$1" ssid`, "ssid"},
		{`snapctl get --view :p "peers.$1" ssid`, "ssid"},
		{`snapctl set --view :p ssid=a "peers.$1=x" 'list=[1]' psk! "x=$1"`, "ssid list psk x"},
		{`snapctl set --view :p ssid=$1 psk=x`, "ssid"},
		{`snapctl unset --view :p ssid psk`, "ssid psk"},
		{`for k in ssid psk; do snapctl get --view :p $k; done`, "ssid psk"},
		{`read_key() { snapctl get --view :p "$1"; }; read_key ssid; read_key psk`, "ssid psk"},
		{`snapctl get ssid`, ""},
		{"#!/usr/bin/env python3\nimport subprocess\nsubprocess.run(['snapctl', 'get', '--view', ':p', 'psk'])", "psk"},
		{"#!/usr/bin/env python3\nimport subprocess\nsubprocess.run(['snapctl', 'set', '--view', ':p', f'psk={key}', f'{name}=1'])", "psk"},
	} {
		var got []string
		for _, call := range calls.Find("change-view-a", []byte(test.script)) {
			got = append(got, call.Requests...)
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", test.script, diff)
		}
	}
}
