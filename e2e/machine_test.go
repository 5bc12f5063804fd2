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

// folder is the machine's folder for the files of the checks.
const folder = "/root/aspects-poc-e2e"

// A machine has a snapd for the checks. All commands run as root.
type machine interface {
	// up starts the machine, or uses the running one.
	up(ctx context.Context) error
	// down undoes everything that was done to the machine.
	down(ctx context.Context) error
	// stream runs a shell command, copies its standard output as it arrives, and returns it.
	stream(ctx context.Context, to io.Writer, command string) (string, error)
	// push copies files into a folder, or one file to a new name.
	push(ctx context.Context, to string, files ...string) error
}

// A vm is the throw-away machine of vm.sh.
type vm struct {
	script string
	env    []string // of vm.sh, in addition to our own
	origin string   // the port of the machine with whose saved moment this one begins; "" for a fresh machine
}

func (m vm) up(ctx context.Context) error {
	return m.control(ctx, append([]string{"up"}, strings.Fields(m.origin)...)...)
}

func (m vm) down(ctx context.Context) error { return m.control(ctx, "down") }

// keep saves the present moment, with which another machine can begin.
func (m vm) keep(ctx context.Context) error { return m.control(ctx, "keep") }

// cut cuts the power, and again boots the machine with its disk as the cut has left it.
func (m vm) cut(ctx context.Context) error   { return m.control(ctx, "cut") }
func (m vm) again(ctx context.Context) error { return m.control(ctx, "again") }

func (m vm) stream(ctx context.Context, to io.Writer, command string) (string, error) {
	return stream(ctx, to, m.env, m.script, "ssh", command)
}

func (m vm) push(ctx context.Context, to string, files ...string) error {
	return m.control(ctx, append(append([]string{"push"}, files...), to)...)
}

func (m vm) control(ctx context.Context, args ...string) error {
	_, err := stream(ctx, io.Discard, m.env, m.script, args...)
	return err
}

// A host is the machine on which the suite itself runs, such as a CI runner. The suite changes it.
type host struct {
	sudo []string // nil for root
}

// whichFlag sets $flag to the name of the feature's flag.
const whichFlag = `flag=$(curl -s --unix-socket /run/snapd.socket http://snapd/v2/system-info | ` +
	`jq -r '.result.features | if has("confdb") then "confdb" else "confdbs" end')`

// here returns this machine. It returns an error if the machine has something that the suite would overwrite.
func here(ctx context.Context) (*host, error) {
	h := &host{}
	if os.Geteuid() != 0 {
		h.sudo = []string{"sudo", "-n"}
	}
	found, err := h.stream(ctx, io.Discard, "ls -d "+folder+" /var/snap/aspects-poc-* /var/lib/aspects-poc "+schemaFolder(present.dialect)+" 2>/dev/null; true")
	if err != nil {
		return nil, fmt.Errorf("cannot become root on this machine: %w", err)
	}
	if found != "" {
		return nil, fmt.Errorf("E2E_HOST=1 spoils a machine, and this one is in use: it has %s", strings.Join(strings.Fields(found), ", "))
	}
	return h, nil
}

func (h *host) up(ctx context.Context) error {
	_, err := h.stream(ctx, io.Discard, whichFlag+"; snap set system experimental.$flag=true && { snap refresh --hold=3h || true; }")
	return err
}

func (h *host) down(ctx context.Context) error {
	_, err := h.stream(ctx, io.Discard, "snap list | awk '$1 ~ /^(aspects-poc-|contract$)/ { print $1 }' | xargs -r -n1 snap remove --purge; "+
		"rm -rf "+folder+" "+schemaFolder(present.dialect)+" "+schemaFolder(of268.dialect)+"; "+whichFlag+
		"; snap unset system experimental.$flag experimental.parallel-instances; snap refresh --unhold")
	return err
}

func (h *host) stream(ctx context.Context, to io.Writer, command string) (string, error) {
	words := append(append([]string{}, h.sudo...), "bash", "-c", "export PATH=$PATH:/snap/bin; "+command)
	return stream(ctx, to, nil, words[0], words[1:]...)
}

func (h *host) push(ctx context.Context, to string, files ...string) error {
	_, err := h.stream(ctx, io.Discard, "cp '"+strings.Join(files, "' '")+"' "+to)
	return err
}

// A commandError is the error of a command, with its output.
type commandError struct {
	command, stdout, stderr string
	err                     error
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: %v: %s", e.command, e.err, strings.TrimSpace(e.stdout+e.stderr))
}

func (e *commandError) Unwrap() error { return e.err }

func stream(ctx context.Context, to io.Writer, env []string, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), env...)
	// vm.sh's own children (ssh, qemu) have to end with it, or Run would wait for them.
	command.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = io.MultiWriter(&stdout, to), &stderr
	err := command.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the shared ssh connection still has stderr open
	}
	if err != nil {
		return stdout.String(), &commandError{strings.Join(args, " "), stdout.String(), stderr.String(), err}
	}
	return stdout.String(), nil
}

// A snapTree is the content of a snap for the tests.
type snapTree struct {
	name  string
	yaml  string            // without the lines that all have
	files map[string]string // path in the snap -> file here
	hooks []string          // links to bin/probe
}

// pack packs the snap in dir and returns its path.
func (s snapTree) pack(ctx context.Context, dir, arch string) (string, error) {
	tree := filepath.Join(dir, s.name)
	for _, folder := range []string{"meta/hooks", "bin"} {
		if err := os.MkdirAll(filepath.Join(tree, folder), 0o755); err != nil {
			return "", err
		}
	}
	yaml := fmt.Sprintf("name: %s\nversion: '1'\nsummary: Asks snapd\ndescription: Asks snapd\nbase: bare\n"+
		"confinement: strict\ngrade: devel\narchitectures: [%s]\n%s", s.name, arch, s.yaml)
	if err := os.WriteFile(filepath.Join(tree, "meta/snap.yaml"), []byte(yaml), 0o644); err != nil {
		return "", err
	}
	for path, from := range s.files {
		data, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		to := filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
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
