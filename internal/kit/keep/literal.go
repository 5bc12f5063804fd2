package keep

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

var plainForm = regexp.MustCompile(`^[\pL\pN_./+~=<(\\$^;][\pL\pN _./+~=<>(\\$^;:@%!|)*&"'#-]*$`)

// plainSafe reports whether all parsers of YAML read a text without quotes as this text.
func (d *Document) plainSafe(text string) bool {
	if !plainForm.MatchString(text) || strings.HasSuffix(text, " ") || strings.HasSuffix(text, ":") ||
		strings.Contains(text, ": ") || strings.Contains(text, " #") {
		return false
	}
	_, kind, _, err := (&Document{format: YAML}).scalarOf(text)
	return err == nil && kind == String && !map[string]bool{"y": true, "n": true, "Y": true, "N": true}[text]
}

// inQuotes returns a text in double quotes, for YAML, JSON and TOML alike.
func inQuotes(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		short := strings.IndexRune("\b\f\n\r\t\"\\", r)
		switch {
		case short >= 0:
			out.WriteString(`\` + `bfnrt"\`[short:short+1])
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff:
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// literal returns the text for a value in the style of like, the text of an earlier value: its quotes, its words for true and
// false, its decimal point.
func (d *Document) literal(value any, like string) (string, error) {
	switch v := value.(type) {
	case bool:
		word := "false"
		if v {
			word = "true"
		}
		if d.format == YAML || d.format == INI {
			if b, other, is := boolOf(like); is && b == v {
				word = like
			} else if is {
				word = other
			}
		}
		return word, nil
	case json.Number:
		if _, _, why := numberOf(v.String()); why != "" {
			return "", errors.New(why)
		}
		f, err := v.Float64()
		if err != nil {
			return "", errors.New("the value is no number")
		}
		text := numberText(f)
		if d.format != INI && numberForm.MatchString(like) && intForm.MatchString(text) {
			text += ".0"
		}
		if d.format == YAML && strings.Contains(text, "e") && !strings.Contains(text, ".") {
			text = strings.Replace(text, "e", ".0e", 1) // as YAML 1.1 has it
		}
		return text, nil
	case string:
		return d.textLiteral(v, like)
	case []any:
		var parts []string
		inside, _, _ := strings.Cut(strings.Trim(like, "[]"), ",")
		inside = strings.TrimSpace(inside)
		for _, element := range v {
			text, err := d.literal(element, inside)
			if err != nil {
				return "", err
			}
			parts = append(parts, text)
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	}
	return "", fmt.Errorf("a value of the type %T cannot be in the file", value)
}

// numberText returns the shortest text for a number, as Python writes it.
func numberText(f float64) string {
	switch size := math.Abs(f); {
	case f == math.Trunc(f) && size <= 1<<53:
		return strconv.FormatInt(int64(f), 10)
	case size < 1e-4 || size >= 1e16:
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func (d *Document) textLiteral(text, like string) (string, error) {
	quote := ""
	if like != "" && strings.Contains(`"'`, like[:1]) {
		quote = like[:1]
	}
	control := strings.ContainsFunc(text, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff
	})
	switch {
	case d.format == INI:
		if control || strings.TrimSpace(text) != text || strings.Contains(text, " #") || strings.Contains(text, " ;") ||
			strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") || quote != "" && strings.Contains(text, quote) ||
			quote == "" && text != "" && strings.Contains(`"'`, text[:1]) {
			return "", fmt.Errorf("the value cannot be in an INI file: no line breaks, spaces at the ends, quotes at the beginning, # or ;")
		}
		return quote + text + quote, nil
	case d.format == YAML && quote == "" && DatePattern(like) != "" && len(like) > 8:
		return text, checkDate(text, like)
	case d.format == TOML && DatePattern(like) != "":
		return text, checkDate(text, like)
	case d.format == YAML && quote == "" && d.plainSafe(text):
		return text, nil
	case d.format == YAML && quote == "'" && !control:
		return "'" + strings.ReplaceAll(text, "'", "''") + "'", nil
	case d.format == TOML && quote == "'" && !control && !strings.Contains(text, "'"):
		return "'" + text + "'", nil
	}
	return inQuotes(text), nil
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func (d *Document) keyLiteral(key string) string {
	switch {
	case d.format == INI, d.format == TOML && bareKey.MatchString(key), d.format == YAML && d.plainSafe(key) && !strings.Contains(key, ":"):
		return key
	}
	return inQuotes(key)
}
