// Package signed has what an operator signs, so that devices need not trust their server: a Statement on the targets of all
// devices of a fleet. The operator's machine makes it, servers keep it and pass it on, and a device checks it with a Guard.
//
//	manifest, err := signed.Plan(layers, devices, secrets)            // the operator's machine
//	statement, err := manifest.Statement(...)                         // its text is signed by ssh-keygen -Y sign
//	book, err := signed.Open(envelope)                                // a server
//	evidence, err := book.Evidence(keyID, target)                     // goes with the target to the device
//	guard, err = guard.Accept(evidence, keyID, config)                // the device
//
// A statement names the fleet, has a number, and the digest of the statement before. It has the root of a Merkle tree
// (RFC 6962) whose leaves are devices, named by their own keys, and the targets that each may have. So a device needs only its
// own leaf and a proof of some 14 hashes, and nobody can give it the target of another one.
//
// The package does no I/O and makes no signatures. It verifies those of SSH keys, in the format of ssh-keygen -Y sign.
package signed
