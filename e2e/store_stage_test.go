//go:build e2e

package e2e_test

import (
	"context"
	"crypto/sha3"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aspects-poc/internal/kit/assertion"
	"aspects-poc/roles/network"
)

// store installs the four snaps as from the store: snapd's database knows their publisher, who is the account of the
// confdb-schema, their names and their files. So snapd installs the files without --dangerous and connects the confdb
// plugs by itself, before the install hooks. Then readme runs once more.
func (r *run) store(ctx context.Context) {
	for _, step := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"nothing is left of other stages", r.cleared},
		{"the confdb-schema, its account and the four snaps are known, as if the store had signed them", r.publish},
		{"snap install takes the four files without --dangerous", r.installPublished},
		{"all confdb plugs are connected, and not by hand", r.connectedByThemselves},
	} {
		if !r.check("store: "+step.name, step.do) {
			return
		}
	}
	r.readme(ctx)
}

// A databaseEntry is an assertion and its folder in snapd's database.
type databaseEntry struct {
	folder  string
	headers map[string]string
}

// cleared removes what an earlier stage has left: another custodian, and values.
func (r *run) cleared(ctx context.Context) error {
	_, err := r.sh(ctx, "! snap list "+custodian+" 2>/dev/null || snap remove --purge "+custodian+"; "+
		"systemctl stop snapd.socket snapd.service; cd /var/lib/snapd && "+
		`jq -c 'del(.data["confdb-databags"])' state.json >state.new && chmod 600 state.new && mv state.new state.json && `+
		"systemctl start snapd.socket snapd.service")
	return err
}

// publish puts unsigned assertions into snapd's database. snapd does not check its database again.
func (r *run) publish(ctx context.Context) error {
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
	const since = "2026-01-01T00:00:00Z"
	entries := []databaseEntry{{"account/" + network.AccountID, map[string]string{"type": "account", "authority-id": "canonical",
		"account-id": network.AccountID, "display-name": "Demo", "username": "demo", "validation": "unproven", "timestamp": since}}}
	var files []string
	for i, role := range roleNames {
		file, err := r.snapFile(role)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		files = append(files, file)
		sum := sha3.Sum384(content)
		digest, id := base64.RawURLEncoding.EncodeToString(sum[:]), fmt.Sprintf("aspectspocsnapnumber%012d", i)
		entries = append(entries,
			databaseEntry{"snap-declaration/16/" + id, map[string]string{"type": "snap-declaration", "authority-id": "canonical",
				"series": "16", "snap-id": id, "snap-name": snapOf(role), "publisher-id": network.AccountID, "timestamp": since}},
			databaseEntry{"snap-revision/" + digest, map[string]string{"type": "snap-revision", "authority-id": "canonical",
				"snap-sha3-384": digest, "snap-id": id, "snap-revision": "7", "snap-size": fmt.Sprint(len(content)),
				"developer-id": network.AccountID, "timestamp": since}})
	}
	for _, entry := range entries {
		if err := r.known(ctx, entry); err != nil {
			return err
		}
	}
	return r.push(ctx, folder+"/", files...)
}

// known puts one assertion into snapd's database.
func (r *run) known(ctx context.Context, entry databaseEntry) error {
	headers := map[string]string{"body": ""}
	for name, value := range entry.headers {
		headers[name] = value
	}
	document, err := json.Marshal(headers)
	if err != nil {
		return err
	}
	text, err := assertion.UnsignedText(document)
	if err != nil {
		return err
	}
	file := filepath.Join(r.scratch, "known.assert")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "body-length: 0\n", "", 1)), 0o600); err != nil {
		return err
	}
	in := "/var/lib/snapd/assertions/asserts-v0/" + entry.folder
	if _, err := r.sh(ctx, "mkdir -p "+in); err != nil {
		return err
	}
	return r.push(ctx, in+"/active", file)
}

func (r *run) installPublished(ctx context.Context) error {
	for _, role := range roleNames {
		file, err := r.snapFile(role)
		if err != nil {
			return err
		}
		begin := time.Now()
		text, err := r.sh(ctx, "snap install "+folder+"/"+filepath.Base(file))
		if err != nil {
			return err
		}
		r.figure("%s installed as from the store in %.0f s: %s", snapOf(role), time.Since(begin).Seconds(), strings.TrimSpace(text))
		if !strings.Contains(text, "from Demo installed") {
			return fmt.Errorf("snapd does not say whose it is: %q", text)
		}
	}
	// The README has peers that stay. The vpn had its plugs at once here, unlike after an installation by hand, and has
	// dropped some peers meanwhile.
	_, err := r.sh(ctx, "snap set aspects-poc-vpn drop-rate=0 join-rate=0 && snap set "+view(network.ControlTunnelView)+
		` 'peers=["192.168.21.3","192.168.151.225","192.168.21.7"]'`)
	return err
}

// connectedByThemselves checks that the plugs are connected, and that they were connected during the install hooks.
func (r *run) connectedByThemselves(ctx context.Context) error {
	text, err := r.sh(ctx, "snap connections --all | awk '$1 == \"confdb\" && $2 ~ /^aspects-poc-/ { print $2, $3, $4 }'")
	if err != nil {
		return err
	}
	var failed []error
	plugs := 0
	for line := range strings.Lines(text) {
		plugs++
		if !strings.HasSuffix(strings.TrimSpace(line), " :confdb -") {
			failed = append(failed, fmt.Errorf("not connected by itself: %s", strings.TrimSpace(line)))
		}
	}
	if plugs < 7 {
		failed = append(failed, fmt.Errorf("there are %d confdb plugs: %q", plugs, text))
	}
	return errors.Join(failed...)
}
