// Package compile builds the binary that snaps and archives carry. Its main function is Binary. Built twice from the
// same sources with the same Go, the binary is the same to the byte.
package compile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"aspects-poc/packaging/recipe"
	"aspects-poc/roles/server/swagger"
)

// Program is the binary's name. The names of the roles are links to it.
const Program = "aspects-poc"

// A Kind says what a binary has, by the build tag that has it built so.
type Kind string

// The kinds of binary.
const (
	Whole  Kind = ""       // every role and tool
	Device Kind = "device" // what a device needs: without server, development kit, load generator and demo
)

// What the binaries may weigh at most, in bytes, stripped. A device reads its own from flash with each hook.
const (
	DeviceBudget = 12_000_000
	WholeBudget  = 34_500_000
)

// Tags returns the build tags of a kind of binary.
func Tags(kind Kind) string {
	// urfave/cli brings a Markdown parser along for documentation that the program does not write.
	return strings.TrimSuffix("urfave_cli_no_docs,"+string(kind), ",")
}

// Binary builds the program in the project's root folder for an architecture (Debian's name), static and without the
// names of this machine's folders, and writes it to file.
func Binary(ctx context.Context, root string, stamps recipe.Build, arch string, kind Kind, file string) error {
	target, err := recipe.GoEnv(arch)
	if err != nil {
		return err
	}
	file, err = filepath.Abs(file)
	if err != nil {
		return err
	}
	flags := "-s -w -X aspects-poc/roles.Version=" + stamps.Version + " -X aspects-poc/roles.Commit=" + stamps.Commit +
		" -X aspects-poc/roles/network.AccountID=" + stamps.AccountID
	modfile, err := leanSwaggerUI(ctx, root)
	if err != nil {
		return err
	}
	// What git says would differ in a copy of the sources, such as snapcraft builds from.
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-modfile", modfile, "-tags", Tags(kind), "-ldflags", flags, "-o", file, ".")
	command.Dir = root
	command.Env = append(os.Environ(), append(target, "GOFLAGS=-mod=readonly", "GOWORK=off")...)
	return Execute(command, "cannot build the binary for "+arch)
}

// leanSwaggerUI writes a go.mod in which the module with Swagger UI embeds no more than the page loads, and returns its
// name, relative to root. The module has source maps and other bundles as well, 7 MB that nobody is given. All is written
// into build/swagger-ui, and always there: the binary names the folder.
func leanSwaggerUI(ctx context.Context, root string) (modfile string, err error) {
	const module, folder = "github.com/swaggo/files/v2", "build/swagger-ui"
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module)
	list.Dir = root
	found, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("cannot find Swagger UI's files: %w", err)
	}
	files := map[string]string{ // to write, and where from
		"lean.mod": filepath.Join(root, "go.mod"), "lean.sum": filepath.Join(root, "go.sum"), "go.mod": "", "files.go": "",
	}
	for _, name := range swagger.UIFiles() {
		files["dist/"+name] = filepath.Join(strings.TrimSpace(string(found)), "dist", name)
	}
	if err := os.MkdirAll(filepath.Join(root, folder, "dist"), 0o755); err != nil {
		return "", err
	}
	for name, source := range files {
		var text []byte
		if source != "" {
			if text, err = os.ReadFile(source); err != nil {
				return "", fmt.Errorf("cannot find Swagger UI's files: %w", err)
			}
		}
		switch name {
		case "lean.mod":
			text = append(text, "\nreplace "+module+" => ./"+folder+"\n"...)
		case "go.mod":
			text = []byte("module " + module + "\n")
		case "files.go":
			text = []byte("package swaggerFiles\n\nimport (\n\t\"embed\"\n\t\"io/fs\"\n)\n\n//go:embed dist/*\nvar dist embed.FS\n\n" +
				"var FS, _ = fs.Sub(dist, \"dist\")\n")
		}
		if err := os.WriteFile(filepath.Join(root, folder, name), text, 0o644); err != nil {
			return "", err
		}
	}
	return folder + "/lean.mod", nil
}

// Epoch returns the time that packed files bear, in seconds since 1970: SOURCE_DATE_EPOCH, or else the time of the
// commit in root, or 0 in a tree without history.
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
		return 0, nil // a tree without history: any fixed moment will do
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// Execute runs a command. The error begins with failed and ends with what the command printed.
func Execute(command *exec.Cmd, failed string) error {
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", failed, err, bytes.TrimSpace(printed.Bytes()))
	}
	return nil
}
