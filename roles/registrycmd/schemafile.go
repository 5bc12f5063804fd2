package registrycmd

import (
	"fmt"
	"os"
	"time"

	schemadoc "aspects-poc/internal/document"
	"aspects-poc/registry/kit/world"
)

// readSchema reads a confdb-schema's file, in whatever form it is, for an imitated machine. account replaces the file's
// account ID; "" leaves it.
func readSchema(path, account string) (world.Schema, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return world.Schema{}, fmt.Errorf("cannot read the confdb-schema: %w", err)
	}
	doc, err := schemadoc.Parse(path, text)
	if err != nil {
		return world.Schema{}, err
	}
	options := schemadoc.SignOptions{Account: account}
	if doc.Header("timestamp") == "" {
		options.Timestamp = time.Unix(0, 0).UTC() // nobody sees it: it is never signed
	}
	signable, err := doc.SignInput(options)
	if err != nil {
		return world.Schema{}, fmt.Errorf("cannot use %s: %w", path, err)
	}
	schema, err := world.ParseSchema(signable)
	if err != nil {
		return world.Schema{}, fmt.Errorf("cannot use %s: %w (aspects-poc registry lint %s tells where)", path, err, path)
	}
	if doc.Form == schemadoc.Assertion {
		schema.Assertion = string(text)
	}
	return schema, nil
}

func readSchemas(paths []string, account string) ([]world.Schema, error) {
	var list []world.Schema
	for _, path := range paths {
		schema, err := readSchema(path, account)
		if err != nil {
			return nil, err
		}
		list = append(list, schema)
	}
	return list, nil
}
