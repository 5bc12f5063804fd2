package control

import (
	"errors"

	"aspects-poc/registry"
)

// lasting reports whether the target itself causes a refusal.
func lasting(err error) bool {
	for _, kind := range []error{registry.ErrInvalid, registry.ErrRejected, registry.ErrNoMatch, registry.ErrNoView,
		registry.ErrBadRequest} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// isRefusal reports whether an error concerns the target. Other errors can be solved by time or an administrator.
func isRefusal(err error) bool {
	for _, kind := range []error{registry.ErrInvalid, registry.ErrRejected, registry.ErrNoMatch, registry.ErrNoView,
		registry.ErrBadRequest, registry.ErrUnauthorized, registry.ErrUnsupported, registry.ErrOther} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
