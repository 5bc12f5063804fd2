package confdb_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"aspects-poc/internal/randomschema"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"

	"github.com/google/go-cmp/cmp"
)

// hidden stands for a secret in a concealed document.
type hidden struct{}

// public returns a concealed document without its hidden parts and without empty containers; nil if nothing is left.
func public(value any) any {
	switch value := value.(type) {
	case hidden:
		return nil
	case map[string]any:
		left := map[string]any{}
		for key, entry := range value {
			if entry = public(entry); entry != nil {
				left[key] = entry
			}
		}
		if len(left) == 0 {
			return nil
		}
		return left
	case []any:
		var left []any
		for _, element := range value {
			if element = public(element); element != nil {
				left = append(left, element)
			}
		}
		if left == nil {
			return nil
		}
		return left
	}
	return value
}

// within reports whether every value of a document is in another one.
func within(part, whole any) bool {
	switch part := part.(type) {
	case nil:
		return true
	case map[string]any:
		whole, ok := whole.(map[string]any)
		for key, entry := range part {
			ok = ok && within(entry, whole[key])
		}
		return ok
	case []any:
		whole, ok := whole.([]any)
		for _, element := range part {
			at := slices.IndexFunc(whole, func(other any) bool { return within(element, other) })
			if !ok || at < 0 {
				return false
			}
			whole = whole[at+1:]
		}
		return ok
	}
	return reflect.DeepEqual(part, whole)
}

// firstOnly returns a definition with the first one in the place of each list of alternatives.
func firstOnly(definition any) any {
	switch definition := definition.(type) {
	case []any:
		return firstOnly(definition[0])
	case object:
		for _, name := range []string{"values", "keys"} {
			if inner, ok := definition[name]; ok {
				definition[name] = firstOnly(inner)
			}
		}
		for _, name := range []string{"schema", "aliases"} {
			inner, _ := definition[name].(object)
			for key := range inner {
				inner[key] = firstOnly(inner[key])
			}
		}
	}
	return definition
}

// TestConcealAgreesWithReads compares what Conceal leaves of a document with what a reader who sees no secrets reads, in
// generated schemas. Without alternatives both are the same; with alternatives Conceal hides no less.
func TestConcealAgreesWithReads(t *testing.T) {
	compared, withSecrets := 0, 0
	for seed := range uint64(300) {
		d := randomschema.New(randomschema.Throws(seed, 11, 600))
		exact := seed%2 == 0
		w := newWorldOf(t, d, func(definition object) object {
			if exact {
				return firstOnly(definition).(object)
			}
			return definition
		})
		if w == nil {
			continue
		}
		var bag databag.Bag
		for range 12 {
			view := slices.Sorted(maps.Keys(w.views))[d.Throw(len(w.views))]
			request := d.Filled(w.requests[view])
			tx := w.schema.Begin(bag)
			if tx.Write(view, map[string]any{request: w.value(d, request)}) == nil {
				if after, err := tx.Commit(bag); err == nil {
					bag = after
				}
			}
		}
		for _, view := range w.schema.Views() {
			if view == "all" {
				continue // its rules overlap: a value may be read through one of them, and be secret by another
			}
			document, err := w.schema.Read(bag, view, nil, confdb.ReadOptions{})
			if err != nil {
				continue
			}
			before, _ := json.Marshal(document)
			found := 0
			concealed := w.schema.Conceal(view, document, func(_ path.Path, value any) any { found++; return hidden{} })
			if after, _ := json.Marshal(document); string(after) != string(before) {
				t.Fatalf("the document was %s and became %s", before, after)
			}
			read, err := w.schema.Read(bag, view, nil, confdb.ReadOptions{Unprivileged: true})
			if refused := (*confdb.Error)(nil); errors.As(err, &refused) && refused.Kind != confdb.Unauthorized && refused.Kind != confdb.NoData {
				continue
			}
			compared++
			if found > 0 {
				withSecrets++
			}
			want, got := public(read), public(concealed)
			if exact && !cmp.Equal(want, got) || !within(got, want) {
				t.Fatalf("seed %d\n%s\n%v\n%s of %s: read %v %v, concealed %v", seed, w.storage, w.views[view], before, view, want, err, got)
			}
		}
	}
	if compared < 150 || withSecrets < 30 {
		t.Errorf("only %d documents were compared, %d with secrets", compared, withSecrets)
	}
}
