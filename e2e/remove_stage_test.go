//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aspects-poc/roles/network"
)

// remove removes everything with install.sh, and checks that nothing is left.
func (r *run) remove(context.Context) {
	r.check("install.sh --uninstall", func(ctx context.Context) error {
		text, err := r.sh(ctx, folder+"/install.sh --uninstall")
		if err == nil && !strings.Contains(text, "Done.") {
			err = errors.New(text)
		}
		return err
	})
	r.check("no file and no process of the snaps is left", func(ctx context.Context) error {
		return r.nothing(ctx, "ls -d /var/snap/aspects-poc-* /snap/aspects-poc-* /snap/bin/aspects-poc-* /root/snap/aspects-poc-* "+
			"/etc/systemd/system/*snap*aspects-poc-* /var/lib/snapd/snaps/aspects-poc-* /var/lib/snapd/apparmor/profiles/*aspects-poc* "+
			"/var/lib/snapd/seccomp/bpf/*aspects-poc* /var/lib/aspects-poc 2>/dev/null; pgrep -a aspects-poc; true")
	})
	// snapd 2.68 does not remove the maps around them.
	r.check("no value of the views is left in snapd", func(ctx context.Context) error {
		return r.nothing(ctx, `jq -r '(.data["confdb-databags"] // .data["confdb-values"] // {}) | .["`+network.AccountID+`"] // {} | .network // {} | paths(scalars) | map(tostring) | join(".")' /var/lib/snapd/state.json`)
	})
	r.check("the feature is off, as it was", func(ctx context.Context) error {
		return r.refused(ctx, "snap get system experimental."+r.era.flag, "experimental."+r.era.flag)
	})
	r.check("run once more it has nothing to do", func(ctx context.Context) error {
		return r.changesNothing(ctx, folder+"/install.sh --uninstall")
	})
}

// nothing checks that a command prints nothing.
func (r *run) nothing(ctx context.Context, command string) error {
	text, err := r.sh(ctx, command)
	if err == nil && text != "" {
		err = errors.New(text)
	}
	return err
}

// changesNothing runs a command and checks that snapd has changed nothing meanwhile, except by reads and by the
// daemons' writes.
func (r *run) changesNothing(ctx context.Context, command string) error {
	const changes = `curl -s --unix-socket /run/snapd.socket 'http://snapd/v2/changes?select=all' | ` +
		`jq -r '.result // [] | .[] | select(.kind | endswith("-confdb") | not) | "\(.id) \(.kind) \(.summary)"' | sort -n`
	const state = changes + "; snap list; snap connections --all; snap get -d system"
	before, err := r.sh(ctx, state)
	if err != nil {
		return err
	}
	printed, err := r.sh(ctx, command)
	if err != nil {
		return err
	}
	after, err := r.sh(ctx, state)
	if err != nil {
		return err
	}
	if err := same("snapd", before, after); err != nil {
		return fmt.Errorf("%w\nafter\n%s", err, printed)
	}
	return nil
}
