package kitcmd

import (
	"fmt"

	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/roles"
	"aspects-poc/roles/network"

	schemadoc "aspects-poc/internal/document"
)

// readSchema reads the confdb-schemas of a file in any form, for an imitated machine. account replaces the file's
// account ID; "" preserves it.
func readSchema(path, account string) ([]facts.Schema, error) {
	docs, err := parseFile(path)
	if err != nil {
		return nil, err
	}
	return machineSchemas(path, docs, account)
}

// machineSchemas converts a file's confdb-schemas for an imitated machine.
func machineSchemas(path string, docs []*schemadoc.Document, account string) (list []facts.Schema, err error) {
	for _, doc := range docs {
		if account == "" && doc.Unfilled("account-id") {
			return nil, fmt.Errorf("cannot use %s: its account-id is a placeholder: give --%s", path, flagAccount)
		}
		signable, err := doc.Unsigned(account)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s: %w", path, err)
		}
		schema, err := facts.ParseSchema(signable)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s: %w (aspects-poc registry lint %s tells where)", path, err, path)
		}
		if doc.Form == schemadoc.Assertion {
			schema.Assertion = string(doc.Text)
		}
		list = append(list, schema)
	}
	return list, nil
}

// readSchemas reads the confdb-schemas of several files with read.
func readSchemas(paths []string, account string, read func(path, account string) ([]facts.Schema, error)) ([]facts.Schema, error) {
	var list []facts.Schema
	for _, path := range paths {
		schemas, err := read(path, account)
		if err != nil {
			return nil, err
		}
		list = append(list, schemas...)
	}
	return list, nil
}

// parseFile reads all confdb-schemas of a file.
func parseFile(path string) ([]*schemadoc.Document, error) {
	text, err := schemadoc.Read(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the confdb-schema: %w", err)
	}
	return schemadoc.ParseSchemas(path, text)
}

// validAccount returns a usage error for an invalid value of --account-id; "" is valid.
func validAccount(id string) error {
	if id == "" {
		return nil
	}
	if err := network.ValidAccount(id); err != nil {
		return roles.Usagef("invalid value for --%s: %v", flagAccount, err)
	}
	return nil
}
