package rest

import (
	"bufio"
	"net/http"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"aspects-poc/internal/kit/world/facts"
)

// architectures are Debian's names, which snapd uses.
var architectures = map[string]string{"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}

// features are the experimental features of snapd 2.77.1 that matter to clients of the imitation.
var features = []string{"confdb", "confdb-control", "parallel-instances"}

// systemInfo describes the imitated snapd, on the real machine.
func (s *Server) systemInfo(*http.Request) (reply, error) {
	architecture := architectures[runtime.GOARCH]
	if architecture == "" {
		architecture = runtime.GOARCH
	}
	known := map[string]any{}
	for _, name := range features {
		known[name] = map[string]any{"supported": true, "enabled": s.enabled(name) == nil}
	}
	return reply{result: map[string]any{
		"series": "16", "version": facts.Version, "architecture": architecture, "os-release": osRelease("/etc/os-release"),
		"on-classic": true, "managed": false, "kernel-version": kernel(), "confinement": "none", "system-mode": "run",
		"locations":        map[string]any{"snap-mount-dir": "/snap", "snap-bin-dir": "/snap/bin"},
		"refresh":          map[string]any{"timer": "00:00~24:00/4"},
		"sandbox-features": map[string]any{}, "features": known,
	}}, nil
}

func osRelease(file string) map[string]string {
	release := map[string]string{"id": "linux"}
	text, err := os.Open(file)
	if err != nil {
		return release
	}
	defer func() { _ = text.Close() }()
	for lines := bufio.NewScanner(text); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		value = strings.Trim(value, `"'`)
		switch name {
		case "ID":
			release["id"] = value
		case "VERSION_ID":
			release["version-id"] = value
		case "VARIANT_ID":
			release["variant-id"] = value
		}
	}
	return release
}

func kernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
