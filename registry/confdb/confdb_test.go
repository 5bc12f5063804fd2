package confdb_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

const document = `{"type": "confdb-schema", "account-id": "acme", "name": "net", "revision": "7",
	"views": {"mtu": {"summary": "s", "rules": [{"storage": "mtu"}]}, "all": {"rules": [{"request": "l.{k}", "storage": "links.{k}"}, {"storage": "mtu", "access": "read"}]}},
	"body": "{\"storage\": {\"schema\": {\"mtu\": \"int\", \"links\": {\"values\": \"int\"}}}}"}`

func TestParseDocument(t *testing.T) {
	schema, err := confdb.ParseDocument([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if schema.ID() != "acme/net" || schema.Revision != 7 || !slices.Equal(schema.Views(), []string{"all", "mtu"}) {
		t.Errorf("got %s %d %q", schema.ID(), schema.Revision, schema.Views())
	}
	for _, test := range []struct{ old, new, stage, want string }{
		{`{"type"`, `["type"`, "headers", "cannot parse confdb-schema: invalid character ':' after array element"},
		{`"7"`, `"x"`, "headers", `cannot parse confdb-schema: revision "x" is no number`},
		{`"7"`, `"-7"`, "headers", `cannot parse confdb-schema: revision "-7" is no number`},
		{`"acme"`, `""`, "headers", `cannot parse confdb-schema: "account-id" header is mandatory`},
		{`"net"`, `"Net"`, "headers", `cannot parse confdb-schema: name "Net" must match ^[a-z](?:-?[a-z0-9])*$`},
		{`"body": "{`, `"body": "[`, "storage", "invalid JSON in body: invalid character ':' after array element"},
		{`\"storage\"`, `\"store\"`, "storage", `body must contain a "storage" stanza`},
		{`\"int\", `, `\"size\", `, "storage", `cannot parse unknown type "size"`},
		{`"views"`, `"view"`, "views", "cannot define confdb schema: no views"},
		{`"summary": "s"`, `"summary": ["s"]`, "views", `cannot define view "mtu": view summary must be a string but got []interface {}`},
		{`{"summary": "s", "rules": [{"storage": "mtu"}]}`, `{}`, "views", `cannot define view "mtu": view must be non-empty map`},
		{`{"summary": "s", "rules": [{"storage": "mtu"}]}`, `null`, "views", `cannot define view "mtu": view must be non-empty map`},
	} {
		_, err := confdb.ParseDocument([]byte(strings.Replace(document, test.old, test.new, 1)))
		var refused *confdb.SchemaError
		if !errors.As(err, &refused) || refused.Stage != test.stage || err.Error() != test.want {
			t.Errorf("with %s: got %v, want %s: %s", test.new, err, test.stage, test.want)
		}
	}
}

func TestMatches(t *testing.T) {
	schema, err := confdb.ParseDocument([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		view, request string
		write, want   bool
	}{
		{"all", "l.eth0", true, true}, {"all", "l", true, true}, {"all", "mtu", true, false}, {"all", "mtu", false, true},
		{"all", "", false, true}, {"all", "l[0]", true, false}, {"all", "L", true, false}, {"none", "mtu", false, false},
	} {
		if got := schema.Matches(test.view, test.request, test.write); got != test.want {
			t.Errorf("%s %q, write %t: got %t", test.view, test.request, test.write, got)
		}
	}
	for storage, want := range map[string]string{"links.eth0": "all", "mtu": "all mtu", "links": "all", "none": "", "Bad": ""} {
		if got := strings.Join(schema.Affected([]string{storage}), " "); got != want {
			t.Errorf("%s affects %q, want %q", storage, got, want)
		}
	}
}

// TestTx: a transaction that failed stays unusable, and a commit applies the changes to the data that it gets.
func TestTx(t *testing.T) {
	schema, err := confdb.ParseDocument([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	tx := schema.Begin(databag.Bag{})
	if err := tx.Write("mtu", map[string]any{"mtu": "x"}); err == nil {
		t.Fatal("a text is no int")
	}
	if err := tx.Write("mtu", map[string]any{"mtu": 1.0}); err == nil {
		t.Error("a failed transaction goes on")
	}
	if _, err := tx.Commit(databag.Bag{}); err == nil {
		t.Error("a failed transaction is committed")
	}

	type size int
	tx = schema.Begin(databag.Bag{})
	if err := tx.Write("all", map[string]any{"l": map[string]size{"eth0": 1}}); err != nil {
		t.Fatal(err)
	}
	other, err := databag.Parse([]byte(`{"links": {"eth1": 2}}`))
	if err != nil {
		t.Fatal(err)
	}
	merged, err := tx.Commit(other)
	if got := string(merged.AppendJSON(nil)); err != nil || got != `{"links":{"eth0":1,"eth1":2}}` {
		t.Errorf("committed %s, %v", got, err)
	}
	bad, err := databag.Parse([]byte(`{"links": [1]}`))
	if err != nil {
		t.Fatal(err)
	}
	if after, err := tx.Commit(bad); err == nil || !after.Same(bad) {
		t.Errorf("over data of another shape: %v", err)
	}
	var refused *confdb.Error
	if err := schema.Validate(bad); !errors.As(err, &refused) || refused.Path != "links" || refused.Reason != "expected map type but value was array" {
		t.Errorf("invalid data: %v", err)
	}
	for _, value := range []any{math.NaN(), make(chan int), []any{math.Inf(1)}, map[string]any{"eth0": make(chan int)}} {
		if err := schema.Begin(other).Write("all", map[string]any{"l": value}); err == nil {
			t.Errorf("%v is written", value)
		}
	}
	exact := schema.Begin(other)
	exact.Exact = true
	if err := exact.Write("mtu", map[string]any{"mtu": json.Number("1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := exact.Commit(bad); err == nil {
		t.Error("committed over data that the schema refuses")
	}
}

// TestConcurrentUse: one schema and one bag serve many readers and writers at a time (run with -race).
func TestConcurrentUse(t *testing.T) {
	schema, err := confdb.ParseDocument([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	bag, err := databag.Parse([]byte(`{"mtu": 1, "links": {"eth0": 1, "eth1": 2}}`))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for writer := range 8 {
		group.Go(func() {
			for i := range 100 {
				tx := schema.Begin(bag)
				if err := tx.Write("all", map[string]any{"l.eth0": float64(i), "l.eth1": nil, "l.eth2": float64(writer)}); err != nil {
					t.Error(err)
				}
				if err := schema.Begin(bag).Write("all", map[string]any{"l.eth0": "x"}); err == nil {
					t.Error("a text is accepted")
				}
				after, err := tx.Commit(bag)
				if err != nil || len(databag.Changed(bag, after, 64)) < 2 {
					t.Error(err)
				}
				if _, err := schema.Read(after, "all", nil, confdb.ReadOptions{Unprivileged: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := string(bag.AppendJSON(nil)); got != `{"links":{"eth0":1,"eth1":2},"mtu":1}` {
		t.Errorf("the shared bag became %s", got)
	}
}

// TestDeepValues: a value with the largest allowed nesting is accepted, and a deeper one is refused.
func TestDeepValues(t *testing.T) {
	schema, err := confdb.New("acme", "net", json.RawMessage(`{"schema": {"free": "any"}}`),
		map[string]any{"v": map[string]any{"rules": []any{map[string]any{"storage": "free"}}}})
	if err != nil {
		t.Fatal(err)
	}
	var value any = 1.0
	for range 63 {
		value = []any{value}
	}
	if err := schema.Begin(databag.Bag{}).Write("v", map[string]any{"free": value}); err != nil {
		t.Error(err)
	}
	err = schema.Begin(databag.Bag{}).Write("v", map[string]any{"free": []any{value}})
	if want := `bad-request cannot set "free" through confdb view acme/net/v: value cannot have more than 64 nested levels`; said(err) != want {
		t.Errorf("got %s, want %s", said(err), want)
	}
}
