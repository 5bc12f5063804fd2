package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
)

var Explain = explain

// LimitPages makes the store find its disk full beyond a number of pages more than it has; 0 takes the limit away.
func (s *Store) LimitPages(t *testing.T, more int64) {
	t.Helper()
	err := s.writer.alone(func(conn *sql.Conn) error {
		var pages int64
		if err := conn.QueryRowContext(context.Background(), "PRAGMA page_count").Scan(&pages); err != nil {
			return err
		}
		limit := pages + more
		if more == 0 {
			limit = 1 << 30
		}
		_, err := conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", limit))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Hold keeps the writer busy until the function it returns is called.
func (s *Store) Hold(t *testing.T) (release func()) {
	t.Helper()
	started, stop := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.writer.do(t.Context(), job{do: func(*sql.Conn) error {
			close(started)
			<-stop
			return nil
		}})
	}()
	<-started
	return func() { close(stop) }
}

// CreateVersion makes a database as the program wrote it at a version of the schema.
func CreateVersion(t *testing.T, path string, version int) {
	t.Helper()
	db, err := sql.Open("sqlite", dataSource(path, "_pragma=synchronous(FULL)"))
	if err != nil {
		t.Fatal(err)
	}
	statements := []string{fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA journal_mode = WAL"}
	for _, step := range migrations[:version] {
		statements = append(statements, step.statements)
	}
	statements = append(statements, fmt.Sprintf("PRAGMA user_version = %d", version))
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
