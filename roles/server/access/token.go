package access

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The prefixes of tokens, by which people and secret scanners recognise them.
var prefixes = map[Purpose]string{Operate: "aspects-operate-", Enrol: "aspects-enrol-"}

// maxName is the largest length of a token's name, in characters.
const maxName = 64

// NewToken makes a token of 130 random bits for a purpose. text is for the holder; store only the digest.
func NewToken(purpose Purpose) (text string, digest [sha256.Size]byte) {
	text = prefixes[purpose] + rand.Text()
	return text, TokenDigest(text)
}

// TokenDigest returns the digest of a token for the store. It needs no salt, because nobody can guess a token.
func TokenDigest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// likeToken reports whether a text has the form of a token. It saves reads of the store.
func likeToken(text string, purpose Purpose) bool {
	rest, ok := strings.CutPrefix(text, prefixes[purpose])
	return ok && len(rest) == 26
}

// CheckName returns an error for a name that a list or the history cannot show.
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
