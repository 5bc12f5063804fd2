// Package home holds the address of the project's home. Everything that names the address takes it from here: the
// workflow that `registry new` writes, the labels of the OCI image, and the documents, which a test compares with it.
package home

import "strings"

// Address is where the project's source is. The project has no public home yet: no GitHub account can have
// the name YOUR_ORG. Change this line, and run the tests, when there is one.
const Address = "https://github.com/YOUR_ORG/aspects-poc"

// Action returns how a GitHub workflow names the project's action, without a version: "OWNER/NAME".
func Action() string { return strings.TrimPrefix(Address, "https://github.com/") }
