package postgrestest

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Dump writes a backup of the database at an address to a file, as docs/fleet-database.md has it.
func Dump(address, file string) error {
	return client("pg_dump", "--format=custom", "--file="+file, "--dbname="+address)
}

// Load goes back to a backup, in the database at an address, which no server may be using, as docs/fleet-database.md has it.
func Load(address, file string) error {
	err := client("pg_restore", "--clean", "--if-exists", "--single-transaction", "--dbname="+address, file)
	if err != nil {
		return err
	}
	return client("psql", "--dbname="+address, "--set=ON_ERROR_STOP=1", "--quiet",
		"--command=UPDATE counters SET value = value + 100000 WHERE name = 'revision'")
}

// client runs one of PostgreSQL's programs.
func client(name string, arguments ...string) error {
	programs, err := find()
	if err != nil {
		return err
	}
	if output, err := exec.Command(filepath.Join(programs, name), arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(output))
	}
	return nil
}
