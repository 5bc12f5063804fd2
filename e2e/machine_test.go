//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A machine is the throw-away machine, reached through vm.sh.
type machine struct {
	script string
}

// A commandError tells what a command printed besides failing.
type commandError struct {
	command, stdout, stderr string
	err                     error
}

func (e *commandError) Error() string {
	text := strings.TrimSpace(e.stdout + e.stderr)
	return fmt.Sprintf("%s: %v: %s", e.command, e.err, text)
}

func (e *commandError) Unwrap() error { return e.err }

// control runs a command of vm.sh.
func (m machine) control(ctx context.Context, args ...string) (string, error) {
	return m.stream(ctx, io.Discard, args...)
}

// stream is control, which also copies what the command prints, as it does.
func (m machine) stream(ctx context.Context, to io.Writer, args ...string) (string, error) {
	command := exec.CommandContext(ctx, m.script, args...)
	// vm.sh's own children (ssh, qemu) have to end with it, or Output would wait for them.
	command.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = io.MultiWriter(&stdout, to), &stderr
	err := command.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the shared ssh connection holds on to stderr
	}
	if err != nil {
		return stdout.String(), &commandError{strings.Join(args, " "), stdout.String(), stderr.String(), err}
	}
	return stdout.String(), nil
}

// sh runs a shell command as root and returns what it printed on standard output.
func (m machine) sh(ctx context.Context, command string) (string, error) {
	return m.control(ctx, "ssh", command)
}

func (m machine) push(ctx context.Context, to string, files ...string) error {
	_, err := m.control(ctx, append(append([]string{"push"}, files...), to)...)
	return err
}

// A snapTree is a snap that the tests make.
type snapTree struct {
	name  string
	yaml  string            // below the lines that all have
	files map[string]string // path in the snap -> file here
	hooks []string          // links to bin/probe
}

// pack makes the snap in dir and returns its path.
func (s snapTree) pack(ctx context.Context, dir string) (string, error) {
	tree := filepath.Join(dir, s.name)
	for _, folder := range []string{"meta/hooks", "bin"} {
		if err := os.MkdirAll(filepath.Join(tree, folder), 0o755); err != nil {
			return "", err
		}
	}
	yaml := fmt.Sprintf("name: %s\nversion: '1'\nsummary: Asks snapd\ndescription: Asks snapd\nbase: bare\n"+
		"confinement: strict\ngrade: devel\narchitectures: [amd64]\n%s", s.name, s.yaml)
	if err := os.WriteFile(filepath.Join(tree, "meta/snap.yaml"), []byte(yaml), 0o644); err != nil {
		return "", err
	}
	for path, from := range s.files {
		data, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(tree, path), data, 0o755); err != nil {
			return "", err
		}
	}
	for _, hook := range s.hooks {
		if err := os.Symlink("../../bin/probe", filepath.Join(tree, "meta/hooks", hook)); err != nil {
			return "", err
		}
	}
	file := filepath.Join(dir, s.name+".snap")
	command := exec.CommandContext(ctx, "mksquashfs", tree, file, "-noappend", "-quiet", "-no-progress", "-all-root", "-comp", "lzo")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mksquashfs: %w: %s", err, output)
	}
	return file, nil
}
