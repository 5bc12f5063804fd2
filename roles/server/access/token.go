package access

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The beginnings of tokens: what a person, or a program that looks for secrets in the wrong place, knows them by.
var prefixes = map[Purpose]string{Operate: "aspects-operate-", Enrol: "aspects-enrol-"}

// maxName is how long a token's name may be, in characters.
const maxName = 64

// NewToken makes a token of 130 random bits for a purpose. The text is for its holder; only the digest is to be kept.
func NewToken(purpose Purpose) (text string, digest [sha256.Size]byte) {
	text = prefixes[purpose] + rand.Text()
	return text, TokenDigest(text)
}

// TokenDigest is what is kept of a token: an unsalted hash, which is enough for what nobody can guess.
func TokenDigest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// likeToken sorts out what cannot be a token, before a store is asked.
func likeToken(text string, purpose Purpose) bool {
	rest, ok := strings.CutPrefix(text, prefixes[purpose])
	return ok && len(rest) == 26
}

// CheckName refuses names that a list or a history cannot show.
func CheckName(name string) error {
	switch {
	case name == "" || name != strings.TrimSpace(name):
		return fmt.Errorf("%q cannot name a token: it is empty, or has white space around it", name)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%q cannot name a token: it has characters that cannot be shown", name)
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("%q cannot name a token: it is longer than %d characters", name, maxName)
	case name == Caller{Kind: Loopback}.Author():
		return fmt.Errorf("%q cannot name a token: it stands for who has none", name)
	}
	return nil
}
