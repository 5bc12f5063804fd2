package document

import "strings"

// CommonKeys returns the keys that a definition of any type may have, each with what it is for.
func CommonKeys() [][2]string {
	return [][2]string{{"type", "the type"}, {"ephemeral", "true: it is not stored; hooks load and save it"},
		{"visibility", "secret: ordinary users do not see it"}}
}

// TypeKeys returns the other keys that snapd reads of a definition of a type, each with what it is for; nil for a type
// that has none.
func TypeKeys(kind string) [][2]string {
	switch kind {
	case "map":
		return [][2]string{{"schema", "its entries"}, {"required", "entries that have to be there"}, {"keys", "type of its keys"},
			{"values", "type of its values"}}
	case "array":
		return [][2]string{{"values", "type of its elements"}, {"unique", "true: no element twice"}}
	case "string":
		return [][2]string{{"pattern", "regular expression"}, {"choices", "the only texts"}}
	case "int", "number":
		return [][2]string{{"min", "smallest number"}, {"max", "largest number"}, {"choices", "the only numbers"}}
	}
	return nil
}

// SecretName reports whether a key is named like a secret.
func SecretName(name string) bool {
	for _, word := range []string{"password", "passwd", "passphrase", "psk", "secret", "secret-key", "private-key", "api-key", "token",
		"credential", "credentials", "access-key", "auth-key", "pin", "apikey", "pwd", "bearer"} {
		if name == word || strings.HasSuffix(name, "-"+word) {
			return true
		}
	}
	return false
}
