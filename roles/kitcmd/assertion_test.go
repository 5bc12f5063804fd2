package kitcmd_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const publisher = "Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4"

func TestAssertion(t *testing.T) {
	before := time.Now().Truncate(time.Second)
	for args, want := range map[string]map[string]any{
		"": {"type": "confdb-schema", "name": "network", "revision": "1"},
		"--account-id " + publisher + " --revision 3 --timestamp 2026-10-01T12:00:00+02:00": {"account-id": publisher,
			"authority-id": publisher, "revision": "3", "timestamp": "2026-10-01T10:00:00Z"},
		"--revision 0 --timestamp document":  {"revision": nil, "timestamp": "2026-09-01T00:00:00Z"},
		"--dialect confdb":                   {"type": "confdb"},
		"--no-aliases --dialect=confdb":      {"type": "confdb"},
		"--timestamp now --revision 1000000": {"revision": "1000000"},
	} {
		got := run(t, append([]string{"assertion"}, strings.Fields(args)...)...)
		if got.Code != 0 || got.Stderr != "" {
			t.Errorf("%s: exit code %d\n%s", args, got.Code, got.Stderr)
			continue
		}
		var headers map[string]any
		if err := json.Unmarshal([]byte(got.Stdout), &headers); err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		for name, value := range want {
			if headers[name] != value {
				t.Errorf("%s: %s is %v, want %v", args, name, headers[name], value)
			}
		}
		if strings.Contains(args, "--timestamp 2") || strings.Contains(args, "document") {
			continue
		}
		if at, err := time.Parse(time.RFC3339, headers["timestamp"].(string)); err != nil || at.Before(before) || at.After(time.Now()) {
			t.Errorf("%s: timestamp %v (%v), want now", args, headers["timestamp"], err)
		}
	}
}

func TestAssertionUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--revision two":              `error: invalid value "two" for --revision: want a number such as 2`,
		"--revision +2":               `error: invalid value "+2" for --revision: want a number`,
		"--revision=-2":               `error: invalid value "-2" for --revision: want a number`,
		"--dialect registry":          `error: invalid value "registry" for --dialect: want one of [confdb-schema confdb]`,
		"--account-id me@example.com": `error: invalid value for --account-id: "me@example.com" is no account ID`,
		"--timestamp yesterday":       `error: invalid value "yesterday" for --timestamp: want a time such as`,
		"network":                     `error: unexpected argument "network": assertion takes flags only`,
	} {
		got := run(t, append([]string{"assertion"}, strings.Fields(args)...)...)
		if got.Code != 2 || got.Stdout != "" || !strings.HasPrefix(got.Stderr, want) {
			t.Errorf("%s: exit code %d, want 2\n%s%s", args, got.Code, got.Stdout, got.Stderr)
		}
	}
}
