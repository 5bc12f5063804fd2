package lsp

import (
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/edit"
)

// An encoding is the unit in which a client counts the characters of a line.
type encoding string

// The encodings. A client that names none uses UTF-16.
const (
	inUTF8  encoding = "utf-8"
	inUTF16 encoding = "utf-16"
)

// choose returns the best of the encodings that a client offers.
func choose(offered []string) encoding {
	for _, name := range offered {
		if name == string(inUTF8) {
			return inUTF8
		}
	}
	return inUTF16
}

// from converts a client's position to a document.Position. A position behind the end of its line becomes that end.
func (e encoding) from(text *edit.Text, at position) document.Position {
	line := text.Line(at.Line + 1)
	column, units := 1, 0
	for _, r := range line {
		if units >= at.Character {
			break
		}
		units += e.units(r)
		column++
	}
	return document.Position{Line: at.Line + 1, Column: column}
}

// to converts a document.Position to a client's position.
func (e encoding) to(text *edit.Text, at document.Position) position {
	units, column := 0, 1
	for _, r := range text.Line(at.Line) {
		if column >= at.Column {
			break
		}
		units += e.units(r)
		column++
	}
	return position{Line: max(0, at.Line-1), Character: units}
}

func (e encoding) units(r rune) int {
	if e == inUTF8 {
		return utf8.RuneLen(r)
	}
	return max(1, utf16.RuneLen(r))
}

func (e encoding) span(text *edit.Text, start, end document.Position) span {
	return span{e.to(text, start), e.to(text, end)}
}

// fileOf returns the path in the URI of a file; ok is false for any other URI.
func fileOf(uri string) (string, bool) {
	parsed, err := url.Parse(uri)
	if err != nil || parsed.Scheme != "file" || parsed.Path == "" || parsed.Host != "" && parsed.Host != "localhost" {
		return "", false
	}
	return filepath.Clean(filepath.FromSlash(parsed.Path)), true
}

// uriOf returns the URI of a file, with the escapes that editors use.
func uriOf(file string) string {
	var out strings.Builder
	out.WriteString("file://")
	for _, b := range []byte(filepath.ToSlash(file)) {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("/-_.~", b) >= 0 {
			out.WriteByte(b)
			continue
		}
		const digits = "0123456789ABCDEF"
		out.Write([]byte{'%', digits[b>>4], digits[b&15]})
	}
	return out.String()
}
