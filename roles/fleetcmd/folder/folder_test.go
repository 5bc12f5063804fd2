package folder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"aspects-poc/registry/plan"
	"aspects-poc/roles/fleetcmd/folder"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// make writes files, by their paths below a folder.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const lobby = "10000000-0000-4000-8000-000000000001"

// find knows one device.
func find(named string) (folder.Device, error) {
	if named != "lobby" && named != lobby {
		return folder.Device{}, errors.New("there is no such device")
	}
	return folder.Device{ID: lobby, Name: "lobby", Labels: map[string]string{"site": "berlin", "device.room": "3"}}, nil
}

// layers reads a folder, and returns its layers as JSON, or the faults.
func layers(dir string) string {
	read, err := folder.Read(dir)
	if err != nil {
		return err.Error()
	}
	list, err := read.Layers(find)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, layer := range list {
		text, err := json.Marshal(layer.Config)
		if err != nil {
			return err.Error()
		}
		lines = append(lines, strings.Join([]string{layer.Name, layer.Selector, string(text)}, " "))
	}
	return strings.Join(lines, "\n")
}

func TestFolders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"all kinds", map[string]string{
			"everyone.yaml":       "# all\nconfig: {a: {n: 9007199254740993, x: null, y: on}}\n",
			"labels/berlin.yaml":  "selector: site=berlin\npriority: 7\nconfig:\n  a: {site: '{{ labels.site }}', vlan: \"{{ values.site.net.vlan }}\"}\n",
			"devices/lobby.yaml":  "device: lobby\nconfig:\n  a: {name: 'x-{{ device.name }}-{{labels.device.room}}', id: '{{ device.id }}', l: '{{ values.site.list }}', e: '\\{{ a }}'}\n",
			"values/site.yaml":    "berlin:\n  net: {vlan: 12}\n  list: [1, a]\n",
			"README.md":           "text",
			".gitignore":          "x",
			"labels/.hidden.yaml": "x",
			folder.SchemaFile:     "{}",
		}, `devices/` + lobby + `  {"a":{"e":"{{ a }}","id":"` + lobby + `","l":[1,"a"],"name":"x-lobby-3"}}
everyone  {"a":{"n":9007199254740993,"x":null,"y":"on"}}
labels/berlin site=berlin {"a":{"site":"berlin","vlan":12}}`},
		{"an empty folder", nil, ""},
		{"faults of form", map[string]string{
			"everyone.yaml":    "config:\n\tx: 1\n",
			"labels/a.yaml":    "selector: a=b\npriorty: 4\npriority: high\nconfig: 5\n",
			"labels/b.yaml":    "selector: [a]\nconfig: {v: {r: 1, r: 2}}\n",
			"labels/c.yml":     "config: {}\n",
			"labels/d.yaml":    "",
			"labels/e.yaml":    "selector: a\nconfig: {v: {r: {{ labels.a }}}}\n",
			"labels/f.yaml":    "selector: a\nconfig: {x: *nix}\n",
			"labels/g.yaml":    "- 1\n",
			"devices/bin.yaml": "\xff\xfe",
			"devices/big.yaml": strings.Repeat("#", folder.MaxFile+1),
			"everyon.yaml":     "config: {}",
			"release.yaml":     "- devices: 1",
			"values":           "no folder",
		}, `devices/big.yaml: is larger than 1048576 bytes
devices/bin.yaml:1:1: it is not UTF-8
everyon.yaml: is not known here; did you mean everyone.yaml?; there can be everyone.yaml, labels/NAME.yaml, devices/NAME.yaml, values/LABEL.yaml, release.yaml, fleet.schema.json and *.md
everyone.yaml:2:1: it is not YAML: found character that cannot start any token; a tab does not indent: use spaces
labels/a.yaml:2:1: "priorty" is not known here; did you mean priority?; there can be selector, priority, config
labels/a.yaml:3:11: priority must be a whole number
labels/a.yaml:4:9: config must be a map, not a number; {} is an empty one
labels/b.yaml:1:1: selector must be a text
labels/b.yaml:2:20: key "r" is there twice
labels/c.yml: is not known here; files in labels end in .yaml
labels/d.yaml:1:1: it is empty
labels/e.yaml:2:17: a value that begins with a variable needs quotes: "{{ labels.a }}"
labels/f.yaml:2:1: it is not YAML: unknown anchor 'nix' referenced
labels/g.yaml:1:1: want a map, not a list
release.yaml:1:1: want a map, not a list
values: is no folder; it must have the files of values`},
		{"faults of variables and devices", map[string]string{
			"everyone.yaml":       "config:\n  a: '{{ labels.site }}'\n  b: '{{ device.name }}'\n  c: '{{ open'\n  d: '{{ x }}'\n",
			"labels/a.yaml":       "selector: site!=berlin,room\nconfig: {a: '{{ labels.site }}', b: '{{ values.site.x }}'}\n",
			"labels/b.yaml":       "selector: site=paris\nconfig:\n  a: '{{ values.site.x }}'\n",
			"labels/c.yaml":       "selector: site=berlin\nconfig:\n  a: '{{ values.site.y }}'\n  b: 'a {{ values.site.x }}'\n  c: '{{ values.sit.x }}'\n",
			"devices/a.yaml":      "device: lobby\nconfig: {a: '{{ labels.floor }}', b: '{{ device.age }}'}\n",
			"devices/b.yaml":      "device: " + lobby + "\nconfig: {}\n",
			"devices/c.yaml":      "device: attic\nconfig: {}\n",
			"values/site.yaml":    "berlin:\n  x: [1]\n",
			"devices/notes.md":    "text",
			"labels/backup.yaml~": "x",
		}, `devices/a.yaml:2:13: {{ labels.floor }}: the device has no label floor
devices/a.yaml:2:38: {{ device.age }}: there are device.name, device.id, labels.LABEL and values.LABEL.NAME
devices/b.yaml:1:9: device ` + lobby + ` has a layer in devices/a.yaml already; a device has one
devices/c.yaml:1:9: there is no such device
everyone.yaml:2:6: {{ labels.site }}: this layer is for all devices, whose labels differ; put it into the file of a device or of a label
everyone.yaml:3:6: {{ device.name }}: this layer is for many devices; put it into the file of a device
everyone.yaml:4:6: a variable has no end: want {{ NAME }}; \{{ stands for {{ itself
everyone.yaml:5:6: {{ x }}: there are device.name, device.id, labels.LABEL and values.LABEL.NAME
labels/a.yaml:2:13: {{ labels.site }}: the devices of this layer need not have the same site: the selector has no term site=VALUE
labels/a.yaml:2:37: {{ values.site.x }}: the devices of this layer need not have the same site: the selector has no term site=VALUE
labels/b.yaml:3:6: {{ values.site.x }}: values/site.yaml has nothing for site=paris
labels/c.yaml:3:6: {{ values.site.y }}: values/site.yaml has no y for site=berlin
labels/c.yaml:4:6: {{ values.site.x }} is a list, which has no place inside a text
labels/c.yaml:5:6: {{ values.sit.x }}: there is no such file in values; there are site`},
		{"what is required", map[string]string{"labels/a.yaml": "priority: 1.5\n", "devices/a.yaml": "config: {}\n", "everyone.yaml": "{}\n"},
			`devices/a.yaml:1:1: has no device
everyone.yaml:1:1: has no config
labels/a.yaml:1:1: has no selector
labels/a.yaml:1:1: has no config
labels/a.yaml:1:11: priority must be a whole number`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, layers(files(t, test.files))); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
		})
	}
}

// TestNoFiles has what stands in the place of files and of the folder itself.
func TestNoFiles(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"labels/sub.yaml/x": "", "devices/a.yaml": "device: lobby\nconfig: {}\n"})
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "devices", "pipe.yaml"), 0o600),
		os.Symlink("a.yaml", filepath.Join(dir, "devices", "link.yaml"))); err != nil {
		t.Fatal(err)
	}
	want := "devices/link.yaml: is a link; put the file itself here\ndevices/pipe.yaml: is no file\nlabels/sub.yaml: is no file"
	if diff := cmp.Diff(want, layers(dir)); diff != "" {
		t.Error(diff)
	}
	whole := files(t, map[string]string{"everyone.yaml": "config: {}\n"})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(whole, link); err != nil {
		t.Fatal(err)
	}
	if got := layers(link); got != "everyone  {}" {
		t.Errorf("a link to a folder: %s", got)
	}
	for name, want := range map[string]string{filepath.Join(whole, "everyone.yaml"): "it is a file, and not a folder", filepath.Join(whole, "none"): "no such file"} {
		if _, err := folder.Read(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWrite changes files: what does not differ stays as it is written.
func TestWrite(t *testing.T) {
	t.Parallel()
	const file = "# head\nselector: site=berlin   # where\n\npriority: 10\nconfig:\n" +
		"    # four blanks\n    a: {n: 1, m: 'one'}   # flow\n    b:\n        rate: \"{{ values.site.rate }}\" # from the values\n        list: [1, 2]\n"
	const values = "berlin: {rate: 6}\n"
	for _, test := range []struct {
		name, config string
		selector     string
		change       bool
		want         string
	}{
		{"nothing", `{"a":{"n":1,"m":"one"},"b":{"rate":6,"list":[1,2]}}`, "site=berlin", false, file},
		{"scalars", `{"a":{"n":25,"m":"two: x"},"b":{"rate":6,"list":[1,2]}}`, "site=berlin", true,
			strings.Replace(strings.Replace(file, "n: 1,", "n: 25,", 1), "'one'", "'two: x'", 1)},
		{"a selector", `{"a":{"n":1,"m":"one"},"b":{"rate":6,"list":[1,2]}}`, "site=paris", true, ""},
		{"a variable", `{"a":{"n":1,"m":"one"},"b":{"rate":7,"list":[1,2]}}`, "site=berlin", true,
			strings.Replace(file, `"{{ values.site.rate }}"`, "7", 1)},
		{"what comes and goes", `{"a":{"n":1},"b":{"rate":6,"list":[1,3],"{{x":null},"c":{"d":"{{ y"}}`, "site=berlin", true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, map[string]string{"labels/a.yaml": file, "values/site.yaml": values})
			read, err := folder.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			present, err := read.Layers(find)
			if err != nil {
				t.Fatal(err)
			}
			content := folder.Content{Path: "labels/a.yaml", Selector: test.selector, Priority: 10}
			decoder := json.NewDecoder(strings.NewReader(test.config))
			decoder.UseNumber()
			if err := decoder.Decode(&content.Config); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(test.config, `"{{x"`) { // names have no variables
				delete(content.Config["b"].(map[string]any), "{{x")
			}
			changed, err := read.Write(content, &present[0])
			if err != nil || changed != test.change {
				t.Fatalf("changed %t, %v", changed, err)
			}
			text, err := os.ReadFile(filepath.Join(dir, "labels", "a.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(text)); test.want != "" && diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
			for _, comment := range []string{"# head", "# where", "# four blanks", "# from the values"} {
				if !bytes.Contains(text, []byte(comment)) {
					t.Errorf("%q is gone:\n%s", comment, text)
				}
			}
			if test.selector == "site=paris" {
				return // for which there are no values
			}
			want, err := json.Marshal(content.Config)
			if err != nil {
				t.Fatal(err)
			}
			if got := layers(dir); got != "labels/a site=berlin "+string(want) {
				t.Errorf("it now has %s, and should have %s:\n%s", got, want, text)
			}
		})
	}
}

// TestSchema has an independent validator judge files by the schema.
func TestSchema(t *testing.T) {
	t.Parallel()
	names, err := plan.ReadNames(network.Document(""))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(names.Describe())
	if err != nil {
		t.Fatal(err)
	}
	var described map[string]any
	if err := json.Unmarshal(encoded, &described); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(folder.Schema(described))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("fleet.json", parsed); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("fleet.json")
	if err != nil {
		t.Fatal(err)
	}
	for file, fits := range map[string]bool{
		"config: {}": true,
		"selector: a\npriority: 1\nconfig: {control-telemetry: {sample-rate: 4}}":              true,
		"device: a\nconfig: {control-telemetry: {sample-rate: null}}":                          true,
		"config: {control-telemetry: null}":                                                    true,
		"config: {control-telemetry: {sample-rate: '{{ values.site.rate }}'}}":                 true,
		"config: {control-tunnel: {secret-key: {$secret: vpn}}}":                               true,
		"config: {control-tunnel: {secret-key: {$secret: set, digest: x}, peers: [10.0.0.1]}}": true,
		"config: {control-interfaces: {config: {eth0: {ip-address: 10.0.0.1}}}}":               true,
		"config: {control-telemetry: {sample-rate: often}}":                                    false,
		"config: {control-telemetry: {sampel-rate: 4}}":                                        false,
		"config: {control-nothing: {}}":                                                        false,
		"configg: {}":                                                                          false,
		"selector: a":                                                                          false,
		"priority: high\nconfig: {}":                                                           false,
	} {
		var value any
		if err := yaml.Unmarshal([]byte(file), &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != fits {
			t.Errorf("%s: %v", file, err)
		}
	}
}
