package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/params"
	"aspects-poc/roles/serverapi"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// wholeBody is the name of the body in the list of invalid fields.
const wholeBody = "body"

// mostStrangers is the largest number of unknown members in a refusal.
const mostStrangers = params.MostComplaints

// A field is a required or optional member of a body.
type field struct {
	name string
	// read stores the value. It returns a complaint such as "must be …" for an invalid one. It is nil for an object of
	// fields.
	read     func(jsontext.Value) (complaint string)
	fields   []field
	optional bool
	present  *bool // set to whether the body has the member; nil if that does not matter
}

// decode parses a request's body, a JSON object with exactly these members. Its error lists all invalid members.
func (h *handlers) decode(c echo.Context, fields ...field) error {
	text, err := h.readBody(c)
	if err != nil {
		return err
	}
	c.Request().Body.(*kept).text = nil // the fields have copies, and a poll may be held for minutes
	members, err := parseObject(text)
	if err != nil {
		return err
	}
	if wrong := assign("", members, fields); wrong != nil {
		return fieldProblem(wrong...)
	}
	return nil
}

// assign parses the members of an object into fields, and returns the problems. It adds prefix to the names in them.
func assign(prefix string, members []member, fields []field) (wrong []serverapi.FieldProblem) {
	complain := func(name, message string) {
		wrong = append(wrong, serverapi.FieldProblem{Field: name, Message: message})
	}
	taken := 0
	for _, field := range fields {
		at := slices.IndexFunc(members, func(m member) bool { return m.name == field.name })
		if at < 0 {
			if !field.optional {
				complain(prefix+field.name, "is missing")
			}
			continue
		}
		taken++
		value := members[at].value
		if field.present != nil {
			*field.present = true
		}
		if field.read != nil {
			if complaint := field.read(value); complaint != "" {
				complain(prefix+field.name, complaint)
			}
			continue
		}
		if value.Kind() != '{' {
			complain(prefix+field.name, "must be an object, not "+kindOf(value))
			continue
		}
		below, err := parseObject(value)
		if err != nil {
			complain(prefix+field.name, "is no object") // cannot happen: it has been parsed before
			continue
		}
		wrong = append(wrong, assign(prefix+field.name+".", below, field.fields)...)
	}
	if taken == len(members) {
		return wrong
	}
	var known []string
	for _, field := range fields {
		known = append(known, field.name)
	}
	strangers := 0
	for _, member := range members {
		if slices.Contains(known, member.name) {
			continue
		}
		if strangers++; strangers <= mostStrangers {
			complain(prefix+member.name, "is not known here"+params.Meant(member.name, known))
		}
	}
	if more := strangers - mostStrangers; more > 0 {
		complain(strings.TrimSuffix(prefix, ".")+map[bool]string{true: wholeBody}[prefix == ""],
			fmt.Sprintf("has %d more members that are not known here", more))
	}
	return wrong
}

// readBody reads a body of type JSON. A body without type counts as JSON, as in the original, and so does the type that
// curl -d sends by default.
func (h *handlers) readBody(c echo.Context) ([]byte, error) {
	header := c.Request().Header
	if given := header.Get(echo.HeaderContentType); given != "" {
		kind, parameters, err := mime.ParseMediaType(given)
		json := kind == echo.MIMEApplicationJSON || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json") ||
			kind == echo.MIMEApplicationForm && !access.ByBrowser(header)
		charset := strings.ToLower(parameters["charset"])
		if err != nil || !json || charset != "" && charset != "utf-8" && charset != "utf8" {
			return nil, newProblem(http.StatusUnsupportedMediaType,
				fmt.Sprintf("Content-Type must be application/json in UTF-8, not %q", clip(given)))
		}
	}
	return h.readAll(c)
}

// A kept is a body that has been read already.
type kept struct {
	io.ReadCloser
	text []byte
}

// readAll reads a body of any type. The request remembers the body, because several steps of the request read it.
func (h *handlers) readAll(c echo.Context) ([]byte, error) { return h.readUpTo(c, h.limit) }

// readUpTo is readAll for a body of up to limit bytes.
func (h *handlers) readUpTo(c echo.Context, limit int64) ([]byte, error) {
	request := c.Request()
	if body, ok := request.Body.(*kept); ok {
		return body.text, nil
	}
	if given := request.Header.Get(echo.HeaderContentEncoding); given != "" && given != "identity" {
		c.Response().Header().Set(echo.HeaderAcceptEncoding, "identity")
		return nil, newProblem(http.StatusUnsupportedMediaType,
			fmt.Sprintf("Content-Encoding %q is not known here; send the body as it is", clip(given)))
	}
	var text []byte
	err := error(&http.MaxBytesError{Limit: limit})
	if request.ContentLength <= limit {
		text, err = readSized(http.MaxBytesReader(c.Response(), request.Body, limit), request.ContentLength)
	}
	var exceeded *http.MaxBytesError
	switch {
	case err == nil:
		request.Body = &kept{http.NoBody, text}
		return text, nil
	case errors.As(err, &exceeded):
		return nil, newProblem(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("The body must not be larger than %d bytes", limit))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, newProblem(http.StatusRequestTimeout, "The body did not arrive in time")
	}
	refused := newProblem(http.StatusBadRequest, "The body broke off")
	refused.cause = err
	return nil, refused
}

// readSized reads a body of this length; -1 if the length is not known. For a usual body it allocates no more than its
// length.
func readSized(body io.Reader, length int64) ([]byte, error) {
	const usual = 4 << 10 // bytes; for others the memory grows with the data
	if length < 0 || length > usual {
		return io.ReadAll(body)
	}
	text := make([]byte, length)
	_, err := io.ReadFull(body, text)
	return text, err
}

// A member is a member of a JSON object.
type member struct {
	name  string
	value jsontext.Value
}

// parseObject returns the members of a JSON object, in order. Their values are parts of the text.
func parseObject(text []byte) (members []member, err error) {
	malformed := func(field, format string, arguments ...any) error {
		return fieldProblem(serverapi.FieldProblem{Field: field, Message: fmt.Sprintf(format, arguments...)})
	}
	if at := invalidUTF8(text); at >= 0 {
		return nil, malformed(wholeBody, "is not UTF-8 at byte %d", at)
	}
	if err := tooMany(text); err != nil {
		return nil, err
	}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(text))
	object := decoder.PeekKind() == '{'
	if object {
		members, err = readMembers(decoder, text)
	} else {
		err = decoder.SkipValue()
	}
	if err != nil {
		return nil, malformed(explainSyntax(err))
	}
	if rest := bytes.TrimLeft(text[decoder.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, malformed(wholeBody, "goes on behind the JSON value, at byte %d", len(text)-len(rest))
	}
	if !object {
		return nil, malformed(wholeBody, "must be an object, not %s", kindOf(bytes.TrimLeft(text, " \t\r\n")))
	}
	return members, nil
}

// readMembers reads the members of an object.
func readMembers(decoder *jsontext.Decoder, text []byte) (members []member, err error) {
	for _, err = decoder.ReadToken(); err == nil && decoder.PeekKind() != '}'; {
		var name jsontext.Token
		if name, err = decoder.ReadToken(); err != nil {
			break
		}
		next := member{name: name.String()}
		if next.value, err = decoder.ReadValue(); err == nil {
			end := decoder.InputOffset()
			next.value = text[end-int64(len(next.value)) : end]
			members = append(members, next)
		}
	}
	if err == nil {
		_, err = decoder.ReadToken()
	}
	return members, err
}

// tooMany returns an error for a text with more values than the client accepts in an answer, because the answers to
// operators contain the reports of devices. The parser finds other faults.
func tooMany(text []byte) error {
	if len(text) < 2*serverapi.Limits.Values { // a value has at least two bytes
		return nil
	}
	var exceeded jsonvalue.LimitError
	if errors.As(serverapi.Limits.Check(text), &exceeded) {
		return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("The body must not have more than %d values, objects, lists "+
			"and names together, nor nest deeper than %d levels", serverapi.Limits.Values, serverapi.Limits.Depth))
	}
	return nil
}

// explainSyntax returns where a text is invalid JSON, and why.
func explainSyntax(err error) (field, format string, message any) {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		if errors.Is(err, io.EOF) {
			return wholeBody, "%s", "is empty; it must be a JSON object"
		}
		return wholeBody, "is not JSON: %s", err
	}
	field = dotted(syntax.JSONPointer)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return field, "%s", fmt.Sprintf("stands twice in the same object, again at byte %d", syntax.ByteOffset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return wholeBody, "breaks off at byte %d", syntax.ByteOffset
	}
	return field, "%s", fmt.Sprintf("is not JSON at byte %d: %s", syntax.ByteOffset, syntax.Err)
}

// dotted returns a JSON pointer with dots: config.eth0.0
func dotted(pointer jsontext.Pointer) string {
	var steps []string
	for step := range pointer.Tokens() {
		steps = append(steps, step)
	}
	if len(steps) == 0 {
		return wholeBody
	}
	return strings.Join(steps, ".")
}

// clip shortens a caller's text for an answer or the log.
func clip(text string) string { return plain.Clip(text, 200) }

func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for at := 0; at < len(text); {
		char, size := utf8.DecodeRune(text[at:])
		if char == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// kindOf returns the name of a value's JSON type.
func kindOf(value jsontext.Value) string {
	switch value.Kind() {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '[':
		return "an array"
	}
	return "an object"
}
