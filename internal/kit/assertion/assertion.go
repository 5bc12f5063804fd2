// Package assertion reads snapd's assertions and verifies their signatures. Its main types are Assertion and Keys.
//
//	list, err := assertion.DecodeAll(text)
//	key, err := assertion.ReadKey(file)
//	err = assertion.NewKeys(key).Check(list[0])
//
// An assertion is text: headers, perhaps a body, and a signature over both. Package confdb parses the headers and the body of a
// confdb-schema. The form of the text is that of the snap command of snapd 2.77.1; testdata has samples.
package assertion

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	schemadoc "aspects-poc/internal/document"
)

// An Assertion is one document. It is immutable.
type Assertion struct {
	headers map[string]any
	content []byte // the signed text: headers, and the body if there is one
	body    []byte
	sign    []byte // the signature as text, without its last newline
}

// Limits of an assertion in bytes. A larger one is an error.
const (
	maxHeaders = 128 << 10
	maxBody    = 2 << 20
	maxSign    = 128 << 10
)

// keys has the headers that identify an assertion, by type, in the order in which snapd prints them. It has all types of snapd 2.77.
var keys = map[string][]string{
	"account":                {"account-id"},
	"account-key":            {"public-key-sha3-384"},
	"account-key-request":    {"public-key-sha3-384"},
	"base-declaration":       {"series"},
	"cluster":                {"cluster-id", "sequence"},
	"confdb-control":         {"brand-id", "model", "serial"},
	"confdb-schema":          {"account-id", "name"},
	"device-session-request": {"brand-id", "model", "serial"},
	"hardware-identity":      {"issuer-id", "hardware-id-key-sha3-384"},
	"model":                  {"series", "brand-id", "model"},
	"preseed":                {"series", "brand-id", "model", "system-label"},
	"repair":                 {"brand-id", "repair-id"},
	"request-message":        {"account-id", "message-id"},
	"response-message":       {"account-id", "message-id", "device"},
	"serial":                 {"brand-id", "model", "serial"},
	"serial-request":         {},
	"snap-build":             {"snap-sha3-384"},
	"snap-declaration":       {"series", "snap-id"},
	"snap-developer":         {"snap-id", "publisher-id"},
	"snap-resource-pair":     {"snap-id", "resource-name", "resource-revision", "snap-revision", "provenance"},
	"snap-resource-revision": {"snap-id", "resource-name", "resource-sha3-384", "provenance"},
	"snap-revision":          {"snap-sha3-384", "provenance"},
	"store":                  {"store"},
	"system-user":            {"brand-id", "email"},
	"validation":             {"series", "snap-id", "approved-snap-id", "approved-snap-revision"},
	"validation-set":         {"series", "account-id", "name", "sequence"},
}

// Types returns the types of assertions that Decode accepts, sorted.
func Types() []string { return slices.Sorted(maps.Keys(keys)) }

// Known reports whether Decode accepts the type.
func Known(kind string) bool {
	_, known := keys[kind]
	return known
}

// Decode reads one assertion. It does not verify the signature. It returns an error, mostly in snapd's words, for any other text.
func Decode(text []byte) (*Assertion, error) {
	a, rest, err := decode(text)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("there is more text behind the assertion")
	}
	return a, nil
}

// DecodeAll reads a stream of assertions with empty lines between them, as `snap known` prints it. The errors are those of Decode.
func DecodeAll(text []byte) ([]*Assertion, error) {
	var list []*Assertion
	for text = bytes.TrimLeft(text, "\n"); len(text) > 0; text = bytes.TrimLeft(text, "\n") {
		a, rest, err := decode(text)
		if errors.Is(err, errShort) {
			err = io.ErrUnexpectedEOF // snapd's error for a stream
		}
		if err != nil {
			if len(list) > 0 {
				return nil, fmt.Errorf("assertion %d: %w", len(list)+1, err)
			}
			return nil, err
		}
		list, text = append(list, a), rest
	}
	return list, nil
}

var errShort = errors.New("assertion content/signature separator not found")

// decode reads the first assertion of a text and returns the text behind it.
func decode(text []byte) (*Assertion, []byte, error) {
	head, rest, found := bytes.Cut(text, []byte("\n\n"))
	if !found {
		return nil, nil, errShort
	}
	if len(head) > maxHeaders {
		return nil, nil, fmt.Errorf("assertion headers are longer than %d bytes", maxHeaders)
	}
	headers, err := schemadoc.ParseHeaders(head)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing assertion headers: %w", err)
	}
	a := &Assertion{headers: headers, content: head}
	length, err := a.number("body-length")
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("assertion: %w", err)
	case length > maxBody:
		return nil, nil, fmt.Errorf("assertion body length %d exceeds maximum body size", length)
	case length > 0:
		if len(rest) < length+2 || string(rest[length:length+2]) != "\n\n" {
			return nil, nil, errors.New("assertion body length and declared body-length don't match")
		}
		a.body = rest[:length]
		a.content = text[:len(head)+2+length]
		rest = rest[length+2:]
	}
	if !utf8.Valid(a.body) {
		return nil, nil, errors.New("assertion body is not utf8")
	}
	sign, rest, _ := bytes.Cut(rest, []byte("\n\n"))
	if a.sign = bytes.TrimSuffix(sign, []byte("\n")); len(a.sign) == 0 {
		return nil, nil, errors.New("empty assertion signature")
	}
	if len(a.sign) > maxSign {
		return nil, nil, fmt.Errorf("assertion signature is longer than %d bytes", maxSign)
	}
	return a, rest, a.check()
}

// check returns an error if a header is missing that every assertion, or each of this type, has.
func (a *Assertion) check() error {
	for _, name := range []string{"type", "authority-id", "sign-key-sha3-384"} {
		if name == "authority-id" && a.Type() == "account-key-request" {
			continue // its signer has no name yet
		}
		if err := a.needs(name); err != nil {
			return fmt.Errorf("assertion: %w", err)
		}
	}
	if !Known(a.Type()) {
		return fmt.Errorf("unknown assertion type: %q", a.Type())
	}
	for _, name := range keys[a.Type()] {
		if name == "provenance" {
			continue // may be left out
		}
		if err := a.needs(name); err != nil {
			return fmt.Errorf("assertion %s: %w", a.Type(), err)
		}
	}
	_, err := a.number("revision")
	return err
}

func (a *Assertion) needs(name string) error {
	switch value := a.headers[name].(type) {
	case nil:
		return fmt.Errorf("%q header is mandatory", name)
	case string:
		if value == "" {
			return fmt.Errorf("%q header should not be empty", name)
		}
		return nil
	default:
		return fmt.Errorf("%q header must be a string", name)
	}
}

// number returns a header that is a number from 0 up, or 0 if there is none.
func (a *Assertion) number(name string) (int, error) {
	value, found := a.headers[name]
	if !found {
		return 0, nil
	}
	text, _ := value.(string)
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q header is not an integer: %v", name, value)
	}
	if number < 0 {
		return 0, fmt.Errorf("%s should be positive: %s", name, text)
	}
	return number, nil
}

// Type returns the type, such as "confdb-schema".
func (a *Assertion) Type() string { return a.Header("type") }

// Header returns a header that is text; "" if it is missing or no text.
func (a *Assertion) Header(name string) string {
	text, _ := a.headers[name].(string)
	return text
}

// Headers returns all headers: strings, and []any and map[string]any of them. The caller may change the result.
func (a *Assertion) Headers() map[string]any { return clone(a.headers).(map[string]any) }

// Revision returns the revision, or 0 if there is none.
func (a *Assertion) Revision() int {
	number, _ := a.number("revision") // decode has checked it
	return number
}

// Body returns the body; it is empty if there is none.
func (a *Assertion) Body() []byte { return bytes.Clone(a.body) }

// SignKey returns the ID of the key that signed, according to the headers.
func (a *Assertion) SignKey() string { return a.Header("sign-key-sha3-384") }

// Encode returns the text, which ends in a newline.
func (a *Assertion) Encode() []byte {
	return slices.Concat(a.content, []byte("\n\n"), a.sign, []byte("\n"))
}

// Key returns the values of the headers that identify an assertion among those of its type, in snapd's order.
func (a *Assertion) Key() []string {
	var key []string
	for _, name := range keys[a.Type()] {
		key = append(key, a.Header(name))
	}
	return key
}

// String returns the assertion's name as snapd writes it, such as "confdb-schema (network; account-id:acc)".
func (a *Assertion) String() string { return Name(a.Type(), a.headers) }

// Name returns the name of an assertion as snapd writes it, from its type and headers. The assertion need not exist.
func Name(kind string, headers map[string]any) string {
	names := keys[kind]
	if len(names) == 0 {
		return kind
	}
	last := len(names) - 1
	text := fmt.Sprintf("%s (%v", kind, headers[names[last]])
	for i, name := range names[:last] {
		text += map[bool]string{true: "; ", false: " "}[i == 0] + fmt.Sprintf("%s:%v", name, headers[name])
	}
	return text + ")"
}

// Document returns the assertion as JSON in the form for `snap sign`: an object of the headers, with the body as text.
func (a *Assertion) Document() (json.RawMessage, error) {
	headers := a.Headers()
	for _, name := range []string{"body-length", "sign-key-sha3-384"} {
		delete(headers, name) // snap sign adds them
	}
	if len(a.body) > 0 {
		headers["body"] = string(a.body)
	}
	return json.MarshalIndent(headers, "", "  ")
}

func clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(value))
		for key, entry := range value {
			copied[key] = clone(entry)
		}
		return copied
	case []any:
		copied := make([]any, len(value))
		for i, entry := range value {
			copied[i] = clone(entry)
		}
		return copied
	}
	return value
}
