// Package e2e proves the README on a real snapd, in a throw-away machine: `make e2e`.
//
// The tests proper have the build tag e2e and use vm.sh; what is here without the tag is what they lean on.
package e2e

import (
	"encoding/json"
	"fmt"
)

// WithView returns the JSON form of a confdb-schema with one view more, which shows parts of the storage as they are. It
// panics if document is none.
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
