package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"aspects-poc/packaging/compile"
)

// An entry is a file, a link or a folder of an archive.
type entry struct {
	name   string // with slashes
	text   []byte
	mode   int64
	link   string // the target of a symbolic link
	folder bool
	owner  int // ID of both user and group
}

// A platform has the files for one architecture.
type platform struct {
	arch    string // Debian's name
	entries []entry
}

// platform builds the binary for an architecture and returns it with the shared files and the notices.
func (d dist) platform(ctx context.Context, arch string, shared []entry) (platform, error) {
	file := filepath.Join(d.work, arch)
	if err := d.build(ctx, d.root, d.Build, arch, compile.Whole, file); err != nil {
		return platform{}, err
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return platform{}, err
	}
	notices, err := notices(ctx, d.root, arch)
	if err != nil {
		return platform{}, err
	}
	entries := append([]entry{
		{name: "bin/" + compile.Program, text: binary, mode: 0o755},
		{name: "NOTICES", text: notices, mode: 0o644},
	}, shared...)
	for _, role := range d.roles {
		entries = append(entries, entry{name: "bin/" + compile.Program + "-" + role, link: compile.Program, mode: 0o777})
	}
	return platform{arch: arch, entries: entries}, nil
}

// archive writes a platform's archive. All its files are in a folder with the archive's name.
func (d dist) archive(p platform, file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	zip, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	top := path.Base(file[:len(file)-len(".tar.gz")])
	entries := slices.Clone(p.entries)
	for i := range entries {
		entries[i].name = top + "/" + entries[i].name
	}
	return errors.Join(writeTar(zip, entries, d.moment), zip.Close())
}

// writeTar writes entries and their parent folders in sorted order, so that the same entries always give the same
// bytes.
func writeTar(out io.Writer, entries []entry, moment time.Time) error {
	all := map[string]entry{}
	for _, e := range entries {
		all[e.name] = e
		for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = entry{name: dir, folder: true, mode: 0o755}
			}
		}
	}
	sorted := make([]entry, 0, len(all))
	for _, e := range all {
		sorted = append(sorted, e)
	}
	slices.SortFunc(sorted, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	writer := tar.NewWriter(out)
	for _, e := range sorted {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.text)), Mode: e.mode,
			ModTime: moment, Uid: e.owner, Gid: e.owner, Format: tar.FormatPAX}
		switch {
		case e.folder:
			header.Typeflag, header.Name = tar.TypeDir, e.name+"/"
		case e.link != "":
			header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
		}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		if _, err := writer.Write(e.text); err != nil {
			return err
		}
	}
	return writer.Close()
}
