package calls_test

import (
	"testing"

	"aspects-poc/internal/kit/calls"
)

// TestQuotedReason has programs that put quotes around a reason: is it one word?
func TestQuotedReason(t *testing.T) {
	const head = "#!/usr/bin/env python3\nimport json, shlex, subprocess\n"
	for _, test := range []struct {
		script  string
		several bool
	}{
		{`subprocess.run(shlex.split("snapctl fail 'too short'"))`, false},
		{`subprocess.run(shlex.split('snapctl fail too\\ short'))`, false},
		{`subprocess.run(shlex.split("snapctl fail too short"))`, true},
		{`subprocess.run("snapctl fail 'too short'".split())`, true},
		{`subprocess.run(f"snapctl fail {shlex.quote(r)}", shell=True)`, false},
		{`subprocess.run(f"snapctl fail {shlex.quote(r + s)}", shell=True)`, false},
		{`subprocess.run(shlex.split(f"snapctl fail {shlex.quote(r)}"))`, false},
		{`subprocess.run(f"snapctl fail {shlex.quote(r)}".split())`, true},
		{`subprocess.run(f"snapctl fail '{shlex.quote(r)}'", shell=True)`, true},
		{`subprocess.run(f"snapctl fail {r}", shell=True)`, true},
		{`subprocess.run(f"snapctl fail '{r}'", shell=True)`, false},
		{`subprocess.run(f"snapctl fail {r!r}", shell=True)`, false},
		{`subprocess.run(f"snapctl fail {json.dumps(r)}", shell=True)`, false},
		{`subprocess.run("snapctl fail " + shlex.quote(r), shell=True)`, false},
		{`subprocess.run("snapctl fail " + r, shell=True)`, true},
		{`subprocess.run("snapctl fail %s" % shlex.quote(r), shell=True)`, false},
		{`subprocess.run("snapctl fail %s" % (shlex.quote(r),), shell=True)`, false},
		{`subprocess.run("snapctl fail %r" % r, shell=True)`, false},
		{`subprocess.run("snapctl fail %s" % r, shell=True)`, true},
		{`subprocess.run("snapctl fail {}".format(shlex.quote(r)), shell=True)`, false},
		{`subprocess.run("snapctl fail {why}".format(why=shlex.quote(r)), shell=True)`, false},
		{`subprocess.run("snapctl fail {0!r}".format(r), shell=True)`, false},
		{`subprocess.run("snapctl fail {0}".format("a b"), shell=True)`, true},
		{`q = shlex.quote(r); subprocess.run(f"snapctl fail {q}", shell=True)`, false},
		{`q = shlex.quote("a b"); subprocess.run(f"snapctl fail {q}", shell=True)`, false},
		{"def run(cmd): subprocess.run(shlex.split(cmd))\nrun(\"snapctl fail 'too short'\")", false},
		{"def run(cmd): subprocess.run(cmd.split())\nrun('snapctl fail a b')", true},
	} {
		found := calls.Find("change-view-a", []byte(head+test.script))
		if len(found) != 1 || found[0].Several != test.several {
			t.Errorf("%s: %+v, want one with several %t", test.script, found, test.several)
		}
	}
}
