package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "aspects-poc"

// A forbidden edge: no package that matches from imports one that matches to, by itself or through others of ours.
// Patterns are import paths, ours without the module's name ("main" is the root); "/..." stands for the package and all
// below it.
type forbidden struct {
	from, to []string
	except   []string // packages of from that may
	direct   bool     // only what is imported by itself counts
	reason   string
}

func rules() []forbidden {
	frames := []string{"github.com/labstack/echo/...", "github.com/urfave/cli/...", "github.com/swaggo/..."}
	backends := []string{"registry/embedded/...", "registry/snapd/...", "registry/snapctl/...",
		"internal/calls", "internal/snapctlcmd", "internal/snapdhttp", "internal/watching"}
	engine := []string{"registry/confdb/..."}
	aroundWorld := []string{"internal/kit/assertion", "internal/kit/calls", "internal/kit/edit", "internal/kit/editor", "internal/kit/hookrun", "internal/kit/keep", "internal/kit/lint",
		"internal/kit/lsp", "internal/kit/rest",
		"internal/kit/scaffold", "internal/kit/script", "internal/kit/snapfile", "internal/kit/source"}
	forTests := []string{"registry/registrytest/...", "internal/machine/...", "internal/console", "internal/stocksnap", "roles/internal/rolestest", "roles/internal/browsertest",
		"roles/server/fleet/storetest", "roles/server/access/storetest", "roles/server/fleet/postgres/postgrestest", "internal/need", "internal/program",
		"internal/kit/keep/keeptest", "internal/randomschema"}
	list := []forbidden{
		{from: []string{"registry/...", "internal/..."}, to: []string{"roles/...", "main"},
			reason: "registry is a library for strangers' snaps: imports run from roles, which bring their confdb-schema as anybody does"},
		{from: []string{"registry/...", "internal/kit/..."}, to: frames,
			reason: "registry is a library: whoever imports it has no use for our web and command line frameworks"},
		{from: []string{"registry/...", "internal/kit/..."}, to: []string{"log", "log/slog"}, direct: true, except: []string{"internal/kit/rest"},
			reason: "libraries return errors; only loops that carry on log, and they are in roles; a server tells of requests"},
		{from: engine, to: []string{"os", "os/exec", "net/...", "io/fs", "path/filepath", "syscall", "time", "math/rand/...",
			"golang.org/x/sys/..."}, direct: true,
			reason: "the engine is pure semantics: no files, sockets, clocks or chance"},
		{from: engine, to: append([]string{"registry", "registry/backend"}, backends...),
			reason: "the engine is below all backends"},
		{from: []string{"registry/confdb/path"}, to: []string{"registry/...", "roles/..."},
			reason: "the grammar of paths is a leaf"},
		{from: []string{"registry/confdb/databag"}, to: []string{"registry/confdb", "registry/confdb/schema",
			"registry/confdb/view"}, reason: "values know paths, not types"},
		{from: []string{"registry/confdb/schema"}, to: []string{"registry/confdb", "registry/confdb/view"},
			reason: "types know values, not views"},
		{from: []string{"registry/confdb/view"}, to: []string{"registry/confdb"}, reason: "rules are below the transaction"},
		{from: []string{"registry/backend"}, to: []string{"registry/...", "roles/..."},
			reason: "the vocabulary is a leaf: all others speak it"},
		{from: append([]string{"registry/confdb/..."}, backends...), to: []string{"registry"},
			reason: "a backend never points back to its caller"},
		{from: []string{"registry/snapd", "registry/snapctl"}, to: []string{"registry/embedded", "registry/confdb/..."},
			reason: "snapd has an engine of its own; ours must not answer in its place"},
		{from: []string{"registry/embedded"}, to: []string{"internal/snapdhttp"},
			reason: "the embedded engine works where there is no snapd"},
		{from: []string{"registry/snapd"}, to: []string{"registry/snapctl"}, reason: "backends do not know each other"},
		{from: []string{"registry/snapctl"}, to: []string{"registry/snapd"}, reason: "backends do not know each other"},
		{from: []string{"registry/embedded"}, to: []string{"registry/snapd", "registry/snapctl"},
			reason: "backends do not know each other"},
		{from: []string{"roles/network"}, to: append([]string{"registry", "roles"}, backends...),
			reason: "documents and names are the same on every backend, and for every role"},
		{from: []string{"roles/..."}, to: append([]string{"registry/confdb/..."}, backends...), except: forTests, direct: true,
			reason: "a role is handed an open registry, and never sees what is behind it"},
		{from: []string{"main", "registry", "registry/backend", "registry/confdb/...", "registry/embedded/...",
			"registry/snapd/...", "registry/snapctl/...", "roles/..."},
			to: append([]string{"testing"}, forTests...), except: forTests, direct: true,
			reason: "what tests use does not belong into the binary"},
		{from: append([]string{"registry", "registry/backend", "registry/confdb/...", "registry/plan"},
			backends...), to: []string{"internal/kit/..."},
			reason: "the development kit is around the registry, never in it"},
		{from: []string{"internal/kit/..."}, to: []string{"registry", "registry/snapd", "registry/snapctl", "registry/embedded"},
			reason: "the kit imitates what is behind snapd's socket, and knows no clients"},
		{from: []string{"internal/jsonvalue"}, to: []string{"registry/...", "roles/..."},
			reason: "a leaf: all others ask it when two values are one"},
		{from: []string{"internal/document"}, to: []string{"registry", "registry/backend", "internal/kit/...", "roles/..."},
			reason: "the forms of a confdb-schema are below the library and the kit, which both read them"},
		{from: []string{"internal/kit/scaffold", "internal/kit/snapfile"}, to: []string{"internal/kit/lint", "internal/kit/world",
			"internal/kit/script", "internal/kit/rest", "internal/kit/hookrun", "internal/kit/source"},
			reason: "forms of documents, and files to begin with, do not know what is made of them"},
		{from: []string{"internal/kit/lint", "internal/kit/editor", "internal/kit/lsp"}, to: []string{"internal/kit/world", "internal/kit/script", "internal/kit/rest",
			"internal/kit/hookrun", "internal/kit/scaffold"}, reason: "lint looks, and runs nothing; so do editors"},
		{from: []string{"internal/kit/lint", "internal/kit/edit", "internal/kit/editor"}, to: []string{"internal/kit/lsp", "github.com/sourcegraph/jsonrpc2"},
			reason: "what is found, and how it is mended, does not depend on the protocol that tells it"},
		{from: []string{"main", "registry/...", "roles/...", "internal/..."}, to: []string{"mvdan.cc/sh/..."}, except: []string{"internal/kit/calls"},
			direct: true, reason: "scripts are read by internal/kit/calls, to be looked at; what runs them is a shell"},
		{from: []string{"registry/confdb/faults", "registry/dialect"}, to: []string{"registry/...", "roles/..."},
			reason: "leaves: what parsers and printers share"},
		{from: []string{"internal/kit/world/facts"}, to: []string{"internal/kit/..."},
			reason: "what a machine has does not depend on what happens on it"},
		{from: []string{"internal/kit/world/changes"}, to: append([]string{"internal/kit/world", "internal/kit/world/snapctl"}, aroundWorld...),
			reason: "what happens on a machine does not depend on who asks"},
		{from: []string{"internal/kit/world", "internal/kit/world/snapctl"}, to: aroundWorld,
			reason: "the imitated machine is below all that shows it"},
		{from: []string{"main", "roles", "roles/server/...", "roles/control/...", "roles/vpn/...", "roles/reporting/...",
			"roles/demo/...", "roles/registrycmd/...", "roles/internal/..."}, to: []string{"internal/kit/..."}, direct: true,
			reason: "only kitcmd offers the development kit: a device's binary leaves it out"},
		{from: []string{"roles/serverapi"}, to: []string{"roles/...", "registry/..."},
			reason: "wire shapes are shared by server and callers, of whatever make"},
		{from: []string{"roles/server/access/..."}, to: []string{"roles/server/api", "roles/server/fleet/...", "roles/server/page"},
			reason: "who may speak is settled before what is said is looked at"},
		{from: []string{"roles/server/fleet/..."}, to: []string{"net/http", "github.com/labstack/echo/...", "roles",
			"github.com/urfave/cli/..."}, direct: true,
			reason: "what a device's state means does not depend on how it is asked for"},
		{from: []string{"roles/server/fleet"}, to: []string{"roles/server/access", "roles/server/api", "roles/server/wire",
			"roles/server/page"}, reason: "the rules are below whoever asks for them"},
		{from: []string{"roles/server/access"}, to: []string{"roles/server/fleet/...", "roles/server/api", "roles/server/page"},
			reason: "who may speak is decided without knowing what is said"},
		{from: []string{"roles/server/audit"}, to: []string{"roles/server/access", "roles/server/fleet/...", "roles/server/api", "roles/server/page"},
			reason: "a record has who and what as words: stores write it for whoever acts"},
		{from: []string{"roles/server/page", "roles/server/api", "roles/server/roster"}, to: []string{"roles/server/fleet/sqlite", "roles/server/fleet/postgres"},
			reason: "the fleet's rules hide the store"},
		{from: []string{"roles/server/api"}, to: []string{"roles/server/page"}, reason: "the API is complete without the page"},
		{from: []string{"roles/server/metrics"}, to: []string{"roles/server/api", "roles/server/page", "roles/server/access"},
			reason: "what is measured does not know who asks"},
		{from: []string{"roles/server/fleet/..."}, to: []string{"registry/confdb/..."}, direct: true,
			reason: "targets are checked by registry/plan, as devices do it"},
		{from: []string{"roles/internal/poll", "roles/internal/snapenv", "roles/internal/netdev"},
			to: []string{"roles/...", "registry/..."}, reason: "helpers are leaves"},
		{from: []string{"roles/internal/..."}, to: []string{"roles"}, except: forTests,
			reason: "helpers are below the frame"},
		{from: []string{"roles/control/target"}, to: []string{"os", "io/fs", "net/...", "context", "sync", "math/rand/...", "log/...",
			"registry/...", "roles/control", "roles/control/state", "github.com/gofrs/flock"}, direct: true,
			reason: "what happens to a target depends on events alone: no disk, clock, server or registry"},
		{from: []string{"roles/control/state"}, to: []string{"registry", "roles/control"},
			reason: "the state directory is below the agent, and knows no registry"},
		{from: []string{"roles/fleetsim/oracle"}, to: []string{"roles/server/...", "roles/control/..."},
			reason: "the oracle knows what is promised from the documents, not from the code that has to keep it"},
		{from: []string{"..."}, to: []string{"C"}, direct: true, reason: "the binary is static"},
	}
	// Sideways: no role imports another, and nothing but main imports a role.
	names := []string{"server", "control", "vpn", "reporting", "demo", "registrycmd", "kitcmd", "fleetcmd", "fleetsim"}
	for _, name := range names {
		var others []string
		for _, other := range names {
			if other != name {
				others = append(others, "roles/"+other+"/...")
			}
		}
		list = append(list, forbidden{from: []string{"roles/" + name + "/..."}, to: others,
			reason: "roles never know each other: they meet in the registry and over HTTP; the demo is handed its list"})
	}
	for _, name := range names {
		list = append(list, forbidden{from: []string{"roles", "roles/internal/...", "roles/serverapi"},
			to: []string{"roles/" + name + "/..."}, reason: "the frame does not know what it frames"})
	}
	return list
}

func TestForbiddenImports(t *testing.T) {
	packages := load(t)
	for _, rule := range rules() {
		matched := false
		for _, name := range slices.Sorted(maps.Keys(packages)) {
			if !matchesAny(rule.from, name) || matchesAny(rule.except, name) {
				continue
			}
			matched = true
			if chain := find(packages, name, rule); chain != nil {
				t.Errorf("%s: %s", strings.Join(chain, " -> "), rule.reason)
			}
		}
		if !matched {
			t.Errorf("no package matches %v any more: mend the rule (%s)", rule.from, rule.reason)
		}
	}
}

// The rules themselves must be able to fail.
func TestForbiddenImportsAreFound(t *testing.T) {
	packages := map[string]source{
		"a":        {imports: []string{"b", "os"}},
		"b":        {imports: []string{"c/d"}},
		"c/d":      {imports: []string{"net/http"}},
		"innocent": {imports: []string{"strings"}},
	}
	tests := []struct {
		from string
		rule forbidden
		want string
	}{
		{"a", forbidden{to: []string{"os"}, direct: true}, "a -> os"},
		{"a", forbidden{to: []string{"net/..."}}, "a -> b -> c/d -> net/http"},
		{"a", forbidden{to: []string{"net/..."}, direct: true}, ""},
		{"a", forbidden{to: []string{"c"}}, ""},
		{"a", forbidden{to: []string{"c/..."}}, "a -> b -> c/d"},
		{"innocent", forbidden{to: []string{"os", "net/..."}}, ""},
	}
	for _, test := range tests {
		if got := strings.Join(find(packages, test.from, test.rule), " -> "); got != test.want {
			t.Errorf("%s to %v: got %q, want %q", test.from, test.rule.to, got, test.want)
		}
	}
}

// Only main leaves the process, and only the frame touches its streams.
func TestProcessBelongsToMain(t *testing.T) {
	for name, pkg := range load(t) {
		for _, use := range pkg.uses {
			allowed := pkg.command && name != "main" || // generators are programs of their own
				name == "main" && !strings.HasPrefix(use, "log.") || // it hands them over
				strings.HasSuffix(name, "test") || // what tests use
				name == "internal/kit/hookrun/snapctl" || // it ends the process before main begins
				name == "roles" && strings.HasPrefix(use, "os.Std")
			if !allowed {
				t.Errorf("%s uses %s: main hands the process over to roles.Env", name, use)
			}
		}
	}
}

// A source is a package of ours, without its tests.
type source struct {
	imports []string // ours without the module's name
	uses    []string // of the process: os.Exit, its streams, and their like
	command bool     // package main
	sizes   map[string]size
}

// load reads the imports of all of our packages. It parses; nothing is built.
func load(t *testing.T) map[string]source {
	t.Helper()
	packages := map[string]source{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file == "build": // copies of the sources, among other things
			return filepath.SkipDir
		case entry.IsDir() && file != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		name := filepath.ToSlash(filepath.Dir(file))
		if name == "." {
			name = "main"
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := packages[name]
		pkg.command = parsed.Name.Name == "main"
		for _, imported := range parsed.Imports {
			target, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				return err
			}
			pkg.imports = append(pkg.imports, strings.TrimPrefix(target, module+"/"))
		}
		pkg.uses = append(pkg.uses, processUses(parsed)...)
		if pkg.sizes == nil {
			pkg.sizes = map[string]size{}
		}
		measure(pkg.sizes, parsed)
		packages[name] = pkg
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

func processUses(file *ast.File) []string {
	var uses []string
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok {
				switch use := name.Name + "." + selector.Sel.Name; use {
				case "os.Exit", "os.Stdin", "os.Stdout", "os.Stderr", "log.Fatal", "log.Fatalf":
					uses = append(uses, use)
				}
			}
		}
		return true
	})
	return uses
}

// find returns the imports that lead from a package to a forbidden one; nil if none do.
func find(packages map[string]source, from string, rule forbidden) []string {
	seen := map[string]bool{from: true}
	queue := [][]string{{from}}
	for len(queue) > 0 {
		chain := queue[0]
		queue = queue[1:]
		for _, imported := range packages[chain[len(chain)-1]].imports {
			longer := append(slices.Clone(chain), imported)
			if imported != from && matchesAny(rule.to, imported) {
				return longer
			}
			if !rule.direct && !seen[imported] {
				seen[imported] = true
				queue = append(queue, longer)
			}
		}
	}
	return nil
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if pattern == "..." {
			return true
		}
		base, below := strings.CutSuffix(pattern, "/...")
		return name == pattern || below && (name == base || strings.HasPrefix(name, path.Clean(base)+"/"))
	})
}
