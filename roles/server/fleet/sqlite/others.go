package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/server/fleet"
)

// lookEvery is the time between two looks for named secrets that another process has changed.
const lookEvery = time.Second

// others has the state of the file as this process has seen it last. A difference is a change by another process.
type others struct {
	version  int64 // of the data as the writer's connection knows them: other connections change it
	revision int64 // of the last change of a named secret

	end     context.CancelFunc
	running sync.WaitGroup
}

// changedSecrets has the history of named secrets behind a revision.
const changedSecrets = "SELECT revision, layer FROM history WHERE layer >= 'secrets/' AND layer < 'secrets0' AND revision > ?" +
	" ORDER BY revision"

// followOthers looks for changes until the store is closed.
func (s *Store) followOthers() {
	ctx, end := context.WithCancel(context.Background())
	s.others.end = end
	s.others.running.Go(func() {
		for poll.Sleep(ctx, lookEvery) == nil {
			_ = s.noticeOthers(ctx) // whoever uses the file next is told
		}
	})
}

func (o *others) stop() {
	if o.end != nil {
		o.end()
		o.running.Wait()
	}
}

// noticeOthers looks whether another process has changed a named secret. If so, it forgets what was read before and sends
// notices.
func (s *Store) noticeOthers(ctx context.Context) error {
	return s.writer.alone(func(conn *sql.Conn) error {
		var version int64
		if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil || version == s.others.version {
			return err
		}
		found, err := conn.QueryContext(ctx, changedSecrets, s.others.revision)
		if err != nil {
			return err
		}
		defer func() { _ = found.Close() }() // Err has told what there is to tell
		var told []fleet.Notice
		for found.Next() {
			notice := fleet.Notice{Kind: fleet.TargetChanged}
			if err := found.Scan(&notice.Revision, &notice.Layer); err != nil {
				return err
			}
			told = append(told, notice)
		}
		if err := found.Err(); err != nil {
			return err
		}
		s.others.version = version
		if len(told) > 0 {
			s.others.revision = told[len(told)-1].Revision
			s.recentDevices.clear()
			s.recentLayers.clear()
			s.hub.Send(told...)
		}
		return nil
	})
}

// begin records the present state, with which noticeOthers compares.
func (o *others) begin(ctx context.Context, conn *sql.Conn) error {
	if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&o.version); err != nil {
		return err
	}
	return conn.QueryRowContext(ctx, "SELECT coalesce(max(revision), 0) FROM ("+changedSecrets+")", 0).Scan(&o.revision)
}
