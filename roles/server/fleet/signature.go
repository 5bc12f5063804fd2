package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"aspects-poc/roles/serverapi/signed"
)

// ErrNotSigned means that no statement of an operator is stored.
var ErrNotSigned = errors.New("nothing is signed in this fleet")

// ErrBadSignature is the kind of the errors for an invalid statement.
var ErrBadSignature = errors.New("the statement cannot be taken")

// A Signature is a statement of an operator on the targets of all devices.
type Signature struct {
	Number    int64
	Statement string // the signed text
	Signature string // the text's signature by ssh-keygen -Y sign
	Manifest  string // the manifest of the statement; "" for earlier statements
	Salts     Config // the salts of the manifest's digests of secrets; none for earlier statements
	Revision  int64  // of the change that stored it
	Authorship
}

// A SignatureChange adds a statement, or removes all statements.
type SignatureChange struct {
	Signature // its Revision is ignored
	Signer    string
	Before    int64 // number of the last statement; 0 for none
	Remove    bool
}

// SignatureName is the name of statements in the history.
const SignatureName LayerName = "signature"

// Apply returns the signature after the change with a revision, and the entry of the history. last is the number of the
// last statement; 0 for none. Apply returns ErrStale if last differs from the change's Before.
func (c SignatureChange) Apply(last, revision int64) (Signature, Entry, error) {
	if last != c.Before || c.Remove && last == 0 {
		return Signature{}, Entry{}, ErrStale
	}
	after := c.Signature
	after.Revision, after.At = revision, toSecond(after.At)
	entry := Entry{Revision: revision, Authorship: after.Authorship, Layer: SignatureName, Action: Set}
	if c.Remove {
		entry.Action = Removed
		return after, entry, nil
	}
	text, err := json.Marshal(map[string]any{"number": c.Number, "signed-by": c.Signer})
	if err != nil {
		return Signature{}, Entry{}, err
	}
	shown, err := ParseConfig(text)
	entry.After = &shown
	return after, entry, err
}

// Book returns the last statement with its manifest, or ErrNotSigned.
func (f *Fleet) Book() (*signed.Book, Signature, error) {
	targets := f.targets.Load()
	if targets.book == nil {
		return nil, Signature{}, ErrNotSigned
	}
	return targets.book, targets.signature, nil
}

// Sign stores a statement. It must follow the last one, and one of the keys that the last one allows must have signed
// it. The first statement has its own keys, and thus decides whose signatures count. rule is the error for a caller who
// may not decide that, and nil for one who may. Errors: ErrBadSignature, ErrStale, and rule for a statement that
// changes the keys.
func (f *Fleet) Sign(ctx context.Context, statement signed.Signed, manifest string, salts map[string]string, by string,
	rule error,
) (*signed.Book, Signature, error) {
	if err := f.targets.refresh(ctx); err != nil {
		return nil, Signature{}, err
	}
	before := f.targets.Load().book
	book, err := signed.Open(statement, manifest, salts, before)
	if err != nil {
		return nil, Signature{}, fmt.Errorf("%w: %w", ErrBadSignature, err)
	}
	if rule != nil && (before == nil || !before.Statement.Keys.Equal(book.Statement.Keys)) {
		return nil, Signature{}, rule
	}
	kept, err := saltsOf(book.Salts())
	if err != nil {
		return nil, Signature{}, err
	}
	change := SignatureChange{Signer: book.Signer.Name, Signature: Signature{Number: book.Statement.Number, Statement: statement.Statement,
		Signature: statement.Signature, Manifest: manifest, Salts: kept, Authorship: Authorship{By: by, At: f.options.Now()}}}
	if before != nil {
		change.Before = before.Statement.Number
	}
	stored, err := f.store.Sign(ctx, change)
	if err != nil {
		return nil, Signature{}, err
	}
	f.catchUp(ctx, stored.Revision)
	return book, stored, nil
}

// SaltsName is used in the place of a secret's name when the salts of a statement are sealed. They are as secret as the
// values.
const SaltsName = "salts of the statement"

// saltsOf returns salts in the form of a stored secret.
func saltsOf(salts map[string]string) (Config, error) {
	if len(salts) == 0 {
		return Config{}, nil
	}
	tree := map[string]any{}
	for name, salt := range salts {
		tree[name] = salt
	}
	return configOf(map[string]any{valueMember: tree})
}

// salts returns the salts of a signature, the inverse of saltsOf.
func (s Signature) salts() (map[string]string, error) {
	tree, err := s.Salts.Tree()
	if err != nil {
		return nil, err
	}
	salts := map[string]string{}
	list, _ := tree[valueMember].(map[string]any)
	for name, salt := range list {
		salts[name], _ = salt.(string)
	}
	return salts, nil
}

// Unsign removes all statements: the server then offers all targets. Devices with operators' keys refuse those. It
// returns ErrNotSigned if there is no statement.
func (f *Fleet) Unsign(ctx context.Context, by string) error {
	book := f.targets.Load().book
	if book == nil {
		return ErrNotSigned
	}
	stored, err := f.store.Sign(ctx, SignatureChange{Before: book.Statement.Number, Remove: true,
		Signature: Signature{Authorship: Authorship{By: by, At: f.options.Now()}}})
	if err != nil {
		return err
	}
	f.catchUp(ctx, stored.Revision)
	return nil
}

// A Signing says whether an operator has signed a device's target.
type Signing struct {
	Needed bool // the fleet has statements
	// Evidence is the proof for the device; nil if its target is not signed. The server then does not offer the target.
	Evidence *signed.Evidence
	Number   int64
	Signer   string
	At       int64 // seconds since 1970, by the operator's clock
}

// sign adds to a device's target the evidence of an operator's statement.
func (s *snapshot) sign(device Device, target *Target) error {
	if s.book == nil {
		return nil
	}
	target.Signing = Signing{Needed: true, Number: s.book.Statement.Number, Signer: s.book.Signer.Name, At: s.book.Statement.At}
	digest, places, err := target.composition.signed(s.book)
	if err != nil {
		return nil //nolint:nilerr // it has a secret without a name, or one that is newer than the statement
	}
	evidence, err := s.book.Evidence(device.KeyID, digest, places)
	switch {
	case errors.Is(err, signed.ErrNoLeaf), errors.Is(err, signed.ErrUnsigned):
		return nil
	case err != nil:
		return err
	}
	target.Signing.Evidence = evidence
	return nil
}

// signed returns the digest of a composition that an operator signs.
func (c *composition) signed(book *signed.Book) (digest string, places []signed.Place, err error) {
	c.signing.Lock()
	defer c.signing.Unlock()
	if c.signedFor == book {
		return c.digest, c.places, c.unsigned
	}
	c.signedFor = book
	c.digest, c.places, c.unsigned = c.sign(book)
	return c.digest, c.places, c.unsigned
}

func (c *composition) sign(book *signed.Book) (string, []signed.Place, error) {
	merged, err := c.merged.Tree()
	if len(c.layers) == 0 {
		merged, err = map[string]any{}, nil
	}
	if err != nil {
		return "", nil, err
	}
	places, err := book.Places(merged)
	if err != nil {
		return "", nil, err
	}
	tree, err := c.config.Tree()
	if err != nil {
		return "", nil, err
	}
	digest, err := signed.TargetHash(tree, places)
	return digest, places, err
}
