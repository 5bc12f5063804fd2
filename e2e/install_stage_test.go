//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aspects-poc/internal/kit/assertion"
	"aspects-poc/roles/network"
)

// The snaps in the order of their installation: the server, the custodian, and then the users of its views.
var roleNames = []string{"server", "control", "vpn", "reporting"}

func snapOf(role string) string { return "aspects-poc-" + role }

// install installs three of the snaps by hand, strictly confined, checks what their daemons do before the plugs are
// connected, and runs install.sh for the rest.
func (r *run) install(context.Context) {
	r.check("put the schema's assertion into snapd's database", func(ctx context.Context) error {
		document, err := r.era.document()
		if err != nil {
			return err
		}
		text, err := assertion.UnsignedText(document)
		if err != nil {
			return err
		}
		if err := r.schema(ctx, network.Name, text); err != nil {
			return err
		}
		_, err = r.sh(ctx, "snap known "+string(r.era.dialect)+" account-id="+network.AccountID+" name="+network.Name+" | grep -q '^name: network'")
		return err
	})
	r.check("no other custodian is there", func(ctx context.Context) error {
		_, err := r.sh(ctx, "! snap list "+custodian+" 2>/dev/null || snap remove --purge "+custodian)
		return err
	})
	r.check("bring install.sh and the four snaps", func(ctx context.Context) error {
		files := []string{filepath.Join(r.root, "install.sh")}
		for _, role := range roleNames {
			file, err := r.snapFile(role)
			if err != nil {
				return err
			}
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			r.figure("%s: %.1f MB", snapOf(role), float64(info.Size())/1e6)
			files = append(files, file)
		}
		return r.push(ctx, folder+"/", files...)
	})
	for _, role := range []string{"server", "control", "vpn"} {
		r.check("install "+snapOf(role), func(ctx context.Context) error { return r.installSnap(ctx, role) })
	}
	waiting := []string{"control", "vpn"}
	if r.era != present {
		waiting = waiting[:1] // only a custodian needs a connection there
	}
	for _, role := range waiting {
		r.check("before its plugs are connected "+snapOf(role)+" says which command does it, and waits", func(ctx context.Context) error {
			return r.logged(ctx, 3*time.Minute, role, "", "snap connect "+snapOf(role)+":")
		})
	}
	r.check("peers of the tunnel are to stay, and the feature is off", func(ctx context.Context) error {
		_, err := r.sh(ctx, "snap set aspects-poc-vpn drop-rate=0 join-rate=0 && snap unset system experimental."+r.era.flag)
		return err
	})
	const script = folder + "/install.sh --from " + folder
	r.check("install.sh turns it on, installs what is missing, connects all plugs, and all views answer", func(ctx context.Context) error {
		begin := time.Now()
		text, err := r.sh(ctx, script)
		r.figure("install.sh, with one snap of four to install: %.0f s", time.Since(begin).Seconds())
		if err != nil {
			return err
		}
		for _, want := range []string{"Turning on experimental." + r.era.flag, "Installing aspects-poc-reporting", "All 7 views answer"} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("it does not say %q: %s", want, text)
			}
		}
		return nil
	})
	r.check("install.sh once more changes nothing", func(ctx context.Context) error { return r.changesNothing(ctx, script) })
	r.check("all of them are strictly confined", func(ctx context.Context) error {
		text, err := r.sh(ctx, `curl -s --unix-socket /run/snapd.socket http://snapd/v2/snaps | jq -r '.result[] | select(.name | startswith("aspects-poc-")) | "\(.name) \(.confinement) \(.devmode) \(.status)"' | sort`)
		if err != nil {
			return err
		}
		want := ""
		for _, role := range []string{"control", "reporting", "server", "vpn"} {
			want += snapOf(role) + " strict false active\n"
		}
		return same("snaps", want, text)
	})
}

// snapFile returns the file of a role's snap that make has built.
func (r *run) snapFile(role string) (string, error) {
	files, err := filepath.Glob(filepath.Join(r.root, snapOf(role)+"_*_"+r.arch()+".snap"))
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("want one snap of %s, there are %d: make all, or make clean-all first", role, len(files))
	}
	return files[0], nil
}

func (r *run) installSnap(ctx context.Context, role string) error {
	file, err := r.snapFile(role)
	if err != nil {
		return err
	}
	begin := time.Now()
	_, err = r.sh(ctx, "snap install --dangerous "+folder+"/"+filepath.Base(file))
	r.figure("%s installed in %.0f s", snapOf(role), time.Since(begin).Seconds())
	return err
}

// logged waits for a line in the log of a role's daemon that has all of the texts. since is a time for journalctl; ""
// means the whole log.
func (r *run) logged(ctx context.Context, patience time.Duration, role, since string, texts ...string) error {
	var log string
	err := eventually(ctx, patience, func(ctx context.Context) error {
		var err error
		if log, err = r.log(ctx, role, since); err != nil {
			return err
		}
		for line := range strings.Lines(log) {
			found := true
			for _, text := range texts {
				found = found && strings.Contains(line, text)
			}
			if found {
				return nil
			}
		}
		return fmt.Errorf("the log of %s has no line with %q", role, texts)
	})
	if err != nil {
		return errors.Join(err, errors.New(log))
	}
	return nil
}

// log returns the log of a role's daemon as snap logs prints it, without systemd's own lines.
func (r *run) log(ctx context.Context, role, since string) (string, error) {
	command := "journalctl --no-pager -o short-iso-precise -u snap." + snapOf(role) + ".daemon.service -t " + snapOf(role) + ".daemon"
	if since != "" {
		command += " --since '" + since + "'"
	}
	return r.sh(ctx, command)
}

// now returns the machine's time in journalctl's form.
func (r *run) now(ctx context.Context) (string, error) {
	text, err := r.sh(ctx, "date '+%F %T'")
	return strings.TrimSpace(text), err
}

func same(what, want, got string) error {
	if want == got {
		return nil
	}
	return fmt.Errorf("%s: got\n%swant\n%s", what, got, want)
}
