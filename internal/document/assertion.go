package document

import (
	"bytes"
	"strconv"
	"strings"
)

// readAssertion reads a signed assertion: headers, body and signature with empty lines between them. It does not
// verify the signature. The layout is that of assertions signed with snapd 2.77.1.
func (d *Document) readAssertion(text []byte) error {
	at := newLines(text)
	head, rest, found := bytes.Cut(text, []byte("\n\n"))
	headers, err := d.parseHeaders(head)
	if err != nil {
		return err
	}
	d.Headers = headers
	length := d.takeHeader("body-length")
	key := d.takeHeader("sign-key-sha3-384")
	d.KeyID = key.String()
	if key == nil {
		d.fault(BadSignature, Position{1, 1}, `assertion: "sign-key-sha3-384" header is mandatory`)
	}
	d.Embedded = true
	if !found {
		d.fault(BadBody, Position{bytes.Count(bytes.TrimSuffix(head, []byte("\n")), []byte("\n")) + 1, 1}, "body must contain JSON")
		return nil
	}
	start := len(head) + 2
	body, signature := splitBody(rest, length.String())
	if length.String() != strconv.Itoa(len(body)) {
		where := Position{1, 1}
		if length != nil {
			where = length.Pos
		}
		d.fault(BadLength, where, "assertion body length and declared body-length don't match: %d != %s", len(body), orZero(length.String()))
	}
	if d.Signature = strings.Trim(string(signature), "\n"); d.Signature == "" {
		d.fault(BadSignature, at.position(len(text)), "empty assertion signature")
	}
	d.readBody(body, func(offset int) Position { return at.position(start + offset) }, at.position(start))
	return nil
}

func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

// splitBody separates body and signature: at the declared length if a signature may follow there, else at the last
// empty line.
func splitBody(rest []byte, length string) (body, signature []byte) {
	if n, err := strconv.Atoi(length); err == nil && n >= 0 && n <= len(rest) && (n == len(rest) || bytes.HasPrefix(rest[n:], []byte("\n\n"))) {
		return rest[:n], bytes.TrimPrefix(rest[n:], []byte("\n\n"))
	}
	trimmed := bytes.TrimRight(rest, "\n")
	if i := bytes.LastIndex(trimmed, []byte("\n\n")); i >= 0 {
		return rest[:i], rest[i+2:]
	}
	return trimmed, nil
}

func (d *Document) takeHeader(name string) *Node {
	node := d.Headers.Get(name)
	d.Headers.Delete(name)
	return node
}

// Content returns the text that an assertion's signature signs: headers, and the body in the layout that snapd
// requires. keyID is the sign-key-sha3-384 header. It returns an error for values that an assertion cannot have.
func (d *Document) Content(keyID string) ([]byte, error) {
	body, err := d.BodyText()
	if err != nil {
		return nil, err
	}
	headers, _ := d.Headers.Value().(map[string]any)
	if headers["revision"] == "0" {
		delete(headers, "revision")
	}
	return Content(headers, []string{"account-id", "name"}, string(body), keyID)
}
