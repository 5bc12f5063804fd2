package world

import "context"

// A SnapctlCall is one run of snapctl.
type SnapctlCall struct {
	Cookie string // of the hook or snap that calls
	UID    int    // of the caller
	Args   []string
}

// A SnapctlOutput is what snapctl prints.
type SnapctlOutput struct{ Stdout, Stderr string }

// Snapctl does what a snap asks for by snapctl. Errors are *Error as the REST API answers them; one of KindUnsuccessful
// has a Value with stdout, stderr and exit-code.
func (w *World) Snapctl(ctx context.Context, call SnapctlCall) (SnapctlOutput, error) {
	if len(call.Args) == 0 {
		return SnapctlOutput{}, badRequest("snapctl cannot run without args")
	}
	return SnapctlOutput{}, badRequest("snapctl: not there yet")
}
