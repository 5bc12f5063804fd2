package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// room is how many bytes a write may need that changes a device: some pages, each of them in the log and in the database.
const room = 64 << 10

// Check implements fleet.Store: it writes, and looks whether there is room for more. The write is a page of the log, which
// may lie where an older one was; a device that registers needs several.
func (s *Store) Check(ctx context.Context) error {
	err := s.change(ctx, "write", scope{}, func(conn *sql.Conn) error {
		// An update that changes no byte would write nothing.
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "INSERT INTO counter SELECT max(floor) FROM counter;"+
			" DELETE FROM counter WHERE rowid > (SELECT min(rowid) FROM counter)")
		return err
	}, nil)
	if err != nil {
		return err
	}
	return s.fail("write", s.hasRoom())
}

// hasRoom puts a file beside the database, and takes it away.
func (s *Store) hasRoom() (err error) {
	file, err := os.CreateTemp(filepath.Dir(s.path), "."+filepath.Base(s.path)+"-room-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// A file without a name is gone with the process, however that ends.
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	if _, err := file.Write(make([]byte, room)); err != nil {
		return fmt.Errorf("there is no room for another %d bytes: %w", room, err)
	}
	return nil
}
