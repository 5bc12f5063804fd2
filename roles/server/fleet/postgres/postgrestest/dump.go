package postgrestest

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Dump writes a backup of the database at an address to a file, with the command in docs/fleet-database.md.
func Dump(address, file string) error {
	_, err := client("pg_dump", "--format=custom", "--file="+file, "--dbname="+address)
	return err
}

// Load restores a backup in the database at an address, with the command in docs/fleet-database.md. No server may be
// using the database.
func Load(address, file string) error {
	last, err := client("psql", "--dbname="+address, "--tuples-only", "--command=SELECT value FROM counters WHERE name = 'revision'")
	if err != nil {
		return err
	}
	if _, err := client("pg_restore", "--clean", "--if-exists", "--single-transaction", "--dbname="+address, file); err != nil {
		return err
	}
	_, err = client("psql", "--dbname="+address,
		"--command=UPDATE counters SET value = greatest(value, "+last+") + 1000 WHERE name = 'revision'")
	return err
}

// client runs one of PostgreSQL's programs, and returns its output.
func client(name string, arguments ...string) (string, error) {
	programs, err := find()
	if err != nil {
		return "", err
	}
	output, err := exec.Command(filepath.Join(programs, name), arguments...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(output))
	}
	return string(bytes.TrimSpace(output)), err
}
