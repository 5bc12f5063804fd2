// Package quote finds out whether a text quotes a secret, also in another spelling: cut, joined, escaped, in quotation
// marks, in the other case, or as a number in another notation. In doubt it says yes. Its main type is Text. Package
// fleet decides what to do with such a text.
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
	// run is the length in bytes of the shortest part of a secret that counts as a quotation. A shorter secret counts
	// only as a whole.
	run = 6
	// word is the number of letters and digits from which these alone identify a secret, or a line of it. A secret with
	// fewer consists mostly of other characters.
	word = 4
	// near is the relative rounding with which a number still counts as quoted.
	near = 1e-3
)

// A Text is a text that may quote secrets.
type Text struct {
	raw            string
	letters, marks runs // computed on demand
	numbers        []float64
}

// Of returns a text for comparisons with secrets. The cost of a comparison depends on the length of the secret, not on
// that of the text.
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

// Quotes reports whether the text may quote a value in JSON shapes, or a value or key in it. It returns false for true,
// false and null.
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

// quotesNumber reports whether the text has a number with any sign and notation, possibly rounded or cut.
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
		forms = append(forms, fold(strconv.FormatFloat(value, 'f', -1, 64), isLetter)) // such as 1,000
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
	value, _ := strconv.ParseFloat(digits, 64) // infinite beyond the range
	return math.Abs(value)
}

// runs has the parts of texts with up to run bytes.
type runs map[uint64]struct{}

func (r runs) add(text string) {
	for i := range len(text) {
		for length := 1; length <= min(run, len(text)-i); length++ {
			r[packed(text[i:i+length])] = struct{}{}
		}
	}
}

// share reports whether a text is a part of another; for a text longer than a run, whether one of its runs is.
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

// fold returns the characters of a text that count, in lower case.
func fold(text string, counts func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if !counts(r) {
			return -1
		}
		return unicode.ToLower(unicode.ToUpper(r))
	}, text)
}
