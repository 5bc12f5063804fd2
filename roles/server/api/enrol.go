package api

import (
	"context"
	"errors"
	"maps"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// enrol registers a device, if it may register, or returns the device of the same key.
func (h *handlers) enrol(c echo.Context, identity fleet.Identity, labels fleet.Labels, token string) (fleet.Device, error) {
	ctx := c.Request().Context()
	keyID, status := "", fleet.Active
	if h.gate != nil {
		var err error
		if keyID, err = h.gate.Prove(c.Request(), identity.PublicKeyRSA); errors.Is(err, access.ErrNoKey) {
			return fleet.Device{}, fieldProblem(serverapi.FieldProblem{Field: "public-key-rsa",
				Message: "must be a key that the request is signed with: RSA of 2048 to 4096 bits, in PEM"})
		} else if err != nil {
			return fleet.Device{}, err
		}
		// A device that registers again, because it missed the answer, does not use the token again.
		known, err := h.fleet.DeviceByKey(ctx, keyID)
		if err == nil {
			if err := h.gate.Again(keyID, holder(known)); err != nil {
				return fleet.Device{}, err
			}
			return known, h.gate.Once(c.Request())
		}
		if !errors.Is(err, fleet.ErrUnknownDevice) {
			return fleet.Device{}, err
		}
		admitted, err := h.gate.Admit(ctx, token)
		if err != nil {
			return fleet.Device{}, err
		}
		if admitted.Status == serverapi.Pending {
			status = fleet.Pending
		}
		if labels, err = under(labels, admitted.Labels); err != nil {
			return fleet.Device{}, err
		}
		if err := h.gate.Once(c.Request()); err != nil {
			return fleet.Device{}, err
		}
	}
	device, err := h.fleet.RegisterSigning(ctx, identity, keyID, labels, status)
	if err != nil || h.gate == nil {
		return device, err
	}
	if err := h.gate.Again(keyID, holder(device)); err != nil {
		return fleet.Device{}, err
	}
	return h.beginToSign(ctx, device, keyID, identity.PublicKeyRSA)
}

// under returns the labels that a device says of itself, with those of its enrolment token in the place of its own of the same
// names.
func under(own, token fleet.Labels) (fleet.Labels, error) {
	if len(token) == 0 {
		return own, nil
	}
	labels := fleet.Labels{}
	maps.Copy(labels, own)
	maps.Copy(labels, token)
	if name, err := labels.Check(); err != nil {
		return nil, &fleet.LabelError{Name: name, Err: err}
	}
	return labels, nil
}

// beginToSign records that a device signs from now on. It had registered with this key, and without signature.
func (h *handlers) beginToSign(ctx context.Context, device fleet.Device, keyID, publicKey string) (fleet.Device, error) {
	if device.KeyID == keyID {
		return device, nil
	}
	if err := h.fleet.SetKey(ctx, device.ID, device.KeyID, publicKey); err != nil {
		return fleet.Device{}, err
	}
	h.gate.Forget(device.ID)
	device.KeyID = keyID
	return device, nil
}

// holder returns what package access needs to know of a device.
func holder(device fleet.Device) access.Holder {
	return access.Holder{ID: device.ID, KeyID: device.KeyID, PublicKey: device.PublicKeyRSA, Status: device.Status.String()}
}
