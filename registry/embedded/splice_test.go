package embedded_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"aspects-poc/internal/program"
	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/confdb/path"
	"aspects-poc/registry/embedded"
)

// TestSplice: for any change of a bag, the spliced text is the same as a text that is written without the previous one.
func TestSplice(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var encoder embedded.Encoder
	var bag databag.Bag
	largest := 0
	// Few keys at the top, many below some of them, so that there are objects of all kinds.
	location := func() string {
		parts := []string{fmt.Sprintf("t%d", random.IntN(3))}
		for range 1 + random.IntN(2) {
			parts = append(parts, fmt.Sprintf("k%d", random.IntN(150)))
		}
		if random.IntN(300) == 0 {
			parts = parts[:1]
		}
		return strings.Join(parts, ".")
	}
	steps := 6000
	if program.Raced {
		steps = 1000 // on one goroutine
	}
	for step := range steps {
		changes := random.IntN(4) // none as well
		for range changes {
			at, err := path.ParseStorage(location())
			if err != nil {
				t.Fatal(err)
			}
			next := bag
			switch random.IntN(10) {
			case 0:
				next, err = bag.Unset(at)
			case 1:
				next, err = bag.Set(at, node(t, map[string]any{"k1": "x", "k2": map[string]any{}, "k3": nil}))
			case 2:
				next, err = bag.Set(at, node(t, map[string]any{}))
			default:
				next, err = bag.Set(at, node(t, strings.Repeat("<ü>", random.IntN(9))+strconv.Itoa(step)))
			}
			if err == nil {
				bag = next // else something is in the way, which is as good
			}
		}
		largest = max(largest, len(bag.AppendJSON(nil)))
		before := strings.Repeat("#", random.IntN(50))
		if got, want := encoder.Encode(bag, before), string(bag.AppendJSON(nil)); got != want {
			t.Fatalf("step %d:\n%s\nwant\n%s", step, got, want)
		}
		if random.IntN(500) == 0 {
			bag = parse(t, string(bag.AppendJSON(nil))) // as after another process's commit: equal and not the same
		}
		if random.IntN(1000) == 0 {
			bag = databag.Bag{}
		}
	}
	if largest < 4000 {
		t.Errorf("the test covers little: at most %d bytes", largest)
	}
}

func node(t *testing.T, value any) *databag.Node {
	t.Helper()
	n, err := databag.FromValue(value)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func parse(t *testing.T, text string) databag.Bag {
	t.Helper()
	bag, err := databag.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return bag
}
