package recipe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// targets returns the variables that select an architecture for the Go toolchain, by Debian's name.
func targets() map[string][]string {
	return map[string][]string{
		"amd64":   {"GOARCH=amd64"},
		"arm64":   {"GOARCH=arm64"},
		"armhf":   {"GOARCH=arm", "GOARM=7"},
		"ppc64el": {"GOARCH=ppc64le"},
		"riscv64": {"GOARCH=riscv64"},
		"s390x":   {"GOARCH=s390x"},
	}
}

func architectures() []string { return slices.Sorted(maps.Keys(targets())) }

// GoEnv returns the environment in which the Go toolchain builds a static binary for an architecture (Debian's name).
func GoEnv(arch string) ([]string, error) {
	target, ok := targets()[arch]
	if !ok {
		return nil, fmt.Errorf("unknown architecture %q; known are %s", arch, strings.Join(architectures(), ", "))
	}
	return append([]string{"GOOS=linux", "CGO_ENABLED=0"}, target...), nil
}

// Architecture returns Debian's name for one of Go's architectures. It returns an unknown name unchanged.
func Architecture(goarch string) string {
	for name, target := range targets() {
		if target[0] == "GOARCH="+goarch {
			return name
		}
	}
	return goarch
}
