package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"
)

const selectRelease = "SELECT " + rows.ReleaseColumns + " FROM releases"

// A reader is a connection, a pool or a transaction.
type reader interface {
	QueryContext(ctx context.Context, query string, arguments ...any) (*sql.Rows, error)
}

// eachRow runs a query and calls row for each of its rows.
func eachRow(ctx context.Context, from reader, query string, row func(*sql.Rows) error, arguments ...any) error {
	found, err := from.QueryContext(ctx, query, arguments...)
	return pass(found, err, row)
}

func readReleases(ctx context.Context, from reader, condition string, arguments ...any) (list []fleet.Release, err error) {
	err = eachRow(ctx, from, selectRelease+condition, func(found *sql.Rows) error {
		var row rows.Release
		if err := found.Scan(row.Into()...); err != nil {
			return err
		}
		of, err := row.Release()
		list = append(list, of)
		return damaged(err)
	}, arguments...)
	return list, err
}

// activeRelease returns the active release with Before; nil for none.
func activeRelease(ctx context.Context, from reader) (*fleet.Release, error) {
	list, err := readReleases(ctx, from, " WHERE active = 1")
	if err != nil || len(list) == 0 {
		return nil, err
	}
	active := &list[0]
	err = eachRow(ctx, from, "SELECT "+rows.BeforeColumns+" FROM release_layers ORDER BY name", func(found *sql.Rows) error {
		var row rows.Before
		if err := found.Scan(row.Into()...); err != nil {
			return err
		}
		before, err := row.Before()
		active.Before = append(active.Before, before)
		return damaged(err)
	})
	return active, err
}

// addRelease writes a release that begins. Only the writer calls it and keepBefore.
func addRelease(ctx context.Context, conn *sql.Conn, begun fleet.Release, entry fleet.Entry) error {
	if err := record(ctx, conn, entry); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, "INSERT INTO releases ("+rows.ReleaseColumns+", active) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		rows.ReleaseValues(begun)...)
	return err
}

// keepBefore writes a layer as before a release that begins. device is the row of the layer's device.
func keepBefore(ctx context.Context, conn *sql.Conn, name fleet.LayerName, before fleet.Layer, device int64) error {
	own := int64(0)
	if name.IsDevice() {
		if err := conn.QueryRowContext(ctx, "SELECT own_revision FROM standings WHERE device = ?", device).Scan(&own); err != nil {
			return err
		}
	}
	_, err := conn.ExecContext(ctx, "INSERT INTO release_layers ("+rows.BeforeColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		rows.BeforeValues(name, before, own)...)
	return err
}

// Releases implements fleet.Store.
func (s *Store) Releases(ctx context.Context, below int64, limit int) ([]fleet.Release, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	if below == 0 {
		below = math.MaxInt64
	}
	list, err := readReleases(ctx, s.read, " WHERE id < ? ORDER BY id DESC LIMIT ?", below, limit)
	return list, s.fail("read the releases in", err)
}

// Release implements fleet.Store.
func (s *Store) Release(ctx context.Context, id int64) (fleet.Release, error) {
	if err := s.use(ctx); err != nil {
		return fleet.Release{}, err
	}
	defer s.mu.RUnlock()
	list, err := readReleases(ctx, s.read, " WHERE id = ?", id)
	if err == nil && len(list) == 0 {
		err = fleet.ErrUnknownRelease
	}
	if err != nil {
		return fleet.Release{}, s.fail("read a release in", err)
	}
	return list[0], nil
}

// MoveRelease implements fleet.Store.
func (s *Store) MoveRelease(ctx context.Context, move fleet.ReleaseMove) (fleet.Release, error) {
	var moved fleet.Release
	var notices []fleet.Notice
	concerned := scope{all: move.Undoes()}
	err := s.change(ctx, "move a release in", concerned, func(conn *sql.Conn) (err error) {
		moved, notices, err = s.move(context.WithoutCancel(ctx), conn, move)
		return err
	}, func() []fleet.Notice { return notices })
	if err != nil {
		return fleet.Release{}, err
	}
	return moved, nil
}

func (s *Store) move(ctx context.Context, conn *sql.Conn, move fleet.ReleaseMove) (fleet.Release, []fleet.Notice, error) {
	list, err := readReleases(ctx, conn, " WHERE id = ?", move.ID)
	if err == nil && len(list) == 0 {
		err = fleet.ErrUnknownRelease
	}
	if err != nil {
		return fleet.Release{}, nil, err
	}
	var last int64
	if err := conn.QueryRowContext(ctx, lastRevision).Scan(&last); err != nil {
		return fleet.Release{}, nil, err
	}
	moved, _, err := move.Apply(list[0], last+1)
	if err != nil {
		return fleet.Release{}, nil, err
	}
	var notices []fleet.Notice
	if move.Undoes() {
		if notices, last, err = s.undo(ctx, conn, move, last); err != nil {
			return fleet.Release{}, nil, err
		}
	}
	_, entry, _ := move.Apply(list[0], last+1)
	if err := record(ctx, conn, entry); err != nil {
		return fleet.Release{}, nil, err
	}
	if !moved.Active() {
		for _, statement := range []string{"DELETE FROM release_layers", "UPDATE concerns SET waiting = NULL WHERE waiting IS NOT NULL",
			"UPDATE releases SET active = NULL WHERE active = 1"} {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return fleet.Release{}, nil, err
			}
		}
	}
	progress, outcome := rows.MovedValues(moved)
	_, err = conn.ExecContext(ctx, "UPDATE releases SET version = ?, progress = ?, outcome = ? WHERE id = ?", moved.Version, progress,
		outcome, moved.ID)
	return moved, append(notices, fleet.Notice{Kind: fleet.TargetChanged, Layer: entry.Layer, Revision: entry.Revision}), err
}

// undo restores the layers of the active release, with the revisions after last.
func (s *Store) undo(ctx context.Context, conn *sql.Conn, move fleet.ReleaseMove, last int64) ([]fleet.Notice, int64, error) {
	active, err := activeRelease(ctx, conn)
	if err != nil {
		return nil, 0, err
	}
	present := fleet.Present{Last: last}
	var devices []int64
	gone := map[fleet.LayerName]bool{}
	for _, before := range active.Before {
		layer, device, _, err := s.present(ctx, conn, before.Name)
		if errors.Is(err, fleet.ErrUnknownDevice) {
			gone[before.Name] = true
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		present.Layers, devices = append(present.Layers, layer), append(devices, device)
	}
	batch := move.Undoing(active.Before, func(name fleet.LayerName) bool { return gone[name] })
	result, err := batch.Apply(present)
	if err != nil {
		return nil, 0, err
	}
	notices, err := s.writeResult(ctx, conn, result, present, devices)
	return notices, result.Last, err
}

// Census implements fleet.Store.
func (s *Store) Census(ctx context.Context) (list []fleet.Counted, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	sets, err := s.setsOfLabels(ctx)
	if err != nil {
		return nil, s.fail("count the devices in", err)
	}
	var row rows.Counted
	var labels int64
	into := row.Into(&labels)
	err = s.each(ctx, s.census, nil, func(found *sql.Rows) error {
		err := found.Scan(into...)
		list = append(list, row.Device(sets[labels]))
		return err
	})
	return list, s.fail("count the devices in", err)
}
