package keep

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	intForm    = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+][0-9]+)?$`)
	tomlNumber = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	// oddNumber matches numbers in unusual forms, and texts that parsers of YAML 1.1 and 1.2 read in different ways.
	oddNumber = regexp.MustCompile(`^[-+]?(0[xXoObB]?[0-9a-fA-F_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9_]+([eE][-+]?[0-9]+)?|` +
		`[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|\.(inf|Inf|INF))$|^\.(nan|NaN|NAN)$|^[-+]?(inf|nan)$|^(=|<<)$`)
	pairs = [][2]string{{"true", "false"}, {"True", "False"}, {"TRUE", "FALSE"}, {"yes", "no"}, {"Yes", "No"}, {"YES", "NO"},
		{"on", "off"}, {"On", "Off"}, {"ON", "OFF"}}
	nulls = map[string]bool{"": true, "~": true, "null": true, "Null": true, "NULL": true}
)

// dateForms has the forms of dates and times: a pattern for confdb-schemas, and the layouts of package time.
var dateForms = []struct {
	pattern *regexp.Regexp
	layout  string
}{
	{regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`), "2006-01-02"},
	{regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`), "2006-01-02T15:04:05Z"},
	{regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$`), "2006-01-02T15:04:05"},
	{regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$`), "2006-01-02 15:04:05"},
	{regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[-+][0-9]{2}:[0-9]{2}$`), "2006-01-02T15:04:05-07:00"},
	{regexp.MustCompile(`^[0-9]{2}:[0-9]{2}:[0-9]{2}$`), "15:04:05"},
}

// DatePattern returns the pattern of dates in the form of an example, or "" if the example is no date.
func DatePattern(example string) string {
	for _, form := range dateForms {
		if form.pattern.MatchString(example) {
			return form.pattern.String()
		}
	}
	return ""
}

// checkDate returns an error if a text is no date in the form of an example.
func checkDate(text, example string) error {
	for _, form := range dateForms {
		if !form.pattern.MatchString(example) {
			continue
		}
		if _, err := time.Parse(form.layout, text); err != nil || !form.pattern.MatchString(text) {
			return fmt.Errorf("the value is no date or time in the form of %s", example)
		}
		return nil
	}
	return errors.New("the file has no date to compare the value with")
}

// boolOf returns the value of a word such as yes, and the word for the other value.
func boolOf(word string) (value bool, other string, is bool) {
	for _, pair := range pairs {
		if word == pair[0] {
			return true, pair[1], true
		}
		if word == pair[1] {
			return false, pair[0], true
		}
	}
	return false, "", false
}

// numberOf returns an integer or a number, its kind, and the reason if the kind is Other: a 64-bit float cannot hold the integer.
func numberOf(text string) (any, Kind, string) {
	text = strings.TrimPrefix(text, "+")
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return nil, Other, "the number is too large"
	}
	if !intForm.MatchString(text) {
		return json.Number(text), Number, ""
	}
	if n, err := strconv.ParseInt(text, 10, 64); err != nil || n > 1<<53 || n < -(1<<53) {
		return nil, Other, "the number is too large to be held exactly"
	}
	if text == "-0" {
		text = "0"
	}
	return json.Number(text), Int, ""
}

// scalarOf returns the value of a text without quotes. It returns an error if the format has no such values.
func (d *Document) scalarOf(word string) (value any, kind Kind, why string, err error) {
	switch d.format {
	case JSON:
		switch {
		case word == "null":
			return nil, Null, "", nil
		case word == "true" || word == "false":
			return word == "true", Bool, "", nil
		case jsonNumber.MatchString(word):
			value, kind, why = numberOf(word)
			return value, kind, why, nil
		}
		return nil, "", "", errors.New("the text is no value of JSON: texts need quotes")
	case TOML:
		digits := strings.ReplaceAll(word, "_", "")
		switch {
		case word == "true" || word == "false":
			return word == "true", Bool, "", nil
		case DatePattern(word) != "":
			return word, Date, "", nil
		case tomlNumber.MatchString(digits):
			value, kind, why = numberOf(digits)
			return value, kind, why, nil
		case oddNumber.MatchString(word) || len(word) > 8 && word[0] >= '0' && word[0] <= '9':
			return nil, Other, "a number or time in a form that has no equal in confdb", nil
		}
		return nil, "", "", errors.New("the text is no value of TOML: texts need quotes")
	}
	if b, _, is := boolOf(word); is {
		return b, Bool, "", nil
	}
	if d.format == INI {
		if intForm.MatchString(word) && word != "-0" {
			value, kind, why = numberOf(word)
			return value, kind, why, nil
		}
		if f, err := strconv.ParseFloat(word, 64); err == nil && numberForm.MatchString(word) && (numberText(f) == word || numberText(f)+".0" == word) {
			return json.Number(word), Number, "", nil
		}
		return word, String, "", nil
	}
	switch {
	case nulls[word]:
		return nil, Null, "", nil
	case intForm.MatchString(word) || numberForm.MatchString(word):
		value, kind, why = numberOf(word)
		return value, kind, why, nil
	case DatePattern(word) != "" && len(word) > 8:
		return word, Date, "", nil
	case oddNumber.MatchString(word) || oddDate.MatchString(word):
		return nil, Other, "programs read the value in different ways: put it in quotes, or write it plainly", nil
	}
	return word, String, "", nil
}

var oddDate = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?$`)

// quoted returns the value of the text in quotes at an offset, and the offset of its end. closed is false if it does not end on its
// line.
func (d *Document) quoted(at int) (value string, end int, closed bool, err error) {
	quote := d.text[at]
	for i := at + 1; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case c == '\n':
			return "", 0, false, nil
		case c == '\\' && quote == '"':
			i++
		case c == quote && quote == '\'' && d.format == YAML && i+1 < len(d.text) && d.text[i+1] == '\'':
			i++
		case c == quote:
			inside := d.text[at+1 : i]
			if quote == '\'' {
				if d.format == YAML {
					inside = strings.ReplaceAll(inside, "''", "'")
				}
				return inside, i + 1, true, nil
			}
			value, err := d.unescape(inside)
			if err != nil {
				return "", 0, true, d.errorAt(at, "%v", err)
			}
			return value, i + 1, true, nil
		}
	}
	return "", 0, false, nil
}

// escapes are the escapes of YAML and TOML that JSON does not have.
var escapes = map[byte]string{'0': "\x00", 'a': "\a", 'e': "\x1b", 'v': "\v", ' ': " ", 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029"}

func (d *Document) unescape(inside string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(inside); i++ {
		if inside[i] != '\\' {
			out.WriteByte(inside[i])
			continue
		}
		i++
		c := inside[i]
		if width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; width > 0 && (c == 'u' || d.format != JSON) {
			if i+width >= len(inside) {
				return "", fmt.Errorf("the escape \\%c is cut short", c)
			}
			code, err := strconv.ParseUint(inside[i+1:i+1+width], 16, 32)
			i += width
			if err == nil && code >= 0xd800 && code < 0xdc00 && i+6 < len(inside)+0 && inside[i+1] == '\\' && inside[i+2] == 'u' {
				low, lowErr := strconv.ParseUint(inside[i+3:i+7], 16, 32)
				code, err = 0x10000+(code-0xd800)<<10+(low-0xdc00), lowErr
				i += 6
			}
			if err != nil || code > 0x10ffff || code >= 0xd800 && code < 0xe000 {
				return "", fmt.Errorf("\\%c is not followed by a character's number", c)
			}
			out.WriteRune(rune(code))
			continue
		}
		plain := strings.IndexByte(`bfnrt"\/`, c)
		switch other, is := escapes[c]; {
		case plain >= 0:
			out.WriteByte("\b\f\n\r\t\"\\/"[plain])
		case is && d.format == YAML || c == 'e' && d.format == TOML:
			out.WriteString(other)
		default:
			return "", fmt.Errorf("\\%c is no escape", c)
		}
	}
	return out.String(), nil
}
