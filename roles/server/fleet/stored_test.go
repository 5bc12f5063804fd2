package fleet

import (
	"path/filepath"
	"reflect"
	"runtime"
	"testing"
)

// passedOn are the methods of a Store that a stored leaves to it, and why none needs a seal or a short name.
var passedOn = map[string]string{
	"AddRecord":   "a record of the audit log names things, and has no values",
	"AllowKey":    "takes the ID of a key",
	"Census":      "a Counted has no configuration",
	"Changes":     "a Notice has names and IDs",
	"Check":       "takes and returns no data",
	"Close":       "takes and returns no data",
	"Count":       "returns a number",
	"History":     "its entries have no Before and After",
	"IDs":         "returns IDs",
	"LastChange":  "returns a revision",
	"LastRecord":  "returns a number",
	"MoveRelease": "takes progress, counts and causes; the store puts its own layers back, sealed as they are; the release has no Before",
	"Named":       "takes a name, returns an ID",
	"Observe":     "an Observation has times and counters",
	"Records":     "a record of the audit log names things, and has no values",
	"Release":     "the release has no Before",
	"Releases":    "the releases have no Before",
	"Remove":      "takes an ID",
	"RevokedKeys": "returns IDs of keys",
	"Rewrite":     "it is what seals the store: its function opens and seals by itself",
	"Sample":      "a StoredSample has numbers of devices",
	"Samples":     "a StoredSample has numbers of devices",
	"Sealing":     "the text says which key seals",
	"SetAlone":    "takes a time",
	"SetKey":      "takes a public key",
	"SetLabels":   "takes labels",
	"SetName":     "takes a name",
	"SetSealing":  "the text says which key seals",
	"SetStatus":   "takes a status",
	"Standings":   "a Standing has numbers of devices",
	"Stats":       "the statistics are counters",
	"TrimRecords": "takes a time and a number",
}

// TestStoredSealsEachMethod fails for a new method of Store until a stored overrides it, or passedOn has it.
func TestStoredSealsEachMethod(t *testing.T) {
	methods, kind := reflect.TypeFor[Store](), reflect.TypeFor[stored]()
	unused := map[string]bool{}
	for name := range passedOn {
		unused[name] = true
	}
	for method := range methods.Methods() {
		own, _ := kind.MethodByName(method.Name)
		// The compiler makes the method of an embedded interface, which has no file.
		file, _ := runtime.FuncForPC(own.Func.Pointer()).FileLine(own.Func.Pointer())
		overridden, excused := filepath.Base(file) == "stored.go", passedOn[method.Name] != ""
		if !overridden && !excused {
			t.Errorf("%s passes what it carries on as it is: override it in stored.go, or say in passedOn why that is right", method.Name)
		}
		if excused && !overridden {
			delete(unused, method.Name)
		}
	}
	for name := range unused {
		t.Errorf("passedOn has %s, which is overridden or no method of Store", name)
	}
}
