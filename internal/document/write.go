package document

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"

	"aspects-poc/registry/dialect"

	"go.yaml.in/yaml/v3"
)

// SignOptions are options of SignInput.
type SignOptions struct {
	Account   string    // account ID of the publisher; "" means the document's
	Revision  *int      // nil means the document's
	Timestamp time.Time // zero means the document's
	Dialect   dialect.Dialect
	NoAliases bool // replace aliases by their types
}

// SignInput returns the JSON for `snap sign`: headers as texts, and the body as text in the layout that snapd
// requires. It does not check whether snapd accepts the confdb-schema. It returns an error if the account, the timestamp or the
// storage schema is missing.
func (d *Document) SignInput(options SignOptions) (json.RawMessage, error) {
	account := cmp.Or(options.Account, d.Header("account-id"))
	printed := dialect.Options{Account: account, Revision: options.Revision, Timestamp: options.Timestamp,
		Dialect: options.Dialect, NoAliases: options.NoAliases}
	storage, ok := normal(d.Storage()).(map[string]any)
	switch {
	case account == "":
		return nil, errors.New("no account-id: the document has none, and none was given")
	case !ok:
		return nil, errors.New(`the document has no "storage" to put into the body`)
	}
	if err := printed.Check(); err != nil {
		return nil, err
	}
	headers, ok := d.Headers.Value().(map[string]any)
	if !ok {
		return nil, errors.New("the document has no headers")
	}
	if headers["timestamp"] == nil && options.Timestamp.IsZero() {
		return nil, errors.New("no timestamp: the document has none, and none was given")
	}
	for _, name := range sortedKeys(d.Body) {
		if name != "storage" {
			return nil, fmt.Errorf("the body has %q beside the storage schema, which nobody would read", name)
		}
	}
	return dialect.Print(headers, storage, printed)
}

// Unsigned is SignInput for an engine that needs no signature. account replaces the document's unless it is "". A
// missing timestamp becomes 1970, and a placeholder revision 0.
func (d *Document) Unsigned(account string) (json.RawMessage, error) {
	if d.Unfilled("revision") {
		d.SetRevision(0)
	}
	if d.NeedsTimestamp() {
		d.SetTimestamp(time.Unix(0, 0))
	}
	return d.SignInput(SignOptions{Account: account})
}

// BodyText returns the body in the layout that snapd requires: indented by two spaces, keys sorted, numbers as 64-bit
// floats, without a newline at the end.
func (d *Document) BodyText() ([]byte, error) {
	if d.Body == nil {
		return nil, errors.New("the document has no body")
	}
	return json.MarshalIndent(normal(d.Body), "", "  ")
}

// normal is Node.Value with numbers as snapd stores them.
func normal(n *Node) any {
	switch {
	case n.Is(Number):
		return json.Number(normalNumber(n.Text))
	case n.Is(List):
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = normal(item)
		}
		return list
	case n.Is(Map):
		object := make(map[string]any, len(n.Entries))
		for _, entry := range n.Entries {
			object[entry.Key] = normal(entry.Value)
		}
		return object
	}
	return n.Value()
}

// YAML returns the document as YAML. A document from YAML keeps its comments, anchors and order. For others it uses
// the most readable order of keys.
func (d *Document) YAML() ([]byte, error) {
	if d.source != nil {
		// The library misplaces some comments. If the text then reads differently, write it without comments.
		if text, err := encodeYAML(d.source); err == nil {
			if again, err := Parse("again.yaml", text); err == nil && Same(d, again, false) {
				return text, nil
			}
		}
	}
	top := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range ordered(d.Headers, "type", "authority-id", "account-id", "name", "revision", "timestamp", "summary") {
		if key != "views" {
			appendYAML(top, key, toYAML(d.Headers.Get(key), true))
		}
	}
	if views := d.Headers.Get("views"); views != nil {
		appendYAML(top, "views", toYAML(views, true))
	}
	switch {
	case d.Body == nil:
	case len(d.Body.Keys()) == 1 && d.Storage() != nil:
		appendYAML(top, "storage", toYAML(d.Storage(), false))
	default:
		appendYAML(top, "body", toYAML(d.Body, false))
	}
	return encodeYAML(&yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{top}})
}

func encodeYAML(source *yaml.Node) ([]byte, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(source); err != nil {
		return nil, fmt.Errorf("cannot write YAML: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("cannot write YAML: %w", err)
	}
	return text.Bytes(), nil
}

func appendYAML(to *yaml.Node, key string, value *yaml.Node) {
	to.Content = append(to.Content, textYAML(key), value)
}

// textYAML returns a text, in quotes if YAML would read it as something else.
func textYAML(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

func toYAML(n *Node, header bool) *yaml.Node {
	switch n.Kind {
	case Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: n.Text}
	case Number:
		tag := "!!int"
		if _, err := strconv.ParseInt(n.Text, 10, 64); err != nil {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: n.Text}
	case String:
		if header && plain(n.Text) {
			tag := "!!timestamp"
			if jsonLiteral().MatchString(n.Text) {
				tag = "!!int"
			}
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: n.Text}
		}
		return textYAML(n.Text)
	case List:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		short := len(n.Items) <= 8
		for _, item := range n.Items {
			short = short && item.Kind < List
			list.Content = append(list.Content, toYAML(item, header))
		}
		if short {
			list.Style = yaml.FlowStyle
		}
		return list
	case Map:
		object := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range ordered(n, "summary", "parameters", "rules", "request", "storage", "access", "content", "type", "aliases", "schema") {
			appendYAML(object, key, toYAML(n.Get(key), header))
		}
		return object
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

// ordered returns the keys of a map: those in first, then the others in the order of the file.
func ordered(n *Node, first ...string) []string {
	keys := n.Keys()
	slices.SortStableFunc(keys, func(a, b string) int { return rank(a, first) - rank(b, first) })
	return keys
}

func rank(key string, first []string) int {
	if i := slices.Index(first, key); i >= 0 {
		return i
	}
	return len(first)
}

func sortedKeys(n *Node) []string {
	keys := n.Keys()
	slices.Sort(keys)
	return keys
}

func parseRat(literal string) (*big.Rat, error) {
	// A long exponent would take all memory.
	float, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return nil, err
	}
	if number, ok := new(big.Rat).SetString(literal); ok && float != 0 {
		return number, nil
	}
	return new(big.Rat).SetFloat64(float), nil
}
