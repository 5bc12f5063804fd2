package scaffold

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"aspects-poc/internal/document"
	"aspects-poc/internal/kit/keep"
	"aspects-poc/registry/confdb/path"
)

// A node is a key of a file: a value, or a map with keys below it.
type node struct {
	key   string      // in the file
	name  string      // in the confdb-schema
	entry *keep.Entry // nil of a map
	below []*node
}

// tree returns the keys of a file whose values confdb can store, with valid names for paths. left are the other entries, which the
// hooks do not change.
func tree(doc *keep.Document) (root *node, left []*keep.Entry) {
	root = &node{}
	for _, e := range doc.Entries {
		if e.Kind == keep.Other {
			left = append(left, e)
			continue
		}
		at := root
		for i, key := range e.Path {
			if i == len(e.Path)-1 {
				at.below = append(at.below, &node{key: key, entry: e})
				break
			}
			at = at.child(key)
		}
	}
	root.nameBelow()
	return root, left
}

func (n *node) child(key string) *node {
	for _, child := range n.below {
		if child.key == key && child.entry == nil {
			return child
		}
	}
	child := &node{key: key}
	n.below = append(n.below, child)
	return child
}

// nameBelow sets the names of the nodes below a node. A valid key is its own name; another key gets a similar name that is free.
func (n *node) nameBelow() {
	taken := map[string]bool{}
	for _, child := range n.below {
		if path.ValidSubkey(child.key) && !taken[child.key] {
			child.name, taken[child.key] = child.key, true
		}
	}
	for _, child := range n.below {
		for i := 1; child.name == ""; i++ {
			name := subkey(child.key)
			if i > 1 {
				name = fmt.Sprintf("%s-%d", name, i)
			}
			if !taken[name] {
				child.name, taken[name] = name, true
			}
		}
		child.nameBelow()
	}
}

// subkey returns a valid name that is similar to a key: in lower case, with dashes in the place of other characters.
func subkey(key string) string {
	var out strings.Builder
	before := ' '
	for _, r := range key {
		if unicode.IsUpper(r) && (unicode.IsLower(before) || unicode.IsDigit(before)) {
			out.WriteByte('-')
		}
		before = r
		if r = unicode.ToLower(r); r < 0x80 && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9') {
			out.WriteRune(r)
		} else {
			out.WriteByte('-')
		}
	}
	name := strings.Join(strings.FieldsFunc(out.String(), func(r rune) bool { return r == '-' }), "-")
	switch {
	case name == "":
		return "key"
	case name[0] < 'a':
		return "n-" + name
	}
	return name
}

// A field is a value of the file with its request path.
type field struct {
	Request string // request path in the views, such as server.listen-port
	Name    string // last part of Request
	Entry   *keep.Entry
	Like    string // text in the style of the file, for a key that was removed and is set again
	Secret  bool
}

// fields returns the values below a node, in the order of the file. With secrets, or below a map named like a secret, all values are
// secrets.
func (n *node) fields(doc *keep.Document, prefix string, secrets bool) (list []field) {
	for _, child := range n.below {
		request := strings.TrimPrefix(prefix+"."+child.name, ".")
		if child.entry == nil {
			list = append(list, child.fields(doc, request, secrets || document.SecretName(child.name) || secretNames(child.name))...)
			continue
		}
		f := field{Request: request, Name: child.name, Entry: child.entry, Like: doc.Literal(child.entry), Secret: child.secret(secrets)}
		if child.entry.Kind == keep.List {
			f.Like = doc.LikeOfList(child.entry)
		}
		if f.Secret {
			f.Like = quotesOf(f.Like)
		}
		list = append(list, f)
	}
	return list
}

// secret reports whether a value may be a secret. below means that it is below a map named like a secret.
func (n *node) secret(below bool) bool {
	switch e := n.entry; {
	case e.Kind == keep.Bool, e.Kind == keep.Date:
		return false
	case below, secretValue(n.name):
		return true
	case e.Kind == keep.String:
		return secretNames(n.name) || secretInValue.MatchString(e.Value.(string))
	case e.Kind == keep.List && e.Element == keep.String:
		return secretNames(n.name) || slices.ContainsFunc(e.Value.([]any), func(v any) bool { return secretInValue.MatchString(v.(string)) })
	}
	return false
}

// secretInValue matches a password inside an address: scheme://user:password@host, user:password@tcp(host), password=….
var secretInValue = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^/\s@:]*:[^/\s@]+@|^[^/\s@:]+:[^/\s@]+@(tcp|unix)\(|` +
	`\b(password|passwd|pwd|passphrase|secret|token|api[-_]?key|access[-_]?key|sig)=[^\s&;]`)

// quotesOf returns an empty text in the quotes that text has.
func quotesOf(text string) string {
	if text != "" && strings.Contains(`"'`, text[:1]) {
		return text[:1] + text[:1]
	}
	return ""
}

// secretNames reports whether a key is named like several secrets. Numbers such as max_tokens may have such names, too.
func secretNames(name string) bool {
	one, several := strings.CutSuffix(name, "s")
	return several && one != "pin" && !strings.HasSuffix(one, "-pin") && document.SecretName(one)
}

// secretValue reports whether the key of a value, not of a map, is named like a secret. A map auth has other values, too.
func secretValue(name string) bool {
	return document.SecretName(name) || name == "auth" || strings.HasSuffix(name, "-auth")
}
