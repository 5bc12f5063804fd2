//go:build !man

package roles

import "github.com/urfave/cli/v2"

// manual is for the build that writes the manual pages.
func (f *frame) manual(*cli.Command) []*cli.Command { return nil }
