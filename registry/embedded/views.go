package embedded

import (
	"context"
	"encoding/json"
	"maps"

	"aspects-poc/internal/calls"
	"aspects-poc/registry/backend"
)

var _ backend.Lister = (*Backend)(nil)

// Views lists the views of the stored confdb-schemas and of Options.Documents.
func (b *Backend) Views(ctx context.Context) ([]backend.ViewInfo, error) {
	about := calls.About{Op: "list"}
	_, call, err := b.life.Begin(ctx, about)
	if err != nil {
		return nil, err
	}
	defer call.End()
	st, err := b.store.load()
	if err != nil {
		return nil, Describe(err, about.Op, backend.ViewID{}, nil)
	}
	ids := map[string]bool{}
	for id := range maps.Keys(st.schemas) {
		ids[id] = true
	}
	for id := range maps.Keys(b.given) {
		ids[id] = true
	}
	var schemas []backend.ViewHeaders
	for id := range ids {
		var headers backend.ViewHeaders
		if err := json.Unmarshal(b.inForce(st, id).document, &headers); err != nil {
			continue // an unreadable document has no usable views
		}
		schemas = append(schemas, headers)
	}
	return backend.ViewsOf(schemas), nil
}
