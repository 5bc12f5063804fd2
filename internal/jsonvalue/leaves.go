package jsonvalue

import (
	"encoding/json"
	"strings"
)

// Leaves returns the values of a document that are no objects by their paths, as JoinPath writes them. An object is a leaf
// where whole says so; whole may be nil. So an empty object has no leaf unless whole makes it one.
func Leaves(document map[string]any, whole func(object any) bool) map[string]any {
	list := map[string]any{}
	addLeaves(list, "", document, whole)
	return list
}

func addLeaves(list map[string]any, path string, object map[string]any, whole func(object any) bool) {
	for name, value := range object {
		at := JoinPath(path, name)
		if below, is := value.(map[string]any); is && (whole == nil || !whole(below)) {
			addLeaves(list, at, below, whole)
		} else {
			list[at] = value
		}
	}
}

// JoinPath appends a name to a path of names separated by dots; "" is the document itself. A name that is empty or contains a
// dot or a quotation mark is quoted as in JSON.
func JoinPath(path, name string) string {
	if name == "" || strings.ContainsAny(name, `."`) {
		quoted, err := json.Marshal(name)
		if err == nil {
			name = string(quoted)
		}
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
