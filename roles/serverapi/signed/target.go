package signed

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aspects-poc/roles/serverapi/layers"

	"golang.org/x/mod/sumdb/tlog"
)

// A sealedPlace is a Place with the digest of the secret that is there.
type sealedPlace struct {
	Path   []string `json:"path"`
	Digest string   `json:"digest"`
}

// SecretDigest returns the digest of a secret's value, which must be a JSON shape. Nobody can find the value by trying
// without the salt.
func SecretDigest(salt string, value any) (string, error) {
	text, err := encode(value)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(salt + "\x00" + text))
	return base64.RawStdEncoding.EncodeToString(sum[:]), nil
}

// hash returns the digest of a target: of the configuration with null in the place of each secret, and of the list of
// these places. Numbers count with the digits in which they are written.
func hash(config map[string]any, places []sealedPlace) (string, error) {
	slices.SortFunc(places, func(a, b sealedPlace) int { return slices.Compare(a.Path, b.Path) })
	text, err := encode(struct {
		Config  map[string]any `json:"config"`
		Secrets []sealedPlace  `json:"secrets,omitempty"`
	}{config, places})
	if err != nil {
		return "", err
	}
	return Digest(text), nil
}

// TargetHash returns the digest of a target with secrets at these places. It returns an error for a place that the
// target does not have.
func TargetHash(config map[string]any, places []Place) (string, error) {
	var sealed []sealedPlace
	for _, place := range places {
		value, without, err := cut(config, place.Path)
		if err != nil {
			return "", fmt.Errorf("cannot find the secret at %s: %w", strings.Join(place.Path, "."), err)
		}
		digest, err := SecretDigest(place.Salt, value)
		if err != nil {
			return "", err
		}
		config, sealed = without, append(sealed, sealedPlace{place.Path, digest})
	}
	return hash(config, sealed)
}

var errNoPlace = errors.New("the target has no such place")

// cut returns the value at a path, and a copy of the configuration with null there. The copy shares the rest with the
// original.
func cut(config map[string]any, path []string) (value any, without map[string]any, err error) {
	if len(path) == 0 {
		return nil, nil, errNoPlace
	}
	present, there := config[path[0]]
	if !there || present == nil {
		return nil, nil, errNoPlace
	}
	without = make(map[string]any, len(config))
	for name, kept := range config {
		without[name] = kept
	}
	if len(path) == 1 {
		without[path[0]] = nil
		return present, without, nil
	}
	inner, is := present.(map[string]any)
	if !is {
		return nil, nil, errNoPlace
	}
	value, below, err := cut(inner, path[1:])
	without[path[0]] = below
	return value, without, err
}

// A reference is a place in a merged configuration that refers to a named secret.
type reference struct {
	path []string
	name string
}

// references lists the places that refer to named secrets, sorted. It returns an error for a secret without a name,
// because only the server knows its value.
func references(config map[string]any) ([]reference, error) {
	var list []reference
	if err := find(config, nil, &list); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b reference) int { return slices.Compare(a.path, b.path) })
	return list, nil
}

func find(value any, path []string, list *[]reference) error {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			var inside []reference
			if err := find(element, path, &inside); err != nil {
				return err
			}
			if len(inside) > 0 {
				return fmt.Errorf("the list at %s refers to a secret, which cannot be signed", strings.Join(path, "."))
			}
		}
	case map[string]any:
		if layers.IsSecret(value) {
			name, is := value[layers.SecretMember].(string)
			if !is || name == "set" || name == "unset" {
				return fmt.Errorf("the secret at %s has no name, so nobody but the server knows what it is: make it a named secret "+
					"(aspects-poc fleet secret set NAME), and refer to it with {%q:\"NAME\"}", strings.Join(path, "."), layers.SecretMember)
			}
			*list = append(*list, reference{slices.Clone(path), name})
			return nil
		}
		for name, element := range value {
			if err := find(element, append(slices.Clone(path), name), list); err != nil {
				return err
			}
		}
	}
	return nil
}

// A leaf is the tree's content for one device.
type leaf struct {
	key     string   // ID of the device's public key
	targets []string // the digests of the targets that it may have
}

func (l leaf) text() []byte {
	return []byte("device " + l.key + "\n" + strings.Join(l.targets, "\n") + "\n")
}

func compareLeaves(a, b leaf) int { return cmp.Compare(a.key, b.key) }

// A tree has the leaves of a statement.
type tree struct {
	leaves []leaf // sorted
	hashes []tlog.Hash
	root   tlog.Hash
}

func newTree(leaves []leaf) (*tree, error) {
	t := &tree{leaves: leaves}
	read := tlog.HashReaderFunc(t.read)
	for i, leaf := range leaves {
		stored, err := tlog.StoredHashes(int64(i), leaf.text(), read)
		if err != nil {
			return nil, err
		}
		t.hashes = append(t.hashes, stored...)
	}
	var err error
	t.root, err = tlog.TreeHash(int64(len(leaves)), read)
	return t, err
}

func (t *tree) read(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("the tree has no hash %d", index)
		}
		list[i] = t.hashes[index]
	}
	return list, nil
}

// prove returns the index of a device's leaf and the proof that it is in the tree.
func (t *tree) prove(key string) (index int, proof tlog.RecordProof, err error) {
	index, there := slices.BinarySearchFunc(t.leaves, leaf{key: key}, compareLeaves)
	if !there {
		return 0, nil, ErrNoLeaf
	}
	proof, err = tlog.ProveRecord(int64(len(t.leaves)), int64(index), tlog.HashReaderFunc(t.read))
	return index, proof, err
}

// ErrNoLeaf means that a statement has nothing about a device.
var ErrNoLeaf = errors.New("the statement has nothing about this device")
