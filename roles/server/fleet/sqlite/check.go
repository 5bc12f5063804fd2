package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// room is how many bytes a write for a device may need: some pages, each of them in the log and in the database.
const room = 64 << 10

// Check implements fleet.Store. It writes, and then checks that there is room for more: the write is one page of the
// log, which may replace an older one, and a device that registers needs several pages.
func (s *Store) Check(ctx context.Context) error {
	err := s.change(ctx, "write", scope{}, func(conn *sql.Conn) error {
		// An update without any changed byte would write nothing.
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "INSERT INTO counter SELECT max(floor) FROM counter;"+
			" DELETE FROM counter WHERE rowid > (SELECT min(rowid) FROM counter)")
		return err
	}, nil)
	if err != nil {
		return err
	}
	return s.fail("write", s.hasRoom())
}

// hasRoom writes a temporary file beside the database.
func (s *Store) hasRoom() (err error) {
	file, err := os.CreateTemp(filepath.Dir(s.path), "."+filepath.Base(s.path)+"-room-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// A file without a name disappears with the process, however the process ends.
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	if _, err := file.Write(make([]byte, room)); err != nil {
		return fmt.Errorf("there is no room for another %d bytes: %w", room, err)
	}
	return nil
}
