package snapctl_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/snapctl"
)

// Outside of a snap there is no cookie.
func ExampleOpen() {
	_, err := snapctl.Open(context.Background(), snapctl.Options{Cookie: "", SnapName: "aspects-poc-vpn"})
	fmt.Println(errors.Is(err, backend.ErrUnauthorized))
	fmt.Println(err)
	// Output:
	// true
	// cannot use snapctl: not inside a snap, no SNAP_COOKIE (try: start it as an app, service or hook of a snap)
}

// An observe-view hook only calls Poke.
func ExamplePoke() {
	common, err := os.MkdirTemp("", "snap-common-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(common) }()

	if err := snapctl.Poke(filepath.Join(common, "confdb-changes"), "control-tunnel"); err != nil {
		log.Fatal(err)
	}
	told, err := filepath.Glob(filepath.Join(common, "confdb-changes", "*"))
	fmt.Println(filepath.Base(told[0]), err)
	// Output: control-tunnel <nil>
}
