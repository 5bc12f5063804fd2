package storetest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"

	"github.com/google/go-cmp/cmp"
)

// old has a folder for each commit whose program has written databases: server.db.gz for the embedded store, and
// fleet.sql.gz for PostgreSQL (pg_dump --inserts, without the lines that begin with a backslash). Both databases have
// the same contents, which contents.txt lists.
//
//go:embed testdata
var old embed.FS

var update = flag.Bool("update", false, "write contents.txt of the old databases again, with what is read today")

// Old opens each old database of a kind (server.db or fleet.sql) twice, and checks that the store reads what
// contents.txt lists. open copies a database and returns a function that opens the copy with its tokens.
func Old(t *testing.T, kind string, open func(t *testing.T, file []byte) func() (fleet.Store, access.Store)) {
	commits, err := old.ReadDir("testdata")
	ok(t, err)
	for _, commit := range commits {
		t.Run(commit.Name(), func(t *testing.T) {
			packed, err := old.Open("testdata/" + commit.Name() + "/" + kind + ".gz")
			ok(t, err)
			unpacked, err := gzip.NewReader(packed)
			ok(t, err)
			file, err := io.ReadAll(unpacked)
			ok(t, err)
			again := open(t, file)
			for range 2 { // the first time updates the database
				store, tokens := again()
				got := contents(t, store, tokens)
				golden := "testdata/" + commit.Name() + "/contents.txt"
				if *update {
					ok(t, os.WriteFile(filepath.Join("..", "storetest", golden), []byte(got), 0o644))
				}
				want, err := old.ReadFile(golden)
				if err != nil && !*update {
					t.Fatal(err)
				}
				if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" && !*update {
					t.Error("(-want +got):\n" + diff)
				}
				closeStore(t, store)
			}
		})
	}
}

// contents returns everything that a store returns, as text.
func contents(t *testing.T, store fleet.Store, tokens access.Store) string {
	t.Helper()
	var text bytes.Buffer
	put := func(what string, value any) { fmt.Fprintf(&text, "%s: %q\n", what, fmt.Sprint(show(value))) }
	devices, _, err := store.Devices(t.Context(), "", 1000)
	ok(t, err)
	for _, brief := range devices {
		put("brief", brief)
		device, err := store.Device(t.Context(), brief.ID)
		ok(t, err)
		put("device", device)
		if device.KeyID != "" {
			byKey, err := store.DeviceByKey(t.Context(), device.KeyID)
			ok(t, err)
			same(t, device, byKey)
		}
		points, err := store.Stats(t.Context(), brief.ID, time.Time{})
		ok(t, err)
		put("stats", points)
	}
	mute, _, err := store.Mute(t.Context(), "", 1000)
	ok(t, err)
	put("mute", mute)
	own, _, err := store.DeviceLayers(t.Context(), "", "", 1000)
	ok(t, err)
	put("device layers", own)
	putTargets(t, store, put)
	putTokens(t, tokens, put)
	return text.String()
}

func putTargets(t *testing.T, store fleet.Store, put func(string, any)) {
	t.Helper()
	targets, err := store.Targets(t.Context())
	ok(t, err)
	put("everyone", targets.Everyone)
	put("labels", targets.Labels)
	put("revision", targets.Revision)
	put("concerns", concerns(t, store))
	last, err := store.LastChange(t.Context())
	ok(t, err)
	put("last change", last)
	history, err := store.History(t.Context(), "", 0, 1000)
	ok(t, err)
	for _, brief := range history {
		put("brief entry", brief)
		entry, err := store.Entry(t.Context(), brief.Revision)
		ok(t, err)
		put("entry", entry)
	}
	groups, err := store.Standings(t.Context(), registered.AddDate(1, 0, 0), time.Minute)
	ok(t, err)
	counted := map[string]int{}
	for _, group := range groups {
		counted[fmt.Sprint(group.Status, group.Verdict, group.Own, group.Mute, group.Labels, group.Silent > 0, group.Cloned > 0)] += group.Count
	}
	put("standings", counted)
}

func putTokens(t *testing.T, tokens access.Store, put func(string, any)) {
	t.Helper()
	list, err := tokens.Tokens(t.Context())
	ok(t, err)
	for _, token := range list {
		found, err := tokens.Token(t.Context(), token.Digest)
		ok(t, err)
		put("token", strings.TrimSuffix(fmt.Sprint(found), " false}")+"}") // contents.txt of old databases has no Proxy
	}
}
