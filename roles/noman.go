//go:build !man

package roles

import "github.com/urfave/cli/v2"

// manual returns nothing in this build.
func (f *frame) manual(*cli.Command) []*cli.Command { return nil }
