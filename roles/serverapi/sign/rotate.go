package sign

import (
	"encoding/base64"
	"fmt"

	"github.com/google/uuid"
)

// succession returns the text that a new key signs in order to replace an old key. The text names one device and both
// keys, and no request can have the same text.
func succession(device uuid.UUID, oldKeyID, newKeyID string) string {
	return fmt.Sprintf("aspects-poc key succession\ndevice: %s\nold: %s\nnew: %s\n", device, oldKeyID, newKeyID)
}

// Succeed returns the proof that this signer's key consents to replace another key of a device.
func (s *Signer) Succeed(device uuid.UUID, oldKeyID string) (proof string, err error) {
	signature, err := s.signText(succession(device, oldKeyID, s.id))
	if err != nil {
		return "", fmt.Errorf("cannot prove that the new key is ours: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// VerifySuccession verifies a proof of Succeed with the new key. It returns the new key's ID. The error is ErrKey or
// ErrSignature.
func VerifySuccession(device uuid.UUID, oldKeyID, newKey, proof string) (newKeyID string, err error) {
	key, err := ParsePublicKey(newKey)
	if err != nil {
		return "", err
	}
	if newKeyID, err = KeyID(key); err != nil {
		return "", err
	}
	signature, err := base64.StdEncoding.DecodeString(proof)
	if err != nil {
		return "", ErrSignature
	}
	return newKeyID, Verify(key, succession(device, oldKeyID, newKeyID), signature)
}
