// Package signed has the statements that operators sign, so that devices need not trust their server. A Statement says
// which targets the devices of a fleet may have; a Manifest has its content. An operator's machine makes both, a server
// stores them as a Book, and a device checks a statement with a Guard.
//
//	err := manifest.Plan()                                             // the operator's machine completes a Manifest
//	text, err := manifest.Complete(statement)                          // ssh-keygen -Y sign signs the text
//	book, err := signed.Open(envelope, manifestText, salts, before)    // a server verifies and stores both
//	evidence, err := book.Evidence(keyID, targetHash, places)          // goes to the device with its target
//	guard, err = guard.Accept(evidence, keyID, config, now)            // the device
//
// A statement has the name of the fleet, a number, and the digest of the statement before. It has the root of a Merkle
// tree (RFC 6962). Each leaf has a device, named by its own key, and the targets that the device may have. A device
// thus needs only its own leaf and a proof of some 14 hashes, and nobody can give it another device's target.
//
// The package does no I/O and makes no signatures: ssh-keygen signs. The package verifies signatures of SSH keys in the
// format of ssh-keygen -Y sign. Package layers merges the layers.
package signed
