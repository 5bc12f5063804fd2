package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/server/fleet"
)

// lookEvery is the time between two checks for named secrets that another process has changed.
const lookEvery = time.Second

// others has the last state of the file that this process has seen. A difference is a change by another process.
type others struct {
	version  int64 // version of the data in the writer's connection, which other connections change
	revision int64 // of the last change of a named secret

	end     context.CancelFunc
	running sync.WaitGroup
}

// changedSecrets selects the history of named secrets after a revision.
const changedSecrets = "SELECT revision, layer FROM history WHERE layer >= 'secrets/' AND layer < 'secrets0' AND revision > ?" +
	" ORDER BY revision"

// followOthers checks for changes until the store is closed.
func (s *Store) followOthers() {
	ctx, end := context.WithCancel(context.Background())
	s.others.end = end
	s.others.running.Go(func() {
		for poll.Sleep(ctx, lookEvery) == nil {
			_ = s.noticeOthers(ctx) // the next user of the file gets the error
		}
	})
}

func (o *others) stop() {
	if o.end != nil {
		o.end()
		o.running.Wait()
	}
}

// noticeOthers checks whether another process has changed a named secret. If so, it clears what was read before and
// sends notices.
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
		defer func() { _ = found.Close() }() // Err has returned the error
		var notices []fleet.Notice
		for found.Next() {
			notice := fleet.Notice{Kind: fleet.TargetChanged}
			if err := found.Scan(&notice.Revision, &notice.Layer); err != nil {
				return err
			}
			notices = append(notices, notice)
		}
		if err := found.Err(); err != nil {
			return err
		}
		s.others.version = version
		if len(notices) > 0 {
			s.others.revision = notices[len(notices)-1].Revision
			s.recentDevices.clear()
			s.recentLayers.clear()
			s.hub.Send(notices...)
		}
		return nil
	})
}

// begin records the present state for the comparison in noticeOthers.
func (o *others) begin(ctx context.Context, conn *sql.Conn) error {
	if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&o.version); err != nil {
		return err
	}
	return conn.QueryRowContext(ctx, "SELECT coalesce(max(revision), 0) FROM ("+changedSecrets+")", 0).Scan(&o.revision)
}
