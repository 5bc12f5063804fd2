package control

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// architecture returns Debian's name of the architecture that this program was built for. That is the architecture of
// the userland: a 32-bit system on a 64-bit kernel is armhf.
func architecture() string {
	var settings []debug.BuildSetting
	if info, ok := debug.ReadBuildInfo(); ok {
		settings = info.Settings
	}
	return debianName(runtime.GOARCH, settings)
}

// debianName translates GOARCH (https://go.dev/doc/install/source#environment) to Debian's names
// (https://wiki.debian.org/SupportedArchitectures). Names that are the same in both are unchanged.
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
