// Package need finds programs for tests. If a program is not installed, the test is skipped with the name of its Debian package. The
// runner of make test (package testrun) lists these skips. Its main function is Program.
//
//	openssl := need.Program(t, "openssl") // the path, or the test ends here
//
// ASPECTS_REQUIRE_PROGRAMS=1 turns skips into failures. Some programs have their own variable instead:
// ASPECTS_REQUIRE_BROWSER, ASPECTS_REQUIRE_MOUNT, ASPECTS_REQUIRE_POSTGRES and ASPECTS_REQUIRE_SNAP.
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

// Require is the environment variable that turns skips into failures.
const Require = "ASPECTS_REQUIRE_PROGRAMS"

// A source says where a program comes from.
type source struct {
	debian  string // packages that contain it
	require string // the variable that makes it required; "" means Require
}

// sources has every program that tests use.
var sources = map[string]source{
	"awk":                {debian: "mawk"},
	"bash":               {debian: "bash"},
	"chromium":           {debian: "chromium", require: "ASPECTS_REQUIRE_BROWSER"},
	"curl":               {debian: "curl"},
	"dpkg-deb":           {debian: "dpkg"},
	"emacs":              {debian: "emacs-nox elpa-eglot"},
	"fish":               {debian: "fish"},
	"gcc":                {debian: "gcc libc6-dev"},
	"git":                {debian: "git"},
	"gpg":                {debian: "gpg", require: "ASPECTS_REQUIRE_SNAP"},
	"gpgconf":            {debian: "gpgconf", require: "ASPECTS_REQUIRE_SNAP"},
	"jq":                 {debian: "jq"},
	"make":               {debian: "make"},
	"man":                {debian: "man-db"},
	"mksquashfs":         {debian: "squashfs-tools"},
	"mypy":               {debian: "mypy"},
	"node":               {debian: "nodejs"},
	"npm":                {debian: "npm"},
	"nvim":               {debian: "neovim"},
	"openssl":            {debian: "openssl"},
	"perl":               {debian: "perl-base"},
	"pg_dump":            {debian: "postgresql-client", require: "ASPECTS_REQUIRE_POSTGRES"},
	"pgbouncer":          {debian: "pgbouncer", require: "ASPECTS_REQUIRE_POSTGRES"},
	"promtool":           {debian: "prometheus"},
	"psql":               {debian: "postgresql-client", require: "ASPECTS_REQUIRE_POSTGRES"},
	"python3":            {debian: "python3"},
	"qemu-system-x86_64": {debian: "qemu-system-x86"},
	"script":             {debian: "bsdutils", require: "ASPECTS_REQUIRE_SNAP"},
	"sh":                 {debian: "dash"},
	"shellcheck":         {debian: "shellcheck"},
	"snap":               {debian: "snapd", require: "ASPECTS_REQUIRE_SNAP"},
	"ssh-add":            {debian: "openssh-client"},
	"ssh-agent":          {debian: "openssh-client"},
	"ssh-keygen":         {debian: "openssh-client"},
	"strace":             {debian: "strace"},
	"tar":                {debian: "tar"},
	"timeout":            {debian: "coreutils"},
	"unshare":            {debian: "util-linux", require: "ASPECTS_REQUIRE_SNAP"},
	"unsquashfs":         {debian: "squashfs-tools"},
	"zsh":                {debian: "zsh"},
}

// Find returns the path of a program. It searches PATH and Debian's folders for administrators, which are not in the
// PATH of most users. The error names the package.
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

// Program returns the path of a program, or skips the test. It searches as Find does.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := Find(name)
	if err != nil {
		End(t, err)
	}
	return path
}

// Programs skips the test unless all programs are installed.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		Program(t, name)
	}
}

// Missing skips the test because of a requirement that Program cannot find, such as a Python module. remedy is the
// command that installs it. The test fails instead if Require, or one of the given variables, is 1.
func Missing(t testing.TB, what, remedy string, require ...string) {
	t.Helper()
	End(t, &Lack{What: what, Remedy: remedy, require: strings.Join(require, " ")})
}

// A Test has the methods that End needs: a testing.TB, or the T of testscript.
type Test interface {
	Skip(args ...any)
	Fatal(args ...any)
}

// End skips the test with an error of Find, or fails it if the program is required.
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
