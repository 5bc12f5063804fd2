package sign

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// A Message has the parts of a request that can be signed.
type Message struct {
	Method    string
	Authority string // host, and the port unless it is the scheme's default; lower case
	Path      string // escaped as in the request
	Query     string // with its "?"; "" if there is none
	Header    http.Header
}

// Authority returns a host as signatures have it: in lower case, without the scheme's default port.
func Authority(scheme, host string) string {
	host = strings.ToLower(host)
	if name, port, err := net.SplitHostPort(host); err == nil &&
		(scheme == "http" && port == "80" || scheme == "https" && port == "443") {
		host = name
		if strings.Contains(name, ":") {
			host = "[" + name + "]"
		}
	}
	return host
}

// pathAndQuery returns path and query as the request has them.
func pathAndQuery(address *url.URL) (path, query string) {
	path = address.EscapedPath()
	if path == "" {
		path = "/"
	}
	if address.RawQuery != "" || address.ForceQuery {
		query = "?" + address.RawQuery
	}
	return path, query
}

// Received returns the Message of a received request.
func Received(request *http.Request) Message {
	path, query := pathAndQuery(request.URL)
	return Message{
		Method: request.Method, Authority: strings.ToLower(request.Host), Path: path, Query: query, Header: request.Header,
	}
}

func (m Message) required() []string {
	components := Components()
	if m.Query != "" {
		components = append(components, "@query")
	}
	return components
}

// Base returns the signed text (RFC 9421, section 2.5). It returns an error for an unknown component or a missing
// header.
func (m Message) Base(input Input) (string, error) {
	var text strings.Builder
	for _, name := range input.Components {
		value, err := m.component(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "\"%s\": %s\n", name, value)
	}
	text.WriteString("\"@signature-params\": " + input.parameters)
	return text.String(), nil
}

func (m Message) component(name string) (string, error) {
	switch name {
	case "@method":
		return m.Method, nil
	case "@authority":
		return m.Authority, nil
	case "@path":
		return m.Path, nil
	case "@query":
		if m.Query == "" {
			return "?", nil
		}
		return m.Query, nil
	}
	values := m.Header.Values(name)
	if strings.HasPrefix(name, "@") || name != strings.ToLower(name) {
		return "", fmt.Errorf("the component %q is not known here", name)
	}
	if len(values) == 0 {
		return "", fmt.Errorf("the signature covers the header %q, which the request does not have", name)
	}
	trimmed := make([]string, len(values))
	for i, value := range values {
		trimmed[i] = strings.TrimSpace(value)
	}
	return strings.Join(trimmed, ", "), nil
}
