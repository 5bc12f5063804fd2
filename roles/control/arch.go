package control

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// architecture returns Debian's name for what this program was built for, which is the machine's userland and not its
// kernel: a 32-bit system on a 64-bit kernel is armhf.
func architecture() string {
	var settings []debug.BuildSetting
	if info, ok := debug.ReadBuildInfo(); ok {
		settings = info.Settings
	}
	return debianName(runtime.GOARCH, settings)
}

// debianName translates GOARCH (https://go.dev/doc/install/source#environment) to Debian's names
// (https://wiki.debian.org/SupportedArchitectures); those that are the same in both are returned as they are.
func debianName(goarch string, settings []debug.BuildSetting) string {
	names := map[string]string{
		"386": "i386", "ppc64le": "ppc64el", "mipsle": "mipsel", "mips64le": "mips64el",
	}
	if name, ok := names[goarch]; ok {
		return name
	}
	if goarch != "arm" {
		return goarch
	}
	for _, setting := range settings {
		if setting.Key == "GOARM" && (strings.HasPrefix(setting.Value, "5") ||
			strings.HasSuffix(setting.Value, "softfloat")) {
			return "armel"
		}
	}
	return "armhf"
}
