package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet/seal"
)

func TestSealAndOpen(t *testing.T) {
	ring, other := seal.Random(), seal.Random()
	value := []byte(`"hunter2"`)
	sealed := ring.Seal("here", value)
	if strings.Contains(sealed, "hunter2") || sealed != ring.Seal("here", value) {
		t.Errorf("sealed to %s, then to %s", sealed, ring.Seal("here", value))
	}
	if ring.Seal("there", value) == sealed || other.Seal("here", value) == sealed {
		t.Error("another place or key seals to the same text")
	}
	if got, err := ring.Open("here", sealed); err != nil || !bytes.Equal(got, value) {
		t.Errorf("opened to %s, %v", got, err)
	}
	for _, test := range []struct {
		ring        *seal.Ring
		place, text string
		want        error
	}{
		{ring, "there", sealed, seal.ErrForged},
		{ring, "here", sealed[:len(sealed)-1] + flip(sealed), seal.ErrForged},
		{ring, "here", "", seal.ErrForged},
		{ring, "here", "no base64!", seal.ErrForged},
		{ring, "here", sealed[:22], seal.ErrForged},
		{other, "here", sealed, seal.ErrUnknownKey},
	} {
		if got, err := test.ring.Open(test.place, test.text); !errors.Is(err, test.want) {
			t.Errorf("%s at %s: %s, %v; want %v", test.text, test.place, got, err, test.want)
		}
	}
}

func flip(text string) string {
	if strings.HasSuffix(text, "A") {
		return "Q"
	}
	return "A"
}

func TestRotated(t *testing.T) {
	old := seal.Random()
	sealed := old.Seal("here", []byte("1"))
	ring, err := seal.Parse(old.Rotated().Text())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ring.Open("here", sealed); err != nil || string(got) != "1" {
		t.Errorf("what the former key sealed: %s, %v", got, err)
	}
	if ring.ID() == old.ID() || !ring.Has(old.ID()) || !ring.Several() || ring.Seal("here", []byte("1")) == sealed {
		t.Error("the former key still seals")
	}
	if a, b := ring.Shown("a", "1"), ring.Shown("b", "1"); a == b || a != ring.Shown("a", "1") || a == ring.Digest([]byte("1")) {
		t.Errorf("shown digests: %s, %s", a, b)
	}
	if digests := ring.Digests([]byte("1")); len(digests) != 2 || digests[0] != ring.Digest([]byte("1")) || digests[1] != old.Digest([]byte("1")) {
		t.Error(digests)
	}
}

func TestParse(t *testing.T) {
	raw := bytes.Repeat([]byte{7, '\n', 0, '#'}, 8)
	ring, err := seal.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.Parse(ring.Text())
	if err != nil || again.ID() != ring.ID() {
		t.Errorf("as lines: %v", err)
	}
	for text, want := range map[string]string{
		"":                              "32 bytes or more",
		"short":                         "this one has 5",
		"aspects-secret-key AAAA\n":     "line 1: a key has 32 bytes",
		"aspects-secret-key !\n":        "line 1 is no key",
		"# aspects-secret-key x\n":      "no line with a key",
		string(ring.Text()) + "\nother": "line 5 is no key",
	} {
		if _, err := seal.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
