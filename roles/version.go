package roles

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// Version is the program's version. The build sets it with -ldflags "-X aspects-poc/roles.Version=…". If it is empty,
// the build information decides.
var Version = ""

// Commit is the program's commit. Builds that Go does not stamp set it likewise.
var Commit = ""

const versionCommand = "version"

// version returns the version command.
func (f *frame) version() *cli.Command {
	return &cli.Command{
		Name: versionCommand, Usage: "print version, commit and Go version", UsageText: Program + " version",
		Description: "Prints one line: the version stamped in by the build, the commit it was built from, and the " +
			"version of Go.",
		Action: func(*cli.Context) error { return f.printVersion() },
	}
}

func (f *frame) printVersion() error {
	_, err := fmt.Fprintf(f.env.Stdout, "%s %s\n", Program, versionText())
	return err
}

// ShortVersion is the version alone, for headers of generated files. It does not depend on how a development build was made.
func ShortVersion() string { return cmp.Or(Version, "(devel)") }

func versionText() string {
	version, commit, dirty := Version, Commit, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if version == "" {
			version = info.Main.Version
		}
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision" && commit == "":
				commit = setting.Value[:min(12, len(setting.Value))]
			case setting.Key == "vcs.modified" && setting.Value == "true" && Commit == "":
				dirty = ", modified"
			}
		}
	}
	if version == "" {
		version = "(devel)"
	}
	if commit == "" {
		commit = "unknown"
	}
	return fmt.Sprintf("%s (commit %s%s, %s)", version, commit, dirty, runtime.Version())
}
