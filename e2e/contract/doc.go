// Package contract has tests only; see contract_test.go.
package contract
