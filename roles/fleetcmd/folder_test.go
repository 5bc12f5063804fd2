package fleetcmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
)

// TestFolder plays what an operator does with a folder, and compares all that is printed with testdata/folder.txt.
func TestFolder(t *testing.T) {
	t.Parallel()
	played := &session{world: newWorld(t)}
	w, play := played.world, played.play
	home := w.env["HOME"]
	w.env["ASPECTS_SERVER_URL"], w.env["ASPECTS_TOKEN_FILE"] = w.url, filepath.Join(home, "token")
	writeFile(t, w.env["ASPECTS_TOKEN_FILE"], w.tokens["anna"]+"\n")
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(home, "fleet", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, file, text)
		played.told.WriteString("# " + name + ":\n" + text + "\n")
	}
	show := func(name string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(home, "fleet", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		played.told.WriteString("# " + name + " is now:\n" + string(text) + "\n")
	}
	dir := filepath.Join(home, "fleet")
	const shown = `{"control-telemetry":{"sample-rate":2}}`
	berlin, other := w.register(fleet.Active, fleet.Labels{"site": "berlin"}), w.register(fleet.Active, nil)
	w.register(fleet.Active, nil) // which never reports
	for range 1 {
		w.poll(berlin, shown, fleet.None, "")
		w.poll(other, shown, fleet.None, "")
	}

	play("plan", dir)
	write("everyone.yaml", "# everyone\nconfig:\n  control-telemetry:\n    sample-rate: 4   # a minute\n")
	write("labels/berlin.yaml", "selector: site=berlin\npriority: 10\nconfig:\n  control-telemetry:\n    monitor-peers: \"{{ values.site.peers }}\"\n")
	write("values/site.yaml", "berlin: {peers: true}\n")
	write("devices/lobby.yaml", "device: "+berlin.String()[:8]+"\nconfig:\n  control-tunnel: {secret-key: hunter2}\n")
	play("plan", dir)
	play("plan", dir, "--full", "-o", "name")
	play("apply", dir)
	play("apply", dir)
	play("plan", dir, "-o", "json")
	play("history")

	// Behind the folder's back.
	play("<config: {control-telemetry: {sample-rate: 9}}", "edit", "everyone", "--file", "-")
	play("<{selector: site=rome, config: {}}", "edit", "labels/rome", "--file", "-")
	plan := filepath.Join(home, "plan.json")
	play("plan", dir, "--out", plan)
	play("label", other.String(), "site=rome")
	play("apply", "--plan", plan)
	play("plan", dir, "--out", plan)
	play("apply", "--plan", plan)
	play("apply", "--plan", plan)
	play("plan", dir, "--prune")
	play("apply", dir, "--prune")

	play("<config: {control-telemetry: {sample-rate: 12}}", "edit", "everyone", "--file", "-")
	write("release.yaml", "stages:\n  - devices: 1\n  - percent: 110\n")
	play("plan", dir)
	write("release.yaml", "stages:\n  - selector: stie=rome\n")
	play("plan", dir)
	play("apply", dir)
	write("release.yaml", "stages:\n  - devices: 1\napprove: [1]\n")
	play("apply", dir)
	play("apply", dir)
	write("everyone.yaml", "config:\n  control-telemetry:\n    sample-rate: 5\n")
	play("plan", dir)
	play("apply", dir)
	play("<config: {control-telemetry: {sample-rate: 5}}", "edit", "everyone", "--file", "-", "--dry-run")
	play("<config: {control-telemetry: {sample-rate: 5}}", "edit", "everyone", "--file", "-")
	play("remove", "everyone", "--yes")
	play("release", "undo")
	if err := os.Remove(filepath.Join(dir, "release.yaml")); err != nil {
		t.Fatal(err)
	}
	play("pull", dir)
	show("everyone.yaml")
	show("labels/berlin.yaml")
	show("devices/lobby.yaml")
	play("pull", dir)
	play("plan", dir)
	play("pull", filepath.Join(home, "copy"))
	play("plan", filepath.Join(home, "copy"))
	// A file knows a device by a name that it has no longer.
	play("rename", berlin.String(), "hall")
	play("pull", filepath.Join(home, "named"))
	play("rename", "hall", "lounge")
	play("plan", filepath.Join(home, "named"))
	play("pull", filepath.Join(home, "named"), "--prune")
	play("plan", filepath.Join(home, "named"))

	write("everyone.yaml", "config:\n  control-telemetry:\n    sample-rate: 61\n")
	play("plan", dir)
	play("apply", dir)
	play("apply", dir, "--allow-refusals")
	write("labels/rome.yaml", "selector: site=rome\nconfig:\n  control-telemetry: {monitor-peers: 5}\n")
	write("everyone.yaml", "config:\n  control-telemetry:\n    sampel-rate: 1\n")
	play("plan", dir)
	write("labels/rome.yaml", "selector: 'site==rome'\nconfig: {}\n")
	play("plan", dir)
	play("apply", dir)
	write("devices/other.yaml", "device: 77\nconfig: {}\n")
	write("devices/none.yaml", "device: '77'\nconfig: {}\n")
	play("plan", dir)
	play("pull", dir)

	// What is typed wrong.
	play("apply")
	play("apply", dir, "--plan", plan)
	play("apply", "--plan", filepath.Join(dir, "everyone.yaml"))
	play("plan", filepath.Join(dir, "everyone.yaml"))
	play("plan")

	told := regexp.MustCompile(`digest: ['"]?[\w-]+['"]?`).ReplaceAllString(played.told.String(), "digest: …") // differs with the server's key
	compare(t, filepath.Join("testdata", "folder.txt"), strings.ReplaceAll(told, berlin.String(), "BERLIN"))
}
