package layers

import (
	"fmt"
	"strings"
)

// MaxWord is the largest length of a name or a value, in characters.
const MaxWord = 63

// CheckWord returns an error unless word can be the name of a label, a layer or a secret, or the value of a label. what
// is the kind of word, for the error.
func CheckWord(what, word string) error { return checkWord(what, word, "._-/") }

func checkWord(what, word, between string) error {
	switch {
	case word == "":
		return fmt.Errorf("%s must not be empty", what)
	case len(word) > MaxWord:
		return fmt.Errorf("%s must not be longer than %d characters", what, MaxWord)
	}
	for i, char := range []byte(word) {
		letter := char >= '0' && char <= '9' || char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z'
		inside := i > 0 && i < len(word)-1 && strings.IndexByte(between, char) >= 0
		if !letter && !inside {
			return fmt.Errorf("%s must be letters and digits of ASCII, and %s between them, not %q", what, between, word)
		}
	}
	return nil
}
