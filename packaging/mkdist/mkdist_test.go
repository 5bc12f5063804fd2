package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"aspects-poc/internal/home"
	"aspects-poc/internal/need"
	"aspects-poc/packaging/compile"
	"aspects-poc/packaging/recipe"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

// small stands for what is packed: a binary, a link and documents.
func small(arch string) platform {
	return platform{arch: arch, entries: []entry{
		{name: "bin/aspects-poc", text: []byte("binary of " + arch), mode: 0o755},
		{name: "bin/aspects-poc-vpn", link: "aspects-poc", mode: 0o777},
		{name: "LICENSE", text: []byte("licence"), mode: 0o644},
		{name: "share/man/man1/aspects-poc.1", text: []byte("page"), mode: 0o644},
	}}
}

func testDist(t *testing.T) dist {
	t.Helper()
	return dist{root: root, work: t.TempDir(), moment: time.Unix(1_700_000_000, 0).UTC(),
		Build: recipe.Build{Version: "1.2", Commit: "0123456789ab"}}
}

// files returns what is in a tar: name -> header, and name -> content.
func files(t *testing.T, text io.Reader) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	headers, contents := map[string]*tar.Header{}, map[string][]byte{}
	for reader := tar.NewReader(text); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		headers[header.Name], contents[header.Name] = header, content
	}
}

func TestTarDependsOnContentsOnly(t *testing.T) {
	entries := small("amd64").entries
	var first, second bytes.Buffer
	if err := writeTar(&first, entries, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	turned := slices.Clone(entries)
	slices.Reverse(turned)
	if err := writeTar(&second, turned, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the order of entries decides")
	}
	headers, _ := files(t, &first)
	want := []string{"LICENSE", "bin/", "bin/aspects-poc", "bin/aspects-poc-vpn", "share/", "share/man/", "share/man/man1/",
		"share/man/man1/aspects-poc.1"}
	if got := slices.Sorted(maps.Keys(headers)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for name, header := range headers {
		if !header.ModTime.Equal(time.Unix(1, 0)) || header.Uid != 0 || header.Uname != "" {
			t.Errorf("%s bears %v of %d %q", name, header.ModTime, header.Uid, header.Uname)
		}
	}
	if link := headers["bin/aspects-poc-vpn"]; link.Typeflag != tar.TypeSymlink || link.Linkname != "aspects-poc" {
		t.Errorf("the role's name is %+v", link)
	}
}

// manualScript stands for the program that writes completions and manual pages.
const manualScript = `#!/bin/sh
if [ "$1" = __man ]; then
	for page in aspects-poc aspects-poc-control; do echo ".TH $page, of $HOME" >"$2/$page.1"; done
else
	echo "completion of $2"
fi
`

// All files are made of the sources alone: not of the folder, the user's umask or the time, and the sums are theirs.
func TestMake(t *testing.T) {
	need.Programs(t, "sh")
	make := func(output string) string {
		d := testDist(t)
		d.roles = []string{"control", "vpn"}
		d.build = func(_ context.Context, _ string, stamps recipe.Build, arch string, _ compile.Kind, file string) error {
			return os.WriteFile(file, []byte("binary "+stamps.Version+" for "+arch), 0o700)
		}
		d.manual = func(_ context.Context, _, file string) error {
			if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
				return err
			}
			return os.WriteFile(file, []byte(manualScript), 0o755)
		}
		var out strings.Builder
		if err := d.make(t.Context(), []string{"amd64", "riscv64"}, output, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first, second := filepath.Join(t.TempDir(), "dist"), filepath.Join(t.TempDir(), "other", "dist")
	said := make(first)
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	make(second)

	names := []string{"aspects-poc_1.2_linux_amd64.tar.gz", "aspects-poc_1.2_linux_riscv64.tar.gz", "aspects-poc_1.2_oci.tar"}
	if want := "Created " + strings.Join(names, "\nCreated ") + "\n"; said != want {
		t.Errorf("it said %q, want %q", said, want)
	}
	var sums strings.Builder
	for _, name := range names {
		text := read(t, filepath.Join(first, name))
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), name)
		if !bytes.Equal(text, read(t, filepath.Join(second, name))) {
			t.Errorf("made twice, %s differs", name)
		}
	}
	if got := string(read(t, filepath.Join(first, "SHA256SUMS"))); got != sums.String() {
		t.Errorf("sums are\n%s, want\n%s", got, sums.String())
	}

	zipped, err := gzip.NewReader(bytes.NewReader(read(t, filepath.Join(first, names[1]))))
	if err != nil {
		t.Fatal(err)
	}
	headers, contents := files(t, zipped)
	got := map[string]string{}
	for name, header := range headers {
		if header.Typeflag == tar.TypeDir {
			continue
		}
		got[strings.TrimPrefix(name, "aspects-poc_1.2_linux_riscv64/")] = fmt.Sprintf("%o %s", header.Mode, header.Linkname)
	}
	if diff := cmp.Diff(map[string]string{
		"LICENSE": "644 ", "NOTICES": "644 ", "README.md": "644 ",
		"bin/aspects-poc": "755 ", "bin/aspects-poc-control": "777 aspects-poc", "bin/aspects-poc-vpn": "777 aspects-poc",
		"share/bash-completion/completions/aspects-poc":            "644 ",
		"share/bash-completion/completions/aspects-poc-control":    "777 aspects-poc",
		"share/bash-completion/completions/aspects-poc-vpn":        "777 aspects-poc",
		"share/fish/vendor_completions.d/aspects-poc.fish":         "644 ",
		"share/fish/vendor_completions.d/aspects-poc-control.fish": "777 aspects-poc.fish",
		"share/fish/vendor_completions.d/aspects-poc-vpn.fish":     "777 aspects-poc.fish",
		"share/zsh/site-functions/_aspects-poc":                    "644 ",
		"share/man/man1/aspects-poc.1":                             "644 ",
		"share/man/man1/aspects-poc-control.1":                     "644 ",
	}, got); diff != "" {
		t.Errorf("the archive (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"bin/aspects-poc":                       "binary 1.2 for riscv64",
		"LICENSE":                               "Apache License",
		"NOTICES":                               "modernc.org/sqlite v",
		"share/zsh/site-functions/_aspects-poc": "completion of zsh",
		"share/man/man1/aspects-poc-control.1":  ".TH aspects-poc-control, of /home/user",
	} {
		if !bytes.Contains(contents["aspects-poc_1.2_linux_riscv64/"+name], []byte(want)) {
			t.Errorf("%s does not have %q", name, want)
		}
	}
}

// Sums of an earlier run do not stay beside files that are not theirs.
func TestMakeThatFails(t *testing.T) {
	d, output := testDist(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(output, "SHA256SUMS"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d.manual = func(context.Context, string, string) error { return errors.New("no compiler") }
	if err := d.make(t.Context(), []string{"amd64"}, output, io.Discard); err == nil || err.Error() != "no compiler" {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(output); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// The image is an OCI layout whose digests lead from the table of contents to each platform's binary.
func TestImage(t *testing.T) {
	d := testDist(t)
	file := filepath.Join(t.TempDir(), "oci.tar")
	if err := d.image([]platform{small("amd64"), small("armhf")}, file); err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	_, contents := files(t, opened)
	if !strings.Contains(string(contents["oci-layout"]), `"imageLayoutVersion"`) {
		t.Fatalf("no layout: %q", slices.Sorted(maps.Keys(contents)))
	}
	type descriptor struct {
		Digest      string
		Annotations map[string]string
		Platform    struct{ Architecture, OS, Variant string }
	}
	blob := func(digest string, into any) {
		t.Helper()
		text, ok := contents["blobs/"+strings.Replace(digest, ":", "/", 1)]
		if !ok {
			t.Fatalf("there is no %s", digest)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	var top, index struct{ Manifests []descriptor }
	if err := json.Unmarshal(contents["index.json"], &top); err != nil {
		t.Fatal(err)
	}
	if len(top.Manifests) != 1 || top.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "localhost/aspects-poc:1.2" {
		t.Fatalf("the table of contents is %s", contents["index.json"])
	}
	blob(top.Manifests[0].Digest, &index)
	var platforms []string
	for _, one := range index.Manifests {
		platforms = append(platforms, strings.TrimSuffix(one.Platform.OS+"/"+one.Platform.Architecture+"/"+one.Platform.Variant, "/"))
		var manifest struct {
			Config descriptor
			Layers []descriptor
		}
		blob(one.Digest, &manifest)
		var config struct {
			Config struct {
				User       string
				Entrypoint []string
				Labels     map[string]string
			}
		}
		blob(manifest.Config.Digest, &config)
		if config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/aspects-poc"}) {
			t.Errorf("a container runs %v as %q", config.Config.Entrypoint, config.Config.User)
		}
		if config.Config.Labels["org.opencontainers.image.source"] != home.Address {
			t.Errorf("labels %v", config.Config.Labels)
		}
		if len(manifest.Layers) != 1 {
			t.Errorf("%d layers", len(manifest.Layers))
		}
	}
	if want := []string{"linux/amd64", "linux/arm/v7"}; !slices.Equal(platforms, want) {
		t.Errorf("platforms %v, want %v", platforms, want)
	}

	again := filepath.Join(t.TempDir(), "oci.tar")
	d.work = t.TempDir()
	if err := d.image([]platform{small("amd64"), small("armhf")}, again); err != nil {
		t.Fatal(err)
	}
	if first, second := read(t, file), read(t, again); !bytes.Equal(first, second) {
		t.Error("made twice, the image differs")
	}
}

func TestImageHasNothingButTheProgram(t *testing.T) {
	var names []string
	for _, e := range imageEntries(small("amd64").entries) {
		names = append(names, e.name)
		if e.name == state && (e.owner != 65532 || e.mode != 0o700) {
			t.Errorf("the state folder is %o of %d", e.mode, e.owner)
		}
	}
	want := []string{"var/lib/aspects-poc", "tmp", "usr/bin/aspects-poc", "usr/bin/aspects-poc-vpn", "usr/share/doc/aspects-poc/LICENSE"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// Everything that is linked in is named with a licence.
func TestNotices(t *testing.T) {
	text, err := notices(t.Context(), root, "riscv64")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"github.com/labstack/echo/v4 v", "github.com/urfave/cli/v2 v", "github.com/swaggo/echo-swagger v",
		"github.com/google/uuid v", "modernc.org/sqlite v", "the Go standard library", "the fleet page's scripts", "Swagger UI",
		"Permission is hereby granted", "Apache License"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the notices do not have %q", want)
		}
	}
	for _, other := range []string{"honnef.co", "russross/blackfriday", "github.com/go-openapi/"} {
		if bytes.Contains(text, []byte(other)) {
			t.Errorf("the notices name %s, which is not linked in", other)
		}
	}
}

// The licence of the Go library is the one that comes with Go, where it does.
func TestLicenceOfGo(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(strings.TrimSpace(string(out)), "LICENSE")
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("this Go comes without %s", file)
	}
	if diff := cmp.Diff(string(read(t, file)), goLicence); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestModuleWithoutLicence(t *testing.T) {
	dir, err := json.Marshal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = moduleNotices([]byte(`{"Path": "example.com/mute", "Version": "v1.0.0", "Dir": ` + string(dir) + `}`))
	if err == nil || !strings.Contains(err.Error(), "cannot find the licence of example.com/mute") {
		t.Errorf("%v", err)
	}
}

func TestUnknownArchitecture(t *testing.T) {
	err := run(t.Context(), root, io.Discard, []string{"-output", t.TempDir(), "vax"})
	if err == nil || !strings.Contains(err.Error(), `there is no archive for "vax"; known are amd64`) {
		t.Errorf("%v", err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
