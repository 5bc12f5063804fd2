package lint

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/dialect"
)

// checkForm reports faults in the form of the document.
func (c *checker) checkForm() {
	for _, fault := range c.doc.Faults {
		code := map[document.FaultKind]string{document.BadBody: "body", document.BadLayout: "body-layout",
			document.BadLength: "body", document.BadSignature: "signature", document.DuplicateKey: "duplicate-key",
			document.NotText: "header", document.Inexact: "number-inexact"}[fault.Kind]
		if c.doc.Form == document.Assertion {
			switch fault.Kind {
			case document.BadLayout: // `snap sign` would correct it, but this document is signed
				code = "body"
			case document.DuplicateKey:
				if strings.HasPrefix(fault.Message, "repeated") {
					code = "header"
				}
			}
		}
		c.add(code, fault.Pos, "%s", fault.Message)
	}
	if c.doc.Body != nil {
		for _, entry := range c.doc.Body.Entries {
			if entry.Key != "storage" {
				c.add("unknown-key", entry.KeyPos, "snapd does not read %q in the body", entry.Key)
			}
		}
		if c.doc.Body.Get("storage") == nil {
			c.add("body", c.doc.Body.Pos, `body must contain a "storage" stanza`)
		}
	}
}

// known are the headers of a confdb-schema that snapd reads. It ignores others.
var known = map[string]bool{"type": true, "authority-id": true, "account-id": true, "name": true, "revision": true,
	"summary": true, "timestamp": true, "views": true, "format": true}

// checkHeaders checks the headers of an assertion as snapd does, in snapd's words. A document that is not built yet may lack
// the headers that `registry build` fills in.
func (c *checker) checkHeaders() {
	doc := c.doc
	source := doc.Form != document.Assertion && !(doc.Form == document.JSON && doc.Embedded)
	if kind := doc.Headers.Get("type"); kind == nil {
		if !source {
			c.add("header", document.Position{}, `"type" header is mandatory`)
		}
	} else if kind.Kind == document.String && kind.Text != string(dialect.ConfdbSchema) {
		c.add("header", doc.Position("type"), "invalid assertion type: %s", kind.Text)
	}
	for _, name := range []string{"authority-id", "account-id"} {
		if doc.Headers.Get(name) == nil && source || doc.Unfilled(name) || !c.textHeader(name) {
			continue
		}
		if err := dialect.ValidAccount(doc.Header(name)); err != nil {
			c.add("header", doc.Position(name), "invalid %s: %v", name, err)
		}
	}
	account, authority := doc.Header("account-id"), doc.Header("authority-id")
	switch {
	case doc.Unfilled("account-id"):
		c.unfilled("account-id", "account", "account-id")
	case doc.Unfilled("authority-id"):
		c.unfilled("authority-id", "account", "account-id")
	case account != "" && authority != "" && account != authority:
		c.add("header", doc.Position("authority-id"), "authority-id and account-id must match, confdb-schema assertions are "+
			"expected to be signed by the issuer account: %q != %q", authority, account)
	}
	if own := c.options.Account; own != "" && account != "" && own != account && !doc.Unfilled("account-id") {
		c.add("other-account", doc.Position("account-id"), "the account is %s, not %s", account, own)
	}
	if c.textHeader("name") && !path.ValidSubkey(doc.Header("name")) {
		c.add("header", doc.Position("name"), `"name" header contains invalid characters: %q`, doc.Header("name"))
	}
	if doc.Unfilled("revision") {
		c.unfilled("revision", "revision", "revision")
	} else if message := badRevision(doc.Headers.Get("revision")); message != "" {
		c.add("header", doc.Position("revision"), "%s", message)
	}
	if doc.Unfilled("timestamp") {
		c.unfilled("timestamp", "timestamp", "timestamp")
	} else if (doc.Headers.Get("timestamp") != nil || !source) && c.textHeader("timestamp") {
		if _, err := time.Parse(time.RFC3339, doc.Header("timestamp")); err != nil {
			c.add("header", doc.Position("timestamp"), `"timestamp" header is not a RFC3339 date: %v`, err)
		}
	}
	if summary := doc.Headers.Get("summary"); summary != nil && summary.Kind >= document.List {
		c.add("header", doc.Position("summary"), `"summary" header must be a string`)
	}
	switch views := doc.Headers.Get("views"); {
	case views == nil:
		c.add("header", document.Position{}, `"views" stanza is mandatory`)
	case views.Kind != document.Map:
		c.add("header", doc.Position("views"), `"views" header must be a map`)
	}
	c.checkUnquoted(doc.Headers.Get("views"))
	for _, entry := range doc.Headers.Entries {
		switch {
		case !path.ValidSubkey(entry.Key):
			c.add("header", entry.KeyPos, "invalid header name: %q", entry.Key)
		case !known[entry.Key]:
			hint := didYouMean(entry.Key, absent(doc.Headers, slices.Sorted(maps.Keys(known))))
			c.advise(hint.question(), "unknown-key", entry.KeyPos, "snapd does not read the header %q", entry.Key).Fix =
				meantKey(c.fixable(), c.doc.File, entry, hint.name)
		}
	}
}

// unfilled reports a header that is a placeholder, and the flag of registry build that fills it in.
func (c *checker) unfilled(header, what, flag string) {
	c.add("placeholder", c.doc.Position(header), "the %s is a placeholder: %s; fill it in, or give --%s", what, c.doc.Header(header), flag)
}

// checkUnquoted reports a {name} without quotes, which is a map with the key name in YAML.
func (c *checker) checkUnquoted(node *document.Node) {
	if node == nil || c.doc.Form != document.YAML {
		return
	}
	for _, entry := range node.Entries {
		if of := entry.Value; (entry.Key == "request" || entry.Key == "storage") && of.Is(document.Map) && len(of.Entries) == 1 &&
			of.Entries[0].Value.Is(document.Null) {
			c.add("placeholder-unquoted", entry.At(), "{%s} is a map in YAML", of.Entries[0].Key).Fix = c.quotePlaceholder(of.Pos)
			continue
		}
		c.checkUnquoted(entry.Value)
	}
	for _, item := range node.List() {
		c.checkUnquoted(item)
	}
}

// textHeader reports whether a mandatory header is a text that is not empty. If not, it adds a finding.
func (c *checker) textHeader(name string) bool {
	switch header := c.doc.Headers.Get(name); {
	case header == nil:
		c.add("header", document.Position{}, "%q header is mandatory", name)
	case header.Kind >= document.List:
		c.add("header", c.doc.Position(name), "%q header must be a string", name)
	case header.Kind != document.String: // checkForm reports it
	case header.Text == "":
		c.add("header", c.doc.Position(name), "%q header should not be empty", name)
	default:
		return true
	}
	return false
}

func badRevision(header *document.Node) string {
	if header == nil || header.Kind < document.String {
		return ""
	}
	if header.Kind != document.String {
		return `"revision" header is not an integer: ` + header.Kind.String()
	}
	revision, err := strconv.Atoi(header.Text)
	switch {
	case err != nil:
		return `"revision" header is not an integer: ` + header.Text
	case revision < 0:
		return fmt.Sprintf("revision should be positive: %d", revision)
	case strings.HasPrefix(header.Text, "0") && revision != 0, strings.HasPrefix(header.Text, "+"):
		return `"revision" header has invalid prefix zeros: ` + header.Text
	}
	return ""
}
