package calls

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// This file imitates how programs put quotes around a value in a command line, and how they split a command line.

var (
	quoting      = regexp.MustCompile(`^(?:(?:\w+\.)?(?:quote|dumps)|repr|ascii)\(([^()]*)\)$`) // in an f-string
	unsafe       = regexp.MustCompile(`[^\w@%+=:,./-]`)                                         // what shlex.quote puts in quotes
	verbs        = regexp.MustCompile(`%(\([^)]*\))?[-+# 0-9.*]*([a-zA-Z%])`)
	replacements = regexp.MustCompile(`\{([^{}!:]*)(![rsa])?(:[^{}]*)?\}`)
)

// quoted returns a text as one argument of a command line.
func quoted(text string) string {
	if text != "" && text != unknown && !unsafe.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'"'"'`) + "'"
}

// textOf returns the text of a value, or unknown if it is not one text.
func textOf(v value) string {
	if v.list || len(v.words) != 1 || v.words[0].many {
		return unknown
	}
	return v.words[0].text
}

// percent evaluates TEXT % (VALUES) and Sprintf(TEXT, VALUES).
func percent(text string, values []value) string {
	next := 0
	return verbs.ReplaceAllStringFunc(text, func(match string) string {
		parts := verbs.FindStringSubmatch(match)
		if parts[2] == "%" {
			return "%"
		}
		filled := unknown
		if parts[1] == "" && !strings.Contains(match, "*") && next < len(values) {
			filled = textOf(values[next])
		}
		next++
		if parts[2] == "r" || parts[2] == "q" {
			return quoted(filled)
		}
		return filled
	})
}

// formatWith evaluates TEXT.format(VALUES).
func formatWith(text string, args arguments) string {
	next := 0
	return replacements.ReplaceAllStringFunc(text, func(match string) string {
		parts := replacements.FindStringSubmatch(match)
		filled := unknown
		if v, ok := args.named[parts[1]]; ok {
			filled = textOf(v)
		} else {
			i, err := strconv.Atoi(parts[1])
			if parts[1] == "" {
				i, err = next, nil
				next++
			}
			if err == nil && i < len(args.positional) && !slices.ContainsFunc(args.positional[:i+1], func(v value) bool { return v.list }) {
				filled = textOf(args.positional[i])
			}
		}
		if parts[2] == "!r" || parts[2] == "!a" {
			return quoted(filled)
		}
		return filled
	})
}

// fields splits a text at its spaces. With quotes, it obeys quotes as shlex.split does.
func fields(v value, quotes bool) value {
	if v.list || len(v.words) != 1 {
		return value{words: []word{{text: unknown, many: true, splits: true}}, list: true}
	}
	out := value{list: true}
	var field strings.Builder
	in, begun, splits := byte(0), false, false
	end := func() {
		if begun {
			w := v.words[0]
			w.text, w.splits = field.String(), splits
			out.words = append(out.words, w)
		}
		field.Reset()
		begun, splits = false, false
	}
	text := v.words[0].text
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quotes && c == in:
			in = 0
		case quotes && in == 0 && (c == '\'' || c == '"'):
			in, begun = c, true
		case quotes && in != '\'' && c == '\\' && i+1 < len(text):
			i++
			field.WriteByte(text[i])
			begun = true
		case in == 0 && strings.IndexByte(" \t\n", c) >= 0:
			end()
		default:
			field.WriteByte(c)
			begun, splits = true, splits || in == 0 && string(c) == unknown
		}
	}
	end()
	return out
}
