package main

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"aspects-poc/internal/home"
	"aspects-poc/packaging/compile"
	"aspects-poc/packaging/recipe"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// user is the ID of the program's user in a container. It is never root.
	user = "65532"
	// state is the user's home. The program can write only to it and to /tmp.
	state = "var/lib/" + compile.Program
)

// image writes one OCI image for all platforms: an image layout (image-spec 1.1) in a tar. podman load, docker load and
// skopeo copy oci-archive: read it. The image contains only the static binary and its notices.
func (d dist) image(platforms []platform, file string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		image, where, err := d.platformImage(p)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: where}})
	}
	// The outer index is the layout's table of contents and has the image's name.
	name := "localhost/" + compile.Program + ":" + d.Version
	contents := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: index,
		Descriptor: v1.Descriptor{Annotations: map[string]string{
			"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name,
		}},
	})
	dir := filepath.Join(d.work, "oci")
	if _, err := layout.Write(dir, contents); err != nil {
		return err
	}
	entries, err := readTree(dir)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := writeTar(&out, entries, d.moment); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// platformImage returns the image of one platform.
func (d dist) platformImage(p platform) (v1.Image, *v1.Platform, error) {
	where, err := ociPlatform(p.arch)
	if err != nil {
		return nil, nil, err
	}
	var layer bytes.Buffer
	if err := writeTar(&layer, imageEntries(p.entries), d.moment); err != nil {
		return nil, nil, err
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, nil, err
	}
	created := v1.Time{Time: d.moment}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: packed, History: v1.History{Created: created, CreatedBy: "make dist"}})
	if err != nil {
		return nil, nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, nil, err
	}
	image, err = mutate.ConfigFile(image, d.config(file, where, created))
	return image, where, err
}

// config returns file with the settings of our containers: user, home, entry point, volume and port.
func (d dist) config(file *v1.ConfigFile, where *v1.Platform, created v1.Time) *v1.ConfigFile {
	file = file.DeepCopy()
	file.Architecture, file.OS, file.Variant, file.Created = where.Architecture, where.OS, where.Variant, created
	file.Config = v1.Config{
		User: user + ":" + user, WorkingDir: "/" + state, Entrypoint: []string{"/usr/bin/" + compile.Program},
		Env:          []string{"PATH=/usr/bin", "HOME=/" + state},
		ExposedPorts: map[string]struct{}{"8000/tcp": {}},
		Volumes:      map[string]struct{}{"/" + state: {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":       compile.Program,
			"org.opencontainers.image.description": "Fleet server, device roles and development kit for snapd's confdb",
			"org.opencontainers.image.url":         home.Address,
			"org.opencontainers.image.source":      home.Address,
			"org.opencontainers.image.version":     d.Version,
			"org.opencontainers.image.revision":    d.Commit,
			"org.opencontainers.image.created":     d.moment.Format("2006-01-02T15:04:05Z"),
			"org.opencontainers.image.licenses":    "Apache-2.0",
		},
	}
	return file
}

// imageEntries returns the entries at the paths that they have in an installed system. It leaves out files that nobody
// reads in a container.
func imageEntries(entries []entry) []entry {
	owner := 65532 // user
	list := []entry{
		{name: state, folder: true, mode: 0o700, owner: owner},
		{name: "tmp", folder: true, mode: 0o1777},
	}
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.name, "bin/"):
			e.name = "usr/" + e.name
		case e.name == "LICENSE" || e.name == "NOTICES":
			e.name = "usr/share/doc/" + compile.Program + "/" + e.name
		default:
			continue
		}
		list = append(list, e)
	}
	return list
}

// ociPlatform returns OCI's name of an architecture. OCI uses Go's names.
func ociPlatform(arch string) (*v1.Platform, error) {
	env, err := recipe.GoEnv(arch)
	if err != nil {
		return nil, err
	}
	p := &v1.Platform{}
	for _, setting := range env {
		switch name, value, _ := strings.Cut(setting, "="); name {
		case "GOOS":
			p.OS = value
		case "GOARCH":
			p.Architecture = value
		case "GOARM":
			p.Variant = "v" + value
		}
	}
	if p.Architecture == "arm64" {
		p.Variant = "v8"
	}
	return p, nil
}

func readTree(dir string) ([]entry, error) {
	var list []entry
	err := filepath.WalkDir(dir, func(path string, found fs.DirEntry, err error) error {
		if err != nil || found.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		list = append(list, entry{name: filepath.ToSlash(name), text: text, mode: 0o644})
		return err
	})
	return list, err
}
