package signed

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A Book is a verified statement with its manifest and salts. It is immutable.
type Book struct {
	Signed
	Statement Statement
	Signer    Key
	Manifest  *Manifest

	salts   map[string]string // of the digests of secrets, by the secrets' names
	tree    *tree
	changes bool     // the keys may differ from those of the statement before
	former  []Signed // the earlier statements that changed the keys
}

// Open verifies a statement with the keys of the book before, and its manifest with the statement. For a first
// statement before is nil, and the keys are the statement's own. salts are those of the manifest's secrets, by name;
// salts of unchanged digests may be missing. It returns an error if the statement does not follow before.
func Open(signed Signed, manifest string, salts map[string]string, before *Book) (*Book, error) {
	statement, err := Parse(signed)
	if err != nil {
		return nil, err
	}
	keys, former := statement.Keys, []Signed(nil)
	if before == nil && statement.Number > highestFirst {
		return nil, fmt.Errorf("the first statement has number %d, and may have up to %d", statement.Number, highestFirst)
	}
	if before != nil {
		if err := statement.Follows(before.Signed, before.Statement.Number, before.Statement.Fleet); err != nil {
			return nil, err
		}
		if keys, former = before.Statement.Keys, before.former; before.changes {
			former = append(slices.Clone(former), before.Signed)
		}
		if err := checkFormer(former); err != nil {
			return nil, fmt.Errorf("%w; to begin anew, remove the statements from the server: aspects-poc fleet sign --end", err)
		}
	}
	book, err := open(signed, statement, manifest, keys, former, before == nil || !keys.Equal(statement.Keys))
	if err != nil {
		return nil, err
	}
	book.salts = map[string]string{}
	for name, secret := range book.Manifest.Secrets {
		salt := salts[name]
		if salt == "" && before != nil && before.Manifest.Secrets[name].Digest == secret.Digest {
			salt = before.salts[name]
		}
		if len(salt) < shortestSalt || len(salt) > longestSalt {
			return nil, fmt.Errorf("the secret %s of the manifest has no salt of %d to %d bytes", name, shortestSalt, longestSalt)
		}
		book.salts[name] = salt
	}
	return book, nil
}

// The limits of a salt, in bytes.
const (
	shortestSalt = 16
	longestSalt  = 100
)

// Reopen opens the last of a list of statements, with its manifest and salts. Open must have verified each of them
// before, in this order. Without salts, Places returns no places.
func Reopen(list []Signed, manifest string, salts map[string]string) (*Book, error) {
	var former []Signed
	var last Statement
	for i, signed := range list {
		statement, err := Parse(signed)
		if err != nil {
			return nil, err
		}
		keys := last.Keys
		if i == 0 {
			keys = statement.Keys
		}
		changes := i == 0 || !keys.Equal(statement.Keys)
		if i == len(list)-1 {
			book, err := open(signed, statement, manifest, keys, former, changes)
			if err == nil {
				book.salts = salts
			}
			return book, err
		}
		if last = statement; changes {
			former = append(former, signed)
		}
	}
	return nil, ErrManifest
}

func open(signed Signed, statement Statement, manifest string, keys Keys, former []Signed, changes bool) (*Book, error) {
	signer, err := keys.Verify(signed.Statement, signed.Signature)
	if err != nil {
		return nil, fmt.Errorf("cannot take the statement: %w", err)
	}
	if Digest(manifest) != statement.Manifest {
		return nil, ErrManifest
	}
	parsed, err := ParseManifest(manifest)
	if err != nil {
		return nil, err
	}
	tree, err := parsed.tree()
	if err != nil {
		return nil, err
	}
	if tree.root != statement.Root || int64(len(tree.leaves)) != statement.Devices {
		return nil, ErrManifest
	}
	return &Book{Signed: signed, Statement: statement, Signer: signer, Manifest: parsed, tree: tree, changes: changes,
		former: former}, nil
}

// The limits of numbers. An operator who has lost statements skips numbers (fleet sign --skip-missing). But a number
// that is too high would leave none for later.
const (
	highestFirst = 1_000_000 // of a server that has no statement
	farthest     = 1000      // from one number to the next
)

// Follows returns an error unless the statement can come after before. Numbers may be skipped, because an operator may
// have lost statements.
func (s Statement) Follows(before Signed, number int64, fleet string) error {
	switch {
	case s.Fleet != fleet:
		return fmt.Errorf("the statement is for another fleet: %s, not %s", s.Fleet, fleet)
	case s.Number <= number:
		return fmt.Errorf("the statement has number %d, and %d is signed already", s.Number, number)
	case s.Number > number+farthest:
		return fmt.Errorf("the statement has number %d, which is more than %d above %d, the last one; to begin anew, remove the statements "+
			"from the server first: aspects-poc fleet sign --end", s.Number, farthest, number)
	case s.Number == number+1 && s.Previous != Digest(before.Statement):
		return fmt.Errorf("the statement %d does not follow the statement %d that is here", s.Number, number)
	}
	return nil
}

// Former returns the earlier statements that changed the keys, the oldest first.
func (b *Book) Former() []Signed { return b.former }

// Salts returns the salts of the digests of secrets, by the secrets' names. Only those who may know the secrets may get
// them.
func (b *Book) Salts() map[string]string { return b.salts }

// Places returns the places at which a merged configuration refers to named secrets, with their salts.
func (b *Book) Places(merged map[string]any) ([]Place, error) {
	refers, err := references(merged)
	if err != nil {
		return nil, err
	}
	var places []Place
	for _, reference := range refers {
		salt, there := b.salts[reference.name]
		if !there {
			return nil, &MissingSecret{reference.name}
		}
		places = append(places, Place{Path: reference.path, Salt: salt})
	}
	return places, nil
}

// Evidence returns the evidence that the statement has a target for a device. target is a TargetHash, and key the ID of
// the device's key. The error is ErrNoLeaf for an unknown device, and ErrUnsigned for another target.
func (b *Book) Evidence(key, target string, places []Place) (*Evidence, error) {
	index, proof, err := b.tree.prove(key)
	if err != nil {
		return nil, err
	}
	leaf := b.tree.leaves[index]
	if !slices.Contains(leaf.targets, target) {
		return nil, ErrUnsigned
	}
	evidence := &Evidence{Signed: b.Signed, Index: int64(index), Targets: leaf.targets, Proof: []string{}, Secrets: places, Former: b.former}
	for _, hash := range proof {
		evidence.Proof = append(evidence.Proof, hash.String())
	}
	return evidence, nil
}

// check returns an error unless the evidence proves that its statement has one of these targets for this device.
func check(e *Evidence, statement Statement, key, target string) error {
	var proof tlog.RecordProof
	for _, text := range e.Proof {
		hash, err := tlog.ParseHash(text)
		if err != nil {
			return errNoProof
		}
		proof = append(proof, hash)
	}
	if len(key) != 43 || slices.ContainsFunc(e.Targets, func(target string) bool { return len(target) != len(Digest("")) }) {
		return errNoProof // without line feeds, which could shift the fields
	}
	if e.Index < 0 || e.Index >= statement.Devices {
		return errNoProof
	}
	hash := tlog.RecordHash(leaf{key, e.Targets}.text())
	if err := tlog.CheckRecord(proof, statement.Devices, statement.Root, e.Index, hash); err != nil {
		return errNoProof
	}
	if !slices.Contains(e.Targets, target) {
		return ErrUnsigned
	}
	return nil
}
