package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUpToDate is in package main, as there is no importing a command.
func TestUpToDate(t *testing.T) {
	want, err := Describe("../../api")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error("the description is not what the annotations say: run go generate ./roles/server/api\n(-want +got)\n" + diff)
	}
}
