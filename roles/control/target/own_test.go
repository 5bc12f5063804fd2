package target_test

import (
	"cmp"
	"encoding/json"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/control/target"
)

func views(t *testing.T, text string) (documents map[string]map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &documents); err != nil {
		t.Fatal(err)
	}
	return documents
}

// TestOwn takes a device through targets, and compares what it then has.
func TestOwn(t *testing.T) {
	type step struct{ target, local, has string } // local is what somebody sets on the device before
	for name, test := range map[string]struct {
		own   string
		steps []step
	}{
		"a value that the device had": {`{"v":{"a":1,"b":2}}`, []step{
			{target: `{"v":{"a":5}}`, has: `{"v":{"a":5,"b":2}}`},
			{target: `{"v":{"a":6}}`, has: `{"v":{"a":6,"b":2}}`},
			{target: `{"v":{}}`, has: `{"v":{"a":1,"b":2}}`},
			{target: `{"v":{"a":7}}`, has: `{"v":{"a":7,"b":2}}`},
			{target: `{}`, has: `{"v":{"a":1,"b":2}}`},
		}},
		"a value that it did not have": {`{"v":{"b":2}}`, []step{
			{target: `{"v":{"a":{"x":1,"y":[1]}},"w":{"c":1}}`, has: `{"v":{"a":{"x":1,"y":[1]},"b":2},"w":{"c":1}}`},
			{target: `{"v":{"a":{"x":2}}}`, has: `{"v":{"a":{"x":2},"b":2}}`},
			{target: `{"v":{"b":3}}`, has: `{"v":{"b":3}}`},
		}},
		"null": {`{"v":{"a":1,"m":{"x":1,"y":2}}}`, []step{
			{target: `{"v":{"a":null,"m":null}}`, has: `{}`},
			{target: `{"v":{"m":{"x":9}}}`, has: `{"v":{"a":1,"m":{"x":9,"y":2}}}`},
			{target: `{}`, has: `{"v":{"a":1,"m":{"x":1,"y":2}}}`},
		}},
		"what somebody has set meanwhile": {`{"v":{"a":1}}`, []step{
			{target: `{"v":{"a":5}}`, has: `{"v":{"a":5}}`},
			{local: `{"v":{"a":8}}`, target: `{}`, has: `{"v":{"a":8}}`},
			{target: `{"v":{"a":9}}`, has: `{"v":{"a":9}}`},
			{target: `{}`, has: `{"v":{"a":8}}`},
		}},
		"a target that says what the device has": {`{"v":{"a":1}}`, []step{
			{target: `{"v":{"a":1}}`, has: `{"v":{"a":1}}`},
			{target: `{"v":{"a":2}}`, has: `{"v":{"a":2}}`},
			{target: `{"v":{"b":2}}`, has: `{"v":{"a":1,"b":2}}`},
		}},
		"another server, and a secret": {`{"control-device":{"server-url":"http://a"}}`, []step{
			{target: `{"control-device":{"server-url":"http://b"},"control-tunnel":{"secret-key":"k"}}`,
				has: `{"control-device":{"server-url":"http://b"},"control-tunnel":{"secret-key":"k"}}`},
			{target: `{}`, has: `{"control-device":{"server-url":"http://b"},"control-tunnel":{"secret-key":"k"}}`},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			has, own := views(t, test.own), target.Own(nil)
			for _, step := range test.steps {
				has = merged(has, views(t, cmp.Or(step.local, "{}")))
				settled, next := own.Settle(views(t, step.target), has)
				has, own = merged(has, settled), next
				if diff := gocmp.Diff(views(t, step.has), has); diff != "" {
					t.Fatalf("after %s (-want +got):\n%s", step.target, diff)
				}
			}
		})
	}
}

// merged applies a target as a registry does, which stores no empty maps.
func merged(documents, patch map[string]map[string]any) map[string]map[string]any {
	result := map[string]map[string]any{}
	for _, list := range []map[string]map[string]any{documents, patch} {
		for view, document := range list {
			result[view], _ = without(jsonvalue.Merge(result[view], document)).(map[string]any)
			if len(result[view]) == 0 {
				delete(result, view)
			}
		}
	}
	return result
}

func without(value any) any {
	object, is := value.(map[string]any)
	if !is {
		return value
	}
	for key, inner := range object {
		if inner = without(inner); jsonvalue.Empty(inner) || inner == nil {
			delete(object, key)
		}
	}
	return object
}
