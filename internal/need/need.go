// Package need tells a test whether a program of the machine is there. Where it is not, the test is skipped and names the
// program and the Debian package that brings it. The runner of make test lists what was skipped that way.
//
//	openssl := need.Program(t, "openssl") // its path, or the test ends here
//
// ASPECTS_REQUIRE_PROGRAMS=1 turns such skips into failures. Some programs have a variable of their own in its place:
// ASPECTS_REQUIRE_BROWSER, ASPECTS_REQUIRE_POSTGRES and ASPECTS_REQUIRE_SNAP.
package need

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Require is the variable of the environment that turns skips for want of a program into failures.
const Require = "ASPECTS_REQUIRE_PROGRAMS"

// A source is where a program comes from.
type source struct {
	debian  string // the package that brings it
	require string // the variable that makes it required; "" for Require
}

// sources has every program that a test may ask for.
var sources = map[string]source{
	"awk":                {debian: "mawk"},
	"bash":               {debian: "bash"},
	"chromium":           {debian: "chromium", require: "ASPECTS_REQUIRE_BROWSER"},
	"curl":               {debian: "curl"},
	"dpkg-deb":           {debian: "dpkg"},
	"fish":               {debian: "fish"},
	"gcc":                {debian: "gcc libc6-dev"},
	"git":                {debian: "git"},
	"gpg":                {debian: "gpg", require: "ASPECTS_REQUIRE_SNAP"},
	"gpgconf":            {debian: "gpgconf", require: "ASPECTS_REQUIRE_SNAP"},
	"jq":                 {debian: "jq"},
	"make":               {debian: "make"},
	"man":                {debian: "man-db"},
	"mksquashfs":         {debian: "squashfs-tools"},
	"node":               {debian: "nodejs"},
	"npm":                {debian: "npm"},
	"openssl":            {debian: "openssl"},
	"perl":               {debian: "perl-base"},
	"pg_dump":            {debian: "postgresql-client", require: "ASPECTS_REQUIRE_POSTGRES"},
	"pgbouncer":          {debian: "pgbouncer", require: "ASPECTS_REQUIRE_POSTGRES"},
	"psql":               {debian: "postgresql-client", require: "ASPECTS_REQUIRE_POSTGRES"},
	"python3":            {debian: "python3"},
	"qemu-system-x86_64": {debian: "qemu-system-x86"},
	"script":             {debian: "bsdutils", require: "ASPECTS_REQUIRE_SNAP"},
	"sh":                 {debian: "dash"},
	"shellcheck":         {debian: "shellcheck"},
	"snap":               {debian: "snapd", require: "ASPECTS_REQUIRE_SNAP"},
	"strace":             {debian: "strace"},
	"tar":                {debian: "tar"},
	"timeout":            {debian: "coreutils"},
	"unshare":            {debian: "util-linux", require: "ASPECTS_REQUIRE_SNAP"},
	"unsquashfs":         {debian: "squashfs-tools"},
	"zsh":                {debian: "zsh"},
}

// Find returns the path of a program, or an error that says what brings it. It looks into PATH, and then where Debian
// keeps the programs of administrators, which is not in the PATH of most users.
func Find(name string) (path string, lack error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	from, known := sources[name]
	if !known {
		return "", fmt.Errorf("package need does not know which Debian package brings %s: add it to sources", name)
	}
	return "", &Lack{What: name, Remedy: "apt-get install " + from.debian, require: from.require}
}

// Program returns the path of a program, or skips the test. It looks where Find does.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := Find(name)
	if err != nil {
		End(t, err)
	}
	return path
}

// Programs skips the test unless all of these programs are there.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		Program(t, name)
	}
}

// Missing skips the test for want of something that Program does not find by itself, such as a module of Python: what is
// missing, and the command that brings it. It fails the test where Require is 1, or one of the variables given in its place.
func Missing(t testing.TB, what, remedy string, require ...string) {
	t.Helper()
	End(t, &Lack{What: what, Remedy: remedy, require: strings.Join(require, " ")})
}

// A Test is what End needs of a test: a testing.TB, or the T of testscript.
type Test interface {
	Skip(args ...any)
	Fatal(args ...any)
}

// End ends a test for an error of Find: it is skipped, or fails if the environment says that the program is required.
func End(t Test, err error) {
	if t, ok := t.(testing.TB); ok {
		t.Helper()
	}
	var lack *Lack
	if !errors.As(err, &lack) {
		t.Fatal(err)
		return
	}
	variables := strings.Fields(lack.require)
	if len(variables) == 0 {
		variables = []string{Require}
	}
	for _, variable := range variables {
		if os.Getenv(variable) == "1" {
			t.Fatal(fmt.Sprintf("%v (%s=1)", lack, variable))
			return
		}
	}
	t.Skip(lack)
}
