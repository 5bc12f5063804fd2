package signed

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// Namespace is the namespace of the signatures (ssh-keygen -n).
const Namespace = "aspects-poc-fleet"

// The limits of keys.
const (
	mostKeys      = 100
	longestKey    = 4096 // characters of a line
	leastRSABits  = 2048
	mostRSABits   = 8192
	longestSigner = 200
)

// A Key is a public key of an operator who may sign.
type Key struct {
	Name string `json:"name" example:"anna@example.com"`   // who has it
	Key  string `json:"key" example:"ssh-ed25519 AAAAC3…"` // as in an authorized_keys file, without options and comment
}

// Keys are the keys that may sign.
type Keys []Key

// ParseKeys parses a file of allowed signers (ssh-keygen(1), "ALLOWED SIGNERS"): each line has a name and a public key.
// It skips lines whose option namespaces does not have Namespace. It returns an error for any other option, because it
// would limit the key in a way that this package does not support.
func ParseKeys(text []byte) (Keys, error) {
	var keys Keys
	for number, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, counts, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
		if counts {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("it has no key: want lines such as anna@example.com ssh-ed25519 AAAA…, or with namespaces=%q", Namespace)
	}
	return keys, keys.Check()
}

func parseLine(line string) (key Key, counts bool, err error) {
	name, rest, _ := strings.Cut(line, " ")
	if strings.HasPrefix(name, `"`) {
		return Key{}, false, errors.New("a name in quotation marks is not known here")
	}
	public, _, options, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(rest)))
	if err != nil {
		return Key{}, false, errors.New("want a name and a public key, such as anna@example.com ssh-ed25519 AAAA…")
	}
	counts = true
	for _, option := range options {
		value, is := strings.CutPrefix(option, "namespaces=")
		if !is {
			return Key{}, false, fmt.Errorf("the option %q is not known here", option)
		}
		counts = false
		for namespace := range strings.SplitSeq(strings.Trim(value, `"`), ",") {
			counts = counts || namespace == Namespace
		}
	}
	return Key{Name: name, Key: authorized(public)}, counts, nil
}

// authorized returns a key in the form of Key.
func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// errStranger means that another key has signed.
var errStranger = errors.New("its signer is not allowed")

// Check returns an error for an empty list, for a weak key, and for a key whose kind cannot sign here.
func (k Keys) Check() error {
	if len(k) == 0 || len(k) > mostKeys {
		return fmt.Errorf("there must be 1 to %d keys, not %d", mostKeys, len(k))
	}
	seen := map[string]bool{}
	for _, key := range k {
		public, err := key.public()
		if err != nil {
			return fmt.Errorf("the key of %q: %w", key.Name, err)
		}
		switch {
		case key.Name == "" || len(key.Name) > longestSigner || strings.ContainsFunc(key.Name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return fmt.Errorf("the name of a key must be a word, not %q", key.Name)
		case key.Key != authorized(public):
			return fmt.Errorf("the key of %q must be without options and comment", key.Name)
		case seen[key.Key]:
			return fmt.Errorf("the key of %q stands twice", key.Name)
		}
		seen[key.Key] = true
	}
	return nil
}

func (k Key) public() (ssh.PublicKey, error) {
	if len(k.Key) > longestKey {
		return nil, errors.New("it is too long")
	}
	public, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(k.Key))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return nil, errors.New("it is no public key")
	}
	switch public.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKECDSA256:
		return public, nil
	case ssh.KeyAlgoRSA:
		if bits := rsaBits(public); bits < leastRSABits || bits > mostRSABits {
			return nil, fmt.Errorf("an RSA key must have %d to %d bits, not %d", leastRSABits, mostRSABits, bits)
		}
		return public, nil
	}
	return nil, fmt.Errorf("keys of type %s cannot sign here", public.Type())
}

// rsaBits returns the length of an RSA key's modulus.
func rsaBits(key ssh.PublicKey) int {
	var wire struct {
		Name string
		E    []byte
		N    []byte
	}
	if err := ssh.Unmarshal(key.Marshal(), &wire); err != nil {
		return 0
	}
	return 8 * len(bytes.TrimLeft(wire.N, "\x00"))
}

// Equal reports whether both lists have the same keys with the same names in the same order.
func (k Keys) Equal(other Keys) bool {
	if len(k) != len(other) {
		return false
	}
	for i := range k {
		if k[i] != other[i] {
			return false
		}
	}
	return true
}

// Fingerprint returns the key as ssh-keygen -l shows it, such as SHA256:….
func (k Key) Fingerprint() string {
	public, err := k.public()
	if err != nil {
		return "(no key)"
	}
	return ssh.FingerprintSHA256(public)
}

// Verify returns the key that has made the signature (a PEM of type SSH SIGNATURE) of a text. It returns an error if
// none of the keys has made it.
func (k Keys) Verify(text, signature string) (Key, error) {
	const longest = 16 << 10
	if signature == "" {
		return Key{}, errors.New("it has no signature")
	}
	if len(signature) > longest {
		return Key{}, errors.New("its signature is too long")
	}
	made, err := sshsig.Unarmor([]byte(signature))
	if err != nil {
		return Key{}, fmt.Errorf("its signature is none of ssh-keygen -Y sign: %w", err)
	}
	if made.Signature.Format == ssh.KeyAlgoRSA { // SHA-1
		return Key{}, errors.New("its signature uses SHA-1")
	}
	by := authorized(made.PublicKey)
	for _, key := range k {
		if key.Key != by {
			continue
		}
		public, err := key.public()
		if err != nil {
			return Key{}, fmt.Errorf("the key of %q: %w", key.Name, err)
		}
		err = sshsig.Verify(strings.NewReader(text), made, public, made.HashAlgorithm, Namespace)
		if errors.Is(err, sshsig.ErrNamespaceMismatch) {
			return Key{}, fmt.Errorf("its signature is for %q, not for %q", made.Namespace, Namespace)
		}
		if err != nil {
			return Key{}, errors.New("its signature is not right: somebody has changed it, or what it signs")
		}
		return key, nil
	}
	return Key{}, fmt.Errorf("%w: the key %s", errStranger, ssh.FingerprintSHA256(made.PublicKey))
}
