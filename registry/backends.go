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

// nudgeDir returns the folder for announcements of the snap's hooks to its services; "" outside of snaps.
func nudgeDir(getenv func(string) string) string {
	if common := getenv("SNAP_COMMON"); common != "" {
		return filepath.Join(common, "confdb-changes")
	}
	return ""
}

// insideSnap chooses snapctl in every process of a snap, even before a plug is connected. A file would hold other
// data than the machine's confdb. Each access reports what is missing, with its remedy.
func insideSnap(_ context.Context, o Options) (bool, string) {
	if cookie(o.Getenv) == "" {
		return false, "no SNAP_COOKIE in the environment: not inside a snap"
	}
	return true, fmt.Sprintf("SNAP_COOKIE is in the environment: inside the snap %q", snapName(o.Getenv))
}

// cookie returns the secret by which snapd recognises the snap. Old releases name it SNAP_CONTEXT.
func cookie(getenv func(string) string) string {
	return cmp.Or(getenv("SNAP_COOKIE"), getenv("SNAP_CONTEXT"))
}

func snapName(getenv func(string) string) string {
	return cmp.Or(getenv("SNAP_INSTANCE_NAME"), getenv("SNAP_NAME"))
}

// hookName returns the name of the running hook, or "" in an app or service. It is the base name of the program, in a
// folder "hooks". The only other sign is that SNAP_APP_NAME is not set, as snapd sets it for apps alone (seen on
// snapd 2.77.1).
func hookName(getenv func(string) string, program string) string {
	if getenv("SNAP_APP_NAME") != "" || filepath.Base(filepath.Dir(program)) != "hooks" {
		return ""
	}
	return filepath.Base(program)
}

func openSnapd(ctx context.Context, socket string, o Options) (backend.Backend, error) {
	return snapd.Open(ctx, snapd.Options{Socket: cmp.Or(socket, o.Socket), AccessTimeout: o.AccessTimeout})
}

// probeTime is how long "auto" waits for a snapd that accepts a connection but does not answer.
const probeTime = 2 * time.Second

// snapdAnswers chooses snapd if it answers on its socket and confdb is on.
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

// bare returns an error's cause without the operation and the address.
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

// lastResort always chooses the file. The reason has its path, or why it has none.
func lastResort(_ context.Context, o Options) (bool, string) {
	path, err := embedded.DefaultPath(o.Getenv)
	if err != nil {
		return true, "nothing else is left, but " + err.Error()
	}
	return true, "the user's own file, as nothing else is left: " + path
}
