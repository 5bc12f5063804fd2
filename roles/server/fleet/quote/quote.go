// Package quote finds out whether a text quotes a secret, also in another spelling: cut, joined, escaped, in quotation marks,
// in the other case, or as a number in another notation. It says yes if it is in doubt.
package quote

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	// run is the length in bytes of the shortest part of a secret that is a quotation. A shorter secret is one as a whole.
	run = 6
	// word is the length from which letters and digits alone tell a secret, or a line of it. With fewer, a secret has mostly
	// other characters.
	word = 4
	// near is the part of its value by which a quoted number may be rounded.
	near = 1e-3
)

// A Text is what may quote secrets.
type Text struct {
	raw            string
	letters, marks runs // made when they are needed
	numbers        []float64
}

// Of returns a text that is compared with secrets. A comparison costs as much as the secret is long, however long the text is.
func Of(text string) *Text {
	t := &Text{raw: text}
	for _, spelled := range spellings(text) {
		for _, digits := range digits.FindAllString(spelled, -1) {
			t.numbers = append(t.numbers, magnitude(digits))
		}
	}
	slices.Sort(t.numbers)
	return t
}

// Quotes reports whether the text may quote a value in JSON shapes, or a value or key in it. No text quotes a truth value or null.
func (t *Text) Quotes(value any) bool {
	switch value := value.(type) {
	case string:
		return number.MatchString(value) && t.quotesNumber(strings.TrimSpace(value)) || t.quotes(value)
	case json.Number:
		return t.quotesNumber(value.String())
	case []any:
		return slices.ContainsFunc(value, t.Quotes)
	case map[string]any:
		for key, entry := range value {
			if t.quotes(key) || t.Quotes(entry) {
				return true
			}
		}
	}
	return false
}

func (t *Text) quotes(secret string) bool {
	for _, spelled := range spellings(secret) {
		letters := fold(spelled, isLetter)
		if len(letters) >= word {
			if t.hasLetters(letters) {
				return true
			}
		} else if t.hasMarks(fold(spelled, isMark)) {
			return true
		}
		for line := range strings.Lines(spelled) {
			if len(line) == len(spelled) {
				break
			}
			if letters := fold(line, isLetter); len(letters) >= word && t.hasLetters(letters) {
				return true
			}
		}
	}
	bare := strings.TrimSpace(secret)
	return bare != "" && len(bare) < run && strings.Contains(t.raw, bare) // also quotation marks and backslashes
}

// quotesNumber reports whether the text has a number, whatever its sign and its notation, maybe rounded or cut.
func (t *Text) quotesNumber(secret string) bool {
	value := magnitude(secret)
	if math.IsInf(value, 0) {
		if last := len(t.numbers) - 1; last >= 0 && math.IsInf(t.numbers[last], 0) {
			return true
		}
	} else {
		from, _ := slices.BinarySearch(t.numbers, value-value*near)
		if from < len(t.numbers) && t.numbers[from] <= value+value*near {
			return true
		}
	}
	forms := []string{fold(secret, isLetter)}
	if value < 1e21 {
		forms = append(forms, fold(strconv.FormatFloat(value, 'f', -1, 64), isLetter)) // as in 1,000
	}
	return slices.ContainsFunc(forms, func(form string) bool { return len(form) >= word && t.hasLetters(form) })
}

func (t *Text) hasLetters(letters string) bool {
	if t.letters == nil {
		t.letters = t.runs(isLetter)
	}
	return t.letters.share(letters)
}

func (t *Text) hasMarks(marks string) bool {
	if t.marks == nil {
		t.marks = t.runs(isMark)
	}
	return t.marks.share(marks)
}

func (t *Text) runs(counts func(rune) bool) runs {
	all := runs{}
	for _, spelled := range spellings(t.raw) {
		all.add(fold(spelled, counts))
	}
	return all
}

var (
	number = regexp.MustCompile(`^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$`)
	digits = regexp.MustCompile(`(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?`)
)

func magnitude(digits string) float64 {
	value, _ := strconv.ParseFloat(digits, 64) // infinite if it is beyond the range
	return math.Abs(value)
}

// runs are the parts of texts that are up to run bytes long.
type runs map[uint64]struct{}

func (r runs) add(text string) {
	for i := range len(text) {
		for length := 1; length <= min(run, len(text)-i); length++ {
			r[packed(text[i:i+length])] = struct{}{}
		}
	}
}

// share reports whether a text is in another, or a run of it if it is longer.
func (r runs) share(text string) bool {
	length := min(run, len(text))
	for i := 0; length > 0 && i+length <= len(text); i++ {
		if _, shared := r[packed(text[i:i+length])]; shared {
			return true
		}
	}
	return false
}

func packed(text string) uint64 {
	key := uint64(len(text))
	for i := range len(text) {
		key = key<<8 | uint64(text[i])
	}
	return key
}

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

func isMark(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsControl(r) && !strings.ContainsRune("\"'`\\", r)
}

// fold returns the characters of a text that count, in one case.
func fold(text string, counts func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if !counts(r) {
			return -1
		}
		return unicode.ToLower(unicode.ToUpper(r))
	}, text)
}
