package fleetcmd_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAccess plays an admin who gives somebody access, and looks who did what, and compares what is printed with testdata/access.txt.
func TestAccess(t *testing.T) {
	t.Parallel()
	played := &session{world: newWorld(t)}
	w, play := played.world, played.play
	file := filepath.Join(w.env["HOME"], "token")
	writeFile(t, file, w.tokens["anna"]+"\n")
	play("login", w.url, "--token-file", file, "--context", "lab")
	play("whoami")
	play("whoami", "-o", "json")
	play("token", "create", "bert", "--role", "operator", "--scope", "site=berlin", "--expires", "1h")
	play("token", "create", "bert", "--role", "viewer")
	play("token", "create", "line-1", "--enrol", "--label", "site=line-1", "--uses", "3", "-o", "name")
	play("token", "create", "proxy", "--role", "viewer", "--proxy")
	for _, wrong := range [][]string{{"x"}, {"x", "--role", "king"}, {"x", "--role", "operator", "--scope", "site"}, {"x", "--role", "viewer", "--uses", "3"},
		{"x", "--enrol", "--role", "viewer"}, {"x", "--role", "viewer", "--expires", "1ms"}} {
		play(append([]string{"token", "create"}, wrong...)...)
	}
	play("token", "list")
	play("token", "list", "-o", "name")

	_, made, _ := w.fleet("token", "create", "carl", "--role", "operator", "--scope", "site=berlin")
	writeFile(t, file, made)
	play("whoami", "--server-url", w.url, "--token-file", file)
	_, eve, _ := w.fleet("token", "create", "eve", "--role", "approver", "--scope", "site=berlin", "--expires", "30d")
	writeFile(t, file, eve)
	play("whoami", "--server-url", w.url, "--token-file", file)
	writeFile(t, file, made)
	play("edit", "everyone", "--file", "-", "--server-url", w.url, "--token-file", file)
	play("audit", "--server-url", w.url, "--token-file", file)
	play("<config: {control-telemetry: {sample-rate: 4}}", "edit", "everyone", "--file", "-")
	play("<config: {control-telemetry: {sample-rate: 4}}", "edit", "everyone", "--file", "-", "--dry-run")
	play("token", "revoke", "carl")
	play("token", "revoke", "nobody")
	play("token", "revoke", "anna")

	play("audit")
	play("audit", "--limit", "1", "-o", "json")
	play("audit", "--who", "anna", "--result", "refused", "-o", "wide", "--no-headers")
	play("audit", "--thing", "layers")
	play("audit", "--since", "1s")
	play("audit", "--result", "good")
	play("audit", "--follow", "--count", "3")
	play("audit", "--follow", "--count", "1", "-o", "json")
	play("audit", "--follow", "-o", "yaml")
	told := played.told.String()
	if strings.Contains(told, strings.TrimSpace(made)) {
		t.Error("a token is in the log")
	}
	for _, differs := range []struct{ pattern, as string }{
		{`aspects-(operate|enrol)-[A-Z2-7]{26}`, "aspects-$1-…"},
		{`"request-id": ?"[^"]*"`, `"request-id": "…"`},
		{`2024-11-24 \d\d:\d\d`, "2024-11-24 12:00"}, // in the reader's zone
	} {
		told = regexp.MustCompile(differs.pattern).ReplaceAllString(told, differs.as)
	}
	compare(t, filepath.Join("testdata", "access.txt"), told)
}
