package api_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDifferencesFromTheOriginal sends what docs/fleet.md says that is answered otherwise than by the original.
func TestDifferencesFromTheOriginal(t *testing.T) {
	text, err := os.ReadFile("../../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "request | target | body | original | here | why\n---|---|---|---|---|---\n")
	if !found {
		t.Fatal("docs/fleet.md has no such table any more")
	}
	request := regexp.MustCompile("^`([A-Z]+) ([^`]+)`(?: as `([^`]+)`)?$")
	rows := 0
	for line := range strings.Lines(table) {
		if strings.TrimSpace(line) == "" {
			break
		}
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 6 {
			t.Fatalf("%d columns: %s", len(cells), line)
		}
		rows++
		t.Run(cells[0]+" "+cells[5], func(t *testing.T) {
			asked := request.FindStringSubmatch(cells[0])
			original, originalErr := strconv.Atoi(cells[3])
			want, err := strconv.Atoi(cells[4])
			if asked == nil || originalErr != nil || err != nil || original == want {
				t.Fatalf("cannot be read, or is no difference: %s", line)
			}
			base, _ := checking(t)
			fill := strings.NewReplacer("UUID", registered(t, base, "{}"), "xxx…", strings.Repeat("x", 2<<20))
			content := func(cell string) string {
				if cell == "–" {
					return ""
				}
				return fill.Replace(strings.Trim(cell, "`"))
			}
			if target := content(cells[1]); target != "" {
				if got := call(t, base, "PUT", "/target-config/", `{"config":`+target+`}`); got.status != 200 {
					t.Fatal(got)
				}
			}
			kind := "Content-Type: application/json"
			if asked[3] != "" {
				kind = "Content-Type: " + asked[3]
			}
			if got := call(t, base, asked[1], asked[2], content(cells[2]), kind); got.status != want {
				t.Errorf("%s: %d %s", line, got.status, got.body)
			}
		})
	}
	if rows < 10 {
		t.Errorf("only %d rows were read", rows)
	}
}
