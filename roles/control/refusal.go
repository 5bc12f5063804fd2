package control

import (
	"errors"

	"aspects-poc/registry"
)

// lasting reports whether a refusal is the fault of the target, so that it would be refused again.
func lasting(err error) bool {
	for _, kind := range []error{registry.ErrInvalid, registry.ErrRejected, registry.ErrNoMatch, registry.ErrNoView,
		registry.ErrBadRequest} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// isRefusal reports whether an error is a refusal of the target. Time or an administrator can solve other errors.
func isRefusal(err error) bool {
	for _, kind := range []error{registry.ErrInvalid, registry.ErrRejected, registry.ErrNoMatch, registry.ErrNoView,
		registry.ErrBadRequest, registry.ErrUnauthorized, registry.ErrUnsupported, registry.ErrOther} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
