package main

import (
	"os/exec"
	"regexp"
	"strings"
)

// race returns the flags for the race detector, or none if it is not available, and a line for the user that says so. The
// detector needs cgo, a C compiler with its library, and a supported architecture.
func race() (flags []string, said string) {
	const off = "Race detector: off. "
	if goEnv("CGO_ENABLED") == "0" {
		if _, err := exec.LookPath(compiler()); err != nil {
			return nil, off + "It wants a C compiler, and " + compiler() + " is not here: apt-get install gcc libc6-dev"
		}
		return nil, off + "CGO_ENABLED is 0"
	}
	// This package of the standard library always needs both compilers.
	if out, err := exec.Command("go", "build", "-race", "runtime/cgo").CombinedOutput(); err != nil {
		return nil, off + reason(string(out))
	}
	return []string{"-race"}, "Race detector: on, with " + compiler()
}

// reason returns the line of go build's output with the cause.
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

// compiler returns the C compiler of go.
func compiler() string {
	if words := strings.Fields(goEnv("CC")); len(words) > 0 {
		return words[0]
	}
	return "gcc"
}

// goEnv returns a setting of go, or "" if go cannot be run: go test then reports the reason.
func goEnv(name string) string {
	out, _ := exec.Command("go", "env", name).Output()
	return strings.TrimSpace(string(out))
}
