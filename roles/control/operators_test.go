package control

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/control/state"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/signed"
)

var someKeys = signed.Keys{{Name: "anna", Key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZ6OKw0dHc4KtSsgpzlx9TCljIQkK5mgtTQqu24aMiX"}}

// TestOperators pins keys once, keeps them without the flag, and applies nothing if they cannot be read or kept.
func TestOperators(t *testing.T) {
	dir := &state.Dir{Path: t.TempDir()}
	file := filepath.Join(dir.Path, "operators.json")
	open := func(keys signed.Keys) *operators {
		return &operators{dir: dir, keys: keys, log: slog.New(slog.DiscardHandler)}
	}
	offer := &serverapi.Offer{Config: serverapi.Config{}}
	if err := open(nil).check(offer); err != nil {
		t.Errorf("a device without keys asks for a signature: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a device without keys has a file of them")
	}
	broken := &state.Dir{Path: dir.Path, Replace: func(string, []byte, os.FileMode) error { return errors.New("the disk is full") }}
	if err := (&operators{dir: broken, keys: someKeys, log: slog.New(slog.DiscardHandler)}).check(offer); stateError(err) == nil {
		t.Errorf("keys that cannot be kept: %v", err)
	}
	if err := open(someKeys).load(); err != nil {
		t.Fatal(err)
	}
	other := signed.Keys{{Name: "eve", Key: someKeys[0].Key}}
	for _, keys := range []signed.Keys{nil, other} {
		o := open(keys)
		if err := o.load(); err != nil || !o.guard.Keys.Equal(someKeys) {
			t.Errorf("the keys are %v, %v", o.guard.Keys, err)
		}
	}
	for _, damaged := range []string{"", "{", "{}", `{"keys":[]}`, `{"keys":[{"name":"anna","key":"ssh-ed25519 x"}]}`} {
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(nil).check(offer); stateError(err) == nil {
			t.Errorf("%q: %v: the device would apply what nobody has signed", damaged, err)
		}
	}
}

// TestStatus shows how old the last statement is, and fails if a newer one was promised.
func TestStatus(t *testing.T) {
	dir := &state.Dir{Path: t.TempDir()}
	now := time.Unix(1_800_000_000, 0)
	show := func() (string, error) {
		var out strings.Builder
		err := showStatus(&out, dir, now)
		return out.String(), err
	}
	if text, err := show(); err != nil || !strings.Contains(text, "no signature is asked for") {
		t.Error(text, err)
	}
	guard := signed.Guard{Keys: someKeys}
	for _, test := range []struct {
		number, again int64
		want          string
		fails         bool
	}{{0, 0, "none yet", false}, {3, 0, "3 of fleet", false}, {3, now.Unix() + 1, "1m0s ago", false}, {3, now.Unix() - 1, "Next one by", true}} {
		guard.Number, guard.SignAgain, guard.At = test.number, test.again, now.Unix()-60
		if err := dir.SaveGuard(guard); err != nil {
			t.Fatal(err)
		}
		if text, err := show(); (err != nil) != test.fails || !strings.Contains(text, test.want) {
			t.Errorf("%+v: %v\n%s", test, err, text)
		}
	}
}
