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

// enrol registers a device, or returns the device with the same key. It returns a refusal if the device may not
// register.
func (h *handlers) enrol(c echo.Context, identity fleet.Identity, said fleet.Labels, token string) (fleet.Device, error) {
	ctx := c.Request().Context()
	keyID, status := "", fleet.Active
	var ofToken fleet.Labels
	if h.gate != nil {
		var err error
		if keyID, err = h.gate.Prove(c.Request(), identity.PublicKeyRSA); errors.Is(err, access.ErrNoKey) {
			return fleet.Device{}, fieldProblem(serverapi.FieldProblem{Field: "public-key-rsa",
				Message: "must be a key that the request is signed with: RSA of 2048 to 4096 bits, in PEM"})
		} else if err != nil {
			return fleet.Device{}, err
		}
		// A device that registers again because it missed the answer does not use its token twice.
		known, err := h.fleet.DeviceByKey(ctx, fleet.KeyID(identity.PublicKeyRSA)) // a revoked key is refused unsigned, too
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
		ofToken = admitted.Labels
		if err := h.gate.Once(c.Request()); err != nil {
			return fleet.Device{}, err
		}
	}
	labels, err := labelsOf(said, ofToken)
	if err != nil {
		return fleet.Device{}, err
	}
	device, err := h.fleet.RegisterSigning(ctx, identity, keyID, labels, status)
	if err != nil || h.gate == nil {
		return device, err
	}
	if err := h.gate.Again(keyID, holder(device)); err != nil {
		return fleet.Device{}, err
	}
	return h.beginToSign(ctx, device, keyID, identity.PublicKeyRSA, labels)
}

// labelsOf returns the labels of a device that registers: its own, and those of its enrolment token.
func labelsOf(said, token fleet.Labels) (fleet.Labels, error) {
	labels := said.Said()
	maps.Copy(labels, token)
	if name, err := labels.Check(); err != nil {
		return nil, &fleet.LabelError{Name: name, Err: err}
	}
	return labels, nil
}

// beginToSign records that a device signs. Somebody without the private key may have registered its public key before.
// So the device gets the labels of its own registration; fleet.Relabel describes the labels that an operator has
// changed.
func (h *handlers) beginToSign(
	ctx context.Context, device fleet.Device, keyID, publicKey string, labels fleet.Labels,
) (fleet.Device, error) {
	if device.KeyID == keyID {
		return device, nil
	}
	var err error
	if device.Labels, err = h.fleet.Relabel(ctx, device, labels); err != nil {
		return fleet.Device{}, err
	}
	if err := h.fleet.SetKey(ctx, device.ID, device.KeyID, publicKey); err != nil {
		return fleet.Device{}, err
	}
	h.gate.Forget(device.ID)
	device.KeyID = keyID
	return device, nil
}

// holder converts a device for package access.
func holder(device fleet.Device) access.Holder {
	return access.Holder{ID: device.ID, KeyID: device.KeyID, PublicKey: device.PublicKeyRSA, Status: device.Status.String()}
}
