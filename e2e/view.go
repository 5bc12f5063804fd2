// Package e2e runs the README's commands on a real snapd, in a throw-away machine: `make e2e`. Its main function is
// TestE2E. Package contract runs in that machine, and so does command probe.
//
// The tests have the build tag e2e and use vm.sh. The files without the tag have what the tests share with others.
package e2e

import (
	"encoding/json"
	"fmt"
)

// WithView returns the JSON form of a confdb-schema with an additional view, which shows parts of the storage as they
// are. It panics if document is no confdb-schema.
func WithView(document json.RawMessage, view string, parts ...string) json.RawMessage {
	var headers map[string]any
	if err := json.Unmarshal(document, &headers); err != nil {
		panic(fmt.Sprintf("internal error: confdb-schema: %v", err))
	}
	var rules []any
	for _, part := range parts {
		rules = append(rules, map[string]any{"request": part, "storage": part})
	}
	headers["views"].(map[string]any)[view] = map[string]any{"rules": rules}
	document, err := json.Marshal(headers)
	if err != nil {
		panic(fmt.Sprintf("internal error: confdb-schema: %v", err))
	}
	return document
}
