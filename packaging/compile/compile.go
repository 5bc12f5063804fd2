// Package compile builds the binary that snaps and archives contain. Its main function is Binary. Two builds of the
// same sources with the same Go give the same bytes. Packages mksnap and mkdist pack the binary.
package compile

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/packaging/recipe"
	"aspects-poc/roles/server/swagger"
)

// Program is the binary's name. The names of the roles are links to it.
const Program = "aspects-poc"

// A Kind is a selection of the program's commands. Each kind has a build tag.
type Kind string

// The kinds of binary.
const (
	Whole  Kind = ""       // every role and tool
	Device Kind = "device" // what a device needs: without server, development kit, load generator and demo
)

// The largest sizes of the stripped binaries, in bytes. A device reads its binary from flash for each hook.
const (
	DeviceBudget = 12_000_000
	WholeBudget  = 33_000_000
)

// Tags returns the build tags of a kind of binary.
func Tags(kind Kind) string {
	// urfave/cli imports a Markdown parser for documentation that the program does not write.
	// Nothing here uses HTTP/2: a device sends one request after the other, and the server parks connections with held
	// polls.
	tags := "urfave_cli_no_docs,nethttpomithttp2"
	if kind == Device {
		tags += ",device"
	}
	return tags
}

// Binary builds the program in the project's root folder for an architecture (Debian's name) and writes it to file. The
// binary is static and contains no names of this machine's folders.
func Binary(ctx context.Context, root string, stamps recipe.Build, arch string, kind Kind, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	flags := "-s -w -X aspects-poc/roles.Version=" + stamps.Version + " -X aspects-poc/roles.Commit=" + stamps.Commit +
		" -X aspects-poc/roles/network.AccountID=" + stamps.AccountID
	// The answers of git would differ in a copy of the sources, and snapcraft builds from a copy.
	command, err := goCommand(ctx, root, arch, kind, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", file)
	if err != nil {
		return err
	}
	return Execute(command, "cannot build the binary for "+arch)
}

// Modules returns the sorted paths of the modules that Binary links into the program.
func Modules(ctx context.Context, root, arch string, kind Kind) ([]string, error) {
	command, err := goCommand(ctx, root, arch, kind, "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}")
	if err != nil {
		return nil, err
	}
	listed, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list what is linked in: %w", err)
	}
	paths := strings.Fields(string(listed))
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// goCommand returns a command of the Go toolchain on the program in root, for an architecture. The command uses the
// reduced modules of cuts.
func goCommand(ctx context.Context, root, arch string, kind Kind, verb string, arguments ...string) (*exec.Cmd, error) {
	target, err := recipe.GoEnv(arch)
	if err != nil {
		return nil, err
	}
	modfile, err := leanModfile(ctx, root)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "go", slices.Concat([]string{verb, "-modfile", modfile, "-tags", Tags(kind)}, arguments, []string{"."})...)
	command.Dir = root
	command.Env = slices.Concat(os.Environ(), target, []string{"GOFLAGS=-mod=readonly", "GOWORK=off"})
	return command, nil
}

// A cut is a module of which the program needs few files. The other files would make the binary larger.
type cut struct {
	module, folder string   // the folder is in leanFolder
	files          []string // files of the module that are used
	packed         bool     // the files are packed with gzip, under their names
	text           string   // of one more Go file; "" for none
}

// leanFolder is relative to the project's root folder. The binary names it, so it never changes.
const leanFolder = "build/lean"

// unpacker unpacks the files of Swagger UI, a third of their size, when the first of them is opened.
const unpacker = `package swaggerFiles

import (
	"compress/gzip"
	"embed"
	"io"
	"io/fs"
	"path"
	"sync"
	"testing/fstest"
)

//go:embed dist
var dist embed.FS

var FS fs.FS = lazy(sync.OnceValue(unpack))

type lazy func() fstest.MapFS

func (l lazy) Open(name string) (fs.File, error) { return l().Open(name) }

func unpack() fstest.MapFS {
	files := fstest.MapFS{}
	names, err := fs.Glob(dist, "dist/*")
	for i := 0; i < len(names) && err == nil; i++ {
		var content []byte
		content, err = read(names[i])
		files[path.Base(names[i])] = &fstest.MapFile{Data: content}
	}
	if err != nil {
		panic(err) // cannot happen: the files were packed for this program
	}
	return files
}

func read(name string) ([]byte, error) {
	file, err := dist.Open(name)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unpacked)
}
`

func cuts() []cut {
	ui := cut{module: "github.com/swaggo/files/v2", folder: "swagger-ui", packed: true, text: unpacker}
	for _, name := range swagger.UIFiles() { // 7 MB of source maps and other bundles are not served
		ui.files = append(ui.files, "dist/"+name)
	}
	// The server needs only swag's register of descriptions. The rest of swag reads Go sources for go generate and
	// would add Go's type checker to the binary.
	// echo-swagger would convert the description to YAML, for a path that the server does not have.
	yaml := cut{module: "github.com/ghodss/yaml", folder: "yaml", text: "package yaml\n\nimport \"errors\"\n\n" +
		"func JSONToYAML([]byte) ([]byte, error) { return nil, errors.ErrUnsupported }\n"}
	return []cut{ui, yaml, {module: "github.com/swaggo/swag", folder: "swag", files: []string{"swagger.go"}}}
}

// leanModfile writes the reduced modules of cuts into leanFolder, with a go.mod that uses them. It returns the name of
// that go.mod, relative to root.
func leanModfile(ctx context.Context, root string) (modfile string, err error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	for _, c := range cuts() {
		if err := c.write(ctx, root); err != nil {
			return "", fmt.Errorf("cannot take the files of %s that the program uses: %w", c.module, err)
		}
		text = fmt.Appendf(text, "\nreplace %s => ./%s/%s\n", c.module, leanFolder, c.folder)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return "", err
	}
	modfile = leanFolder + "/lean.mod"
	return modfile, errors.Join(os.WriteFile(filepath.Join(root, modfile), text, 0o644),
		os.WriteFile(filepath.Join(root, leanFolder, "lean.sum"), sums, 0o644))
}

// write copies the cut's files from Go's module cache and adds a go.mod without requirements. It downloads a module
// that is not in the cache.
func (c cut) write(ctx context.Context, root string) error {
	source, err := download(ctx, root, c.module)
	if err != nil {
		return err
	}
	folder := filepath.Join(root, leanFolder, c.folder)
	write := func(name string, text []byte) error {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, text, 0o644)
	}
	if err := write("go.mod", []byte("module "+c.module+"\n\ngo 1.26\n")); err != nil {
		return err
	}
	if c.text != "" {
		if err := write("files.go", []byte(c.text)); err != nil {
			return err
		}
	}
	for _, name := range c.files {
		text, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(name)))
		if err == nil && c.packed {
			text, err = pack(text)
		}
		if err == nil {
			err = write(name, text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// download returns the folder of a module in Go's module cache, at the version in go.mod. It does not use go list,
// which neither downloads a module nor names the folder of a missing one.
func download(ctx context.Context, root, module string) (folder string, err error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	command.Dir = root
	answer, err := command.Output()
	var found struct{ Dir, Error string }
	if len(answer) > 0 { // also for a failed download
		err = errors.Join(json.Unmarshal(answer, &found), err)
	}
	if found.Error != "" {
		return "", errors.New(found.Error)
	}
	return found.Dir, err
}

// pack packs a text with gzip.
func pack(text []byte) ([]byte, error) {
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = writer.Write(text)
	err = errors.Join(err, writer.Close())
	return packed.Bytes(), err
}

// Epoch returns the modification time of packed files, in seconds since 1970: SOURCE_DATE_EPOCH, else the time of the
// commit in root, else 0 for a tree without history.
func Epoch(ctx context.Context, root string) (int64, error) {
	if set := os.Getenv("SOURCE_DATE_EPOCH"); set != "" {
		seconds, err := strconv.ParseUint(set, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("invalid SOURCE_DATE_EPOCH %q: want seconds since 1970", set)
		}
		return int64(seconds), nil
	}
	text, err := exec.CommandContext(ctx, "git", "-C", root, "log", "-1", "--format=%ct").Output()
	if err != nil {
		return 0, nil // a tree without history: any fixed time is right
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// Execute runs a command. Its error has the prefix failed and ends with the command's output.
func Execute(command *exec.Cmd, failed string) error {
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", failed, err, bytes.TrimSpace(printed.Bytes()))
	}
	return nil
}
