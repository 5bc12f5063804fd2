// Package home has the address of the project's source. The workflow that `registry new` writes, the labels of the
// OCI image and the documents use it; a test compares the documents.
package home

import "strings"

// Address is the URL of the project's source. There is no public one yet: YOUR_ORG cannot be a GitHub account. To
// change it, change this line and run the tests.
const Address = "https://github.com/YOUR_ORG/aspects-poc"

// Action returns the name of the project's action in GitHub workflows, "OWNER/NAME", without a version.
func Action() string { return strings.TrimPrefix(Address, "https://github.com/") }
