package main

import (
	"os/exec"
	"regexp"
	"strings"
)

// race returns the flags that turn on the race detector, none where it cannot be had, and a line that says which it is.
// The detector is linked by cgo, so it wants a C compiler with its library, and not every architecture has it.
func race() (flags []string, said string) {
	const off = "Race detector: off. "
	if goEnv("CGO_ENABLED") == "0" {
		if _, err := exec.LookPath(compiler()); err != nil {
			return nil, off + "It wants a C compiler, and " + compiler() + " is not here: apt-get install gcc libc6-dev"
		}
		return nil, off + "CGO_ENABLED is 0"
	}
	// The one package of the standard library that is always compiled by both compilers.
	if out, err := exec.Command("go", "build", "-race", "runtime/cgo").CombinedOutput(); err != nil {
		return nil, off + reason(string(out))
	}
	return []string{"-race"}, "Race detector: on, with " + compiler()
}

// reason picks from go build's complaint the line that tells what is wrong.
func reason(output string) string {
	fallback := ""
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case regexp.MustCompile(`not supported|error:|not found|cannot find`).MatchString(line):
			return line
		case fallback == "":
			fallback = line
		}
	}
	return fallback
}

// compiler is the C compiler that go calls.
func compiler() string {
	if words := strings.Fields(goEnv("CC")); len(words) > 0 {
		return words[0]
	}
	return "gcc"
}

// goEnv is a setting of go; empty where it cannot be asked, which go test then says better.
func goEnv(name string) string {
	out, _ := exec.Command("go", "env", name).Output()
	return strings.TrimSpace(string(out))
}
