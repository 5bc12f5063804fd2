package fleetcmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/internal/yamljson"
)

// encoded returns the elements as JSON.
func encoded[T any](list iter.Seq2[T, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for element, err := range list {
			var text []byte
			if err == nil {
				text, err = jsonvalue.Encode(element)
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

func (p *printer) jsonList(list iter.Seq2[[]byte, error]) error {
	before := "[\n  "
	for element, err := range list {
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := json.Indent(&text, element, "  ", "  "); err != nil {
			return err
		}
		if _, err := p.w.WriteString(before + p.shown(text.String(), plain.JSON)); err != nil {
			return err
		}
		before = ",\n  "
	}
	end := "\n]\n"
	if before == "[\n  " {
		end = "[]\n"
	}
	_, err := p.w.WriteString(end)
	return err
}

func (p *printer) yamlList(list iter.Seq2[[]byte, error]) error {
	empty := true
	for element, err := range list {
		if err != nil {
			return err
		}
		text, err := yamljson.Encode(bytes.Join([][]byte{[]byte("["), element, []byte("]")}, nil))
		if err != nil {
			return err
		}
		if _, err := p.w.WriteString(p.shown(string(text), plain.Text)); err != nil {
			return err
		}
		empty = false
	}
	if empty {
		_, err := p.w.WriteString("[]\n")
		return err
	}
	return nil
}

// printWith prints an object with a long list. As JSON or YAML it prints the list's elements as they arrive. The list
// in value is empty.
func printWith[T any](p *printer, value any, name, member string, list iter.Seq2[T, error]) error {
	var whole bytes.Buffer
	into := *p
	into.w = bufio.NewWriter(&whole)
	if err := into.printOne(value, name, nil); err != nil || p.form == "name" {
		_, failed := whole.WriteTo(p.w)
		return errors.Join(err, failed, p.w.Flush())
	}
	at := "\n  \"" + member + "\": []"
	if p.form == "yaml" {
		at = "\n" + member + ": []"
	}
	before, after, _ := strings.Cut(whole.String(), at) // no line within a value begins with at
	if _, err := p.w.WriteString(before + strings.TrimSuffix(at, "[]")); err != nil {
		return err
	}
	written := false
	for element, err := range list {
		var text []byte
		if err == nil {
			text, err = p.element(element, written)
		}
		if err == nil {
			written = true
			_, err = p.w.Write(text)
		}
		if err != nil {
			return err
		}
	}
	end := "[]"
	if written {
		end = map[string]string{"json": "\n  ]"}[p.form]
	}
	if p.form == "yaml" && written {
		after = strings.TrimPrefix(after, "\n")
	}
	if _, err := p.w.WriteString(end + after); err != nil {
		return err
	}
	return p.w.Flush()
}

// element returns the text of a list element for printWith.
func (p *printer) element(element any, later bool) ([]byte, error) {
	text, err := jsonvalue.Encode(element)
	if err != nil {
		return nil, err
	}
	if p.form == "yaml" {
		if text, err = yamljson.Encode(bytes.Join([][]byte{[]byte("["), text, []byte("]")}, nil)); err != nil {
			return nil, err
		}
		shown := p.shown(string(text), plain.Text)
		if !later {
			shown = "\n" + shown
		}
		return []byte(shown), nil
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "    ", "  "); err != nil {
		return nil, err
	}
	before := "[\n    "
	if later {
		before = ",\n    "
	}
	return []byte(before + p.shown(indented.String(), plain.JSON)), nil
}
