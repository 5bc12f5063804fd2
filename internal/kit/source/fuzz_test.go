package source_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"aspects-poc/internal/kit/source"
)

// FuzzLoad loads any text as snapcraft.yaml and as snap.yaml. Load refuses it, or lays out a folder of the snap's name below the
// stage. It writes nothing elsewhere, and does not change the source.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"name: a\n", "name: a-b\nplugs:\n  p: {interface: confdb, account: acc, view: s/v, role: custodian}\napps:\n  d: {command: x, daemon: simple, plugs: [p, network]}\n",
		"name: ../outside\n", "name: /outside\n", "name: .\n", "name: a\nparts:\n  p: {plugin: dump, source: .}\n  q: {plugin: nil}\n",
		"name: a\nhooks: {configure: {plugs: [x]}}\nenvironment: {A: b}\n", "name: a\nplugs: {p: &x {a: *x}}\n", "- a\n", "name: [a]\n", "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, place := range []string{"snap/snapcraft.yaml", "meta/snap.yaml"} {
			root := t.TempDir()
			dir, stage := filepath.Join(root, "source"), filepath.Join(root, "in", "stage")
			write(t, filepath.Join(dir, place), text, 0o644)
			write(t, filepath.Join(dir, "snap", "hooks", "configure"), []byte("#!/bin/sh\n"), 0o644)
			if err := os.MkdirAll(stage, 0o755); err != nil {
				t.Fatal(err)
			}
			before := entries(t, dir)
			found, err := source.Load(dir, source.Options{Stage: stage})
			if (err == nil) != (found != nil) {
				t.Fatalf("%v with %+v", err, found)
			}
			if after := entries(t, dir); !slices.Equal(before, after) {
				t.Errorf("the source was %v, and is %v", before, after)
			}
			if list := entries(t, filepath.Join(root, "in")); list[0] != "stage" || len(entries(t, root)) != 2+len(before)+len(list) {
				t.Errorf("beside the stage: %v", entries(t, root))
			}
			if err == nil && place != "meta/snap.yaml" && filepath.Dir(found.Snap.Dir) != stage {
				t.Errorf("%q is laid out in %s", found.Snap.Name, found.Snap.Dir)
			}
		}
	})
}

func write(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
}

// entries lists all that is below a folder.
func entries(t *testing.T, root string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err == nil && path != root {
			relative, _ := filepath.Rel(root, path)
			list = append(list, relative)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
