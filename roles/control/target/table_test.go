package target_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aspects-poc/roles/control/target"
)

var update = flag.Bool("update", false, "write the table into docs/safe-apply.md")

// docs/safe-apply.md shows the diagram and the table of the transitions.
func TestDocument(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "safe-apply.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for name, generated := range map[string]string{"diagram": diagram(), "table": table()} {
		begin, end := "<!-- "+name+": go test ./roles/control/target -update -->\n", "<!-- end of the "+name+" -->"
		before, rest, found := strings.Cut(want, begin)
		_, after, ends := strings.Cut(rest, end)
		if !found || !ends {
			t.Fatalf("%s has no place for the %s", path, name)
		}
		want = before + begin + generated + end + after
	}
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s does not show the transitions; run: go test ./roles/control/target -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// diagram draws the transitions from one phase to another, one line for each pair.
func diagram() string {
	var text strings.Builder
	text.WriteString("\n```mermaid\nstateDiagram-v2\n    [*] --> idle\n")
	labels, order := map[string][]string{}, []string{}
	for _, row := range target.Table {
		for _, from := range row.From {
			if row.To == target.Same || row.To == from {
				continue
			}
			arrow := fmt.Sprintf("%s --> %s", name(from), name(row.To))
			if labels[arrow] == nil {
				order = append(order, arrow)
			}
			label := string(row.On)
			if row.When != "" {
				label += ", " + row.When
			}
			if row.Ends == "refused" || row.Ends == "failed" || row.Ends == "applied" {
				label += " (" + row.Ends + ")"
			}
			labels[arrow] = append(labels[arrow], label)
		}
	}
	for _, arrow := range order {
		text.WriteString("    " + arrow + ": " + strings.Join(labels[arrow], "<br>") + "\n")
	}
	text.WriteString("```\n\n")
	return text.String()
}

func table() string {
	var text strings.Builder
	text.WriteString("\n| phase | event | if | control | next phase |\n|---|---|---|---|---|\n")
	for _, row := range target.Table {
		var from, effects []string
		for _, phase := range row.From {
			from = append(from, name(phase))
		}
		if len(from) == 4 {
			from = []string{"any"}
		}
		if row.Then != "" {
			effects = append(effects, row.Then)
		}
		for _, effect := range row.Effects {
			effects = append(effects, string(effect))
		}
		to := name(row.To)
		if row.Ends != "" {
			to += "; ended: " + row.Ends
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s |\n", strings.Join(from, ", "), row.On, row.When,
			strings.Join(effects, "; "), to)
	}
	text.WriteString("\n")
	return text.String()
}

func name(phase target.Phase) string {
	if phase == target.Idle {
		return "idle"
	}
	return string(phase)
}

// Each kind of event has a transition in some phase, and no row is hidden by one above.
func TestTable(t *testing.T) {
	for _, kind := range target.Kinds() {
		if !slices.ContainsFunc(target.Table, func(row target.Transition) bool { return row.On == kind }) {
			t.Errorf("no transition on %q", kind)
		}
	}
	for i, row := range target.Table {
		for _, above := range target.Table[:i] {
			hides := above.On == row.On && above.When == "" && slices.ContainsFunc(row.From, func(phase target.Phase) bool {
				return slices.Contains(above.From, phase)
			})
			if hides {
				t.Errorf("%q (%s) is never reached", row.On, row.When)
			}
		}
	}
}
