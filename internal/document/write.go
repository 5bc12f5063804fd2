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

// SignOptions say what SignInput writes.
type SignOptions struct {
	Account   string    // ID of the account that publishes it; "" stands for the document's
	Revision  *int      // nil stands for the document's
	Timestamp time.Time // zero stands for the document's
	Dialect   dialect.Dialect
	NoAliases bool // types are written out where they are used
}

// SignInput returns exactly the JSON that `snap sign` takes: headers that are texts, the body as text in the layout that
// snapd demands. It does not ask whether snapd would take what the document says.
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

// Unsigned is SignInput for an engine that takes the confdb-schema without a signature. account replaces the document's;
// "" leaves it. A timestamp that is still to be filled in becomes 1970, as nobody sees it.
func (d *Document) Unsigned(account string) (json.RawMessage, error) {
	if d.NeedsTimestamp() {
		d.SetTimestamp(time.Unix(0, 0))
	}
	return d.SignInput(SignOptions{Account: account})
}

// BodyText returns the body as snapd demands it: indented by two spaces, keys sorted, numbers as 64-bit floats, without a
// newline at its end.
func (d *Document) BodyText() ([]byte, error) {
	if d.Body == nil {
		return nil, errors.New("the document has no body")
	}
	return json.MarshalIndent(normal(d.Body), "", "  ")
}

// normal is Node.Value with numbers as snapd keeps them.
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

// YAML returns the document as people keep it. One that was YAML keeps its comments, anchors and order; for others keys
// are put into the order that is easiest to read.
func (d *Document) YAML() ([]byte, error) {
	if d.source != nil {
		// The library loses its way in a few odd places for comments; what is said comes before what is remarked.
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

// textYAML is a text that reads as one, in quotes where it must be.
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
			if jsonLiteral.MatchString(n.Text) {
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

// ordered returns the keys of a map: those that come first, then the others as the file has them.
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
	// An exponent of many digits would take all memory there is.
	float, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return nil, err
	}
	if number, ok := new(big.Rat).SetString(literal); ok && float != 0 {
		return number, nil
	}
	return new(big.Rat).SetFloat64(float), nil
}
