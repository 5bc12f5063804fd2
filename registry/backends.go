package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/embedded"
	"aspects-poc/registry/snapctl"
	"aspects-poc/registry/snapd"
)

func openSnapctl(ctx context.Context, rest string, o Options) (backend.Backend, error) {
	if rest != "" {
		return nil, unknownAddress("snapctl:" + rest)
	}
	return snapctl.Open(ctx, snapctlOptions(o, hookName(o.Getenv, os.Args[0])))
}

func snapctlOptions(o Options, hook string) snapctl.Options {
	return snapctl.Options{
		Socket: o.SnapSocket, Cookie: cookie(o.Getenv), SnapName: snapName(o.Getenv), Hook: hook,
		AccessTimeout: o.AccessTimeout, NudgeDir: nudgeDir(o.Getenv),
	}
}

// nudgeDir is where the hooks of the snap leave word for its services; "" outside of snaps.
func nudgeDir(getenv func(string) string) string {
	if common := getenv("SNAP_COMMON"); common != "" {
		return filepath.Join(common, "confdb-changes")
	}
	return ""
}

// insideSnap takes snapctl in each process of a snap, even before a plug is connected: a file instead would be a second
// truth beside the machine's. What is missing is told by each access, with the command that mends it.
func insideSnap(_ context.Context, o Options) (bool, string) {
	if cookie(o.Getenv) == "" {
		return false, "no SNAP_COOKIE in the environment: not inside a snap"
	}
	return true, fmt.Sprintf("SNAP_COOKIE is in the environment: inside the snap %q", snapName(o.Getenv))
}

// cookie proves to snapd which snap asks. SNAP_CONTEXT is its name in old releases.
func cookie(getenv func(string) string) string {
	return cmp.Or(getenv("SNAP_COOKIE"), getenv("SNAP_CONTEXT"))
}

func snapName(getenv func(string) string) string {
	return cmp.Or(getenv("SNAP_INSTANCE_NAME"), getenv("SNAP_NAME"))
}

// hookName tells by the program's name whether it runs as a hook; snapd says so nowhere else than by SNAP_APP_NAME,
// which only apps have (seen on snapd 2.77.1).
func hookName(getenv func(string) string, program string) string {
	if getenv("SNAP_APP_NAME") != "" || filepath.Base(filepath.Dir(program)) != "hooks" {
		return ""
	}
	return filepath.Base(program)
}

func openSnapd(ctx context.Context, socket string, o Options) (backend.Backend, error) {
	return snapd.Open(ctx, snapd.Options{Socket: cmp.Or(socket, o.Socket), AccessTimeout: o.AccessTimeout})
}

// probeTime is how long "auto" waits for a snapd that accepts a connection and says nothing.
const probeTime = 2 * time.Second

func snapdAnswers(ctx context.Context, o Options) (bool, string) {
	socket := cmp.Or(o.Socket, snapd.DefaultSocket)
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	found, err := snapd.Probe(ctx, socket)
	if err != nil {
		return false, fmt.Sprintf("%s does not answer: %s", socket, bare(err))
	}
	if !found.Usable() {
		reason := fmt.Sprintf("snapd %s answers, but %s", found.Version, found.Reason)
		if found.Remedy != "" {
			reason += "; turn it on: " + found.Remedy
		}
		return false, reason
	}
	return true, fmt.Sprintf("snapd %s answers with %s on", found.Version, found.Family)
}

// bare is an error's cause without what was being done, to which socket.
func bare(err error) string {
	if dial := (*net.OpError)(nil); errors.As(err, &dial) {
		return dial.Err.Error()
	}
	if refusal := (*Error)(nil); errors.As(err, &refusal) && refusal.Reason != "" {
		return refusal.Reason
	}
	return err.Error()
}

func openFile(ctx context.Context, rest string, o Options) (backend.Backend, error) {
	path, err := filePath(rest, o.Getenv)
	if err != nil {
		return nil, err
	}
	documents, err := o.documents()
	if err != nil {
		return nil, err
	}
	return embedded.Open(ctx, path, embedded.Options{Documents: documents, AccessTimeout: o.AccessTimeout})
}

func openMemory(ctx context.Context, rest string, o Options) (backend.Backend, error) {
	if rest != "" {
		return nil, unknownAddress("mem:" + rest)
	}
	documents, err := o.documents()
	if err != nil {
		return nil, err
	}
	return embedded.OpenMemory(ctx, embedded.Options{Documents: documents, AccessTimeout: o.AccessTimeout})
}

func whereNothingElse(_ context.Context, o Options) (bool, string) {
	path, err := embedded.DefaultPath(o.Getenv)
	if err != nil {
		return true, "nothing else is left, but " + err.Error()
	}
	return true, "the user's own file, as nothing else is left: " + path
}
