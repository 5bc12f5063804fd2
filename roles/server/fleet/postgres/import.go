package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/rows"

	"github.com/jackc/pgx/v5"
)

// ErrNotEmpty means that the target of an import has data already.
var ErrNotEmpty = errors.New("the database is not empty")

// page is how many devices, or entries of the history, are copied at a time.
const page = 1000

// Imported counts the copied rows.
type Imported struct {
	Devices, Reports, Stats, Layers, Secrets, Releases, History, Tokens, Records int64
}

// Import copies the whole content of another store into this database, which must be empty: devices with their reports,
// statistics and layers, the other layers, the named secrets, the history, the audit log, and the tokens in tokens
// (nil: none). It is one transaction, which is committed when the database has counted as many rows as were read.
// Nobody else may change the other store meanwhile. progress, if not nil, is called with the number of copied devices
// and of all devices.
func (s *Store) Import(
	ctx context.Context, from fleet.Store, tokens access.Store, progress func(done, all int64),
) (Imported, error) {
	var done Imported
	all, err := from.Count(ctx)
	if err != nil {
		return Imported{}, err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	err = pgx.BeginFunc(ctx, s.pool(), func(tx pgx.Tx) error {
		if err := empty(ctx, tx); err != nil {
			return err
		}
		i := &importer{tx: tx, from: from, access: tokens, done: &done, keys: map[string]bool{}}
		if err := i.devices(ctx, func() { progress(done.Devices, int64(all)) }); err != nil {
			return err
		}
		if err := errors.Join(i.targets(ctx), i.releases(ctx), i.history(ctx), i.tokens(ctx), i.revokedKeys(ctx), i.signatures(ctx), i.sealing(ctx), i.samples(ctx), i.audit(ctx)); err != nil {
			return err
		}
		if done.Devices != int64(all) {
			return fmt.Errorf("there were %d devices, of which %d came: was it changed meanwhile?", all, done.Devices)
		}
		if err := i.verify(ctx); err != nil {
			return err
		}
		var batch pgx.Batch
		s.enter(&batch, fleet.Notice{Kind: fleet.Lost}) // for servers that already run on the database
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return Imported{}, explain(ctx, err)
	}
	s.hub.Send(fleet.Notice{Kind: fleet.Lost})
	return done, nil
}

// empty reports whether the database is empty, and locks it against other writers.
func empty(ctx context.Context, tx pgx.Tx) error {
	revision, err := lock(ctx, tx)
	if err != nil {
		return err
	}
	var devices, tokens bool
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM devices) OR EXISTS (SELECT 1 FROM revoked_keys), EXISTS (SELECT 1 FROM tokens)").
		Scan(&devices, &tokens)
	switch {
	case err != nil:
		return err
	case devices, tokens, revision > 0:
		return fmt.Errorf("%w: it has devices, targets or tokens; name another, or drop and create it first", ErrNotEmpty)
	}
	return nil
}

// An importer copies one store into a transaction.
type importer struct {
	tx     pgx.Tx
	from   fleet.Store
	access access.Store // nil without tokens
	done   *Imported
	keys   map[string]bool // digests of the copied keys, and their names
}

func (i *importer) copy(ctx context.Context, table string, columns []string, values [][]any) (int64, error) {
	if len(values) == 0 {
		return 0, nil
	}
	return i.tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(values))
}

// devices copies devices and their other rows. It numbers them anew in their order.
func (i *importer) devices(ctx context.Context, progress func()) error {
	number := int64(0)
	for after := ""; ; {
		list, next, err := i.from.Devices(ctx, after, page)
		if err != nil {
			return err
		}
		var devices, reports, standings, stats, layers [][]any
		for _, brief := range list {
			number++
			device, err := i.from.Device(ctx, brief.ID)
			if err != nil {
				return err
			}
			devices = append(devices, i.device(number, device))
			r := device.Report
			reports = append(reports, []any{number, r.Config.String(), r.Sequence, r.Running.Revision, rows.Text(r.Running.Hash),
				r.Attempted.Revision, int16(r.Attempted.Outcome), rows.Text(r.Attempted.Path), rows.Text(r.Attempted.Reason),
				r.Attempted.At, rows.Seconds(r.At), rows.Text(r.Instance)})
			standings = append(standings, []any{number, rows.Seconds(device.LastSeen), int16(r.Verdict.State), r.Verdict.Revision, !r.Mute(), rows.Seconds(device.Twins),
				rows.Seconds(device.Alone)})
			if device.Own != nil {
				layers = append(layers, layerValues(*device.Own, &number))
			}
			points, err := i.from.Stats(ctx, device.ID, time.Time{})
			if err != nil {
				return err
			}
			for _, point := range points {
				stats = append(stats, []any{number, rows.Seconds(point.At), point.Text})
			}
		}
		for _, table := range []struct {
			name    string
			columns []string
			rows    [][]any
			count   *int64
		}{
			{"devices", []string{"id", "uuid", "registered", "ip_address", "public_key_rsa", "arch", "key_digest", "key_id",
				"status", "labels", "own_revision", "name"}, devices, &i.done.Devices},
			{"reports", []string{"device", "config", "sequence", "running_revision", "running_hash", "attempted_revision",
				"attempted_outcome", "attempted_path", "attempted_reason", "attempted_at", "at", "instance"}, reports, &i.done.Reports},
			{"standings", []string{"device", "last_seen", "state", "verdict_revision", "says", "twins", "alone"}, standings, new(int64)},
			{"stats", []string{"device", "at", "text"}, stats, &i.done.Stats},
			{"layers", layerNames, layers, &i.done.Layers},
		} {
			n, err := i.copy(ctx, table.name, table.columns, table.rows)
			if err != nil {
				return err
			}
			*table.count += n
		}
		progress()
		if after = next; after == "" {
			break
		}
	}
	if number == 0 {
		return nil
	}
	_, err := i.tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence('devices', 'id'), $1)", number)
	return err
}

// device returns a row of devices. An old embedded store may have several devices with one key: only the first gets the
// columns by which it is found.
func (i *importer) device(number int64, device fleet.Device) []any {
	digest, keyID := rows.Digest(device.PublicKeyRSA), rows.NullIfEmpty(device.KeyID)
	if digest != nil && i.keys[string(digest)] {
		digest = nil
	}
	if keyID != nil && i.keys[*keyID] {
		keyID = nil
	}
	i.keys[string(digest)], i.keys[device.KeyID] = true, true
	return []any{number, device.ID, rows.Seconds(device.Registered), rows.Text(device.IPAddress), rows.Text(device.PublicKeyRSA),
		rows.Text(device.Arch), digest, keyID, int16(device.Status), device.Labels.String(), device.OwnRevision, rows.NullIfEmpty(device.Name)}
}

var layerNames = append(names(rows.LayerColumns), "device")

// names returns the names in a list of columns.
func names(columns string) []string { return strings.Split(columns, ", ") }

func layerValues(layer fleet.Layer, device *int64) []any {
	if device != nil {
		device = new(*device)
	}
	return append(rows.LayerValues(layer), device)
}

func (i *importer) targets(ctx context.Context) error {
	targets, err := i.from.Targets(ctx)
	if err != nil {
		return err
	}
	var layers, concerns [][]any
	if targets.Everyone.Revision > 0 {
		layers = append(layers, layerValues(targets.Everyone, nil))
	}
	for _, layer := range targets.Labels {
		layers = append(layers, layerValues(layer, nil))
	}
	for _, concern := range targets.Concerns {
		concerns = append(concerns, []any{concern.Selector.String(), concern.Revision, concern.Waiting})
	}
	n, err := i.copy(ctx, "layers", layerNames, layers)
	if err != nil {
		return err
	}
	i.done.Layers += n
	if _, err := i.copy(ctx, "concerns", []string{"selector", "revision", "waiting"}, concerns); err != nil {
		return err
	}
	var secrets [][]any
	for _, secret := range targets.Secrets {
		secrets = append(secrets, rows.SecretValues(secret))
	}
	if i.done.Secrets, err = i.copy(ctx, "secrets", names(rows.SecretColumns), secrets); err != nil {
		return err
	}
	if targets.Release != nil {
		var before [][]any
		for _, was := range targets.Release.Before {
			before = append(before, rows.BeforeValues(was.Name, was.Layer, was.Own))
		}
		if _, err := i.copy(ctx, "release_layers", names(rows.BeforeColumns), before); err != nil {
			return err
		}
	}
	_, err = i.tx.Exec(ctx, "UPDATE counters SET value = $1 WHERE name = 'revision'", targets.Revision)
	return err
}

func (i *importer) releases(ctx context.Context) error {
	for below := int64(0); ; {
		list, err := i.from.Releases(ctx, below, page)
		if err != nil || len(list) == 0 {
			return err
		}
		var values [][]any
		for _, of := range list {
			values = append(values, rows.ReleaseValues(of))
			below = of.ID
		}
		n, err := i.copy(ctx, "releases", append(names(rows.ReleaseColumns), "active"), values)
		if err != nil {
			return err
		}
		i.done.Releases += n
	}
}

func (i *importer) history(ctx context.Context) error {
	for below := int64(0); ; {
		list, err := i.from.Entries(ctx, "", below, page)
		if err != nil || len(list) == 0 {
			return err
		}
		var values [][]any
		for _, entry := range list {
			values = append(values, rows.EntryValues(entry))
			below = entry.Revision
		}
		n, err := i.copy(ctx, "history", names(rows.EntryColumns), values)
		if err != nil {
			return err
		}
		i.done.History += n
	}
}

func (i *importer) tokens(ctx context.Context) error {
	if i.access == nil {
		return nil
	}
	list, err := i.access.Tokens(ctx)
	if err != nil {
		return err
	}
	var values [][]any
	for _, token := range list {
		values = append(values, rows.TokenValues(token))
	}
	i.done.Tokens, err = i.copy(ctx, "tokens", names(rows.TokenColumns), values)
	return err
}

func (i *importer) revokedKeys(ctx context.Context) error {
	list, err := i.from.RevokedKeys(ctx)
	if err != nil {
		return err
	}
	var values [][]any
	for _, key := range list {
		values = append(values, []any{key.KeyID, key.Device, rows.Seconds(key.At)})
	}
	_, err = i.copy(ctx, "revoked_keys", names(rows.RevokedKeyColumns), values)
	return err
}

func (i *importer) signatures(ctx context.Context) error {
	list, err := i.from.Signatures(ctx)
	if err != nil {
		return err
	}
	var values [][]any
	for _, signature := range list {
		values = append(values, rows.SignatureValues(signature))
	}
	_, err = i.copy(ctx, "signatures", names(rows.SignatureColumns), values)
	return err
}

// sealing copies how the secrets are sealed. The secrets themselves are copied unchanged.
func (i *importer) sealing(ctx context.Context) error {
	state, err := i.from.Sealing(ctx)
	if err == nil {
		_, err = i.tx.Exec(ctx, "UPDATE sealing SET state = $1", state)
	}
	return err
}

// samples copies the numbers of devices. They replace those that a server has stored for the empty database.
func (i *importer) samples(ctx context.Context) error {
	list, err := i.from.Samples(ctx, time.Time{})
	if err != nil {
		return err
	}
	var values [][]any
	for _, sample := range list {
		values = append(values, []any{rows.Seconds(sample.At), sample.Text})
	}
	if _, err := i.tx.Exec(ctx, "DELETE FROM samples"); err != nil {
		return err
	}
	_, err = i.copy(ctx, "samples", []string{"at", "text"}, values)
	return err
}

// audit copies the audit log behind the records of the database, which has some if a server has run on it.
func (i *importer) audit(ctx context.Context) error {
	var before int64
	if err := i.tx.QueryRow(ctx, "SELECT value FROM counters WHERE name = 'audit' FOR UPDATE").Scan(&before); err != nil {
		return err
	}
	filter := audit.Filter{Ascending: true}
	for {
		list, err := i.from.Records(ctx, filter, page)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		var values [][]any
		for _, record := range list {
			values = append(values, append([]any{before + record.Number}, auditValues(record)...))
			filter.After = record.Number
		}
		n, err := i.copy(ctx, "audit", names("number, "+rows.AuditColumns), values)
		if err != nil {
			return err
		}
		i.done.Records += n
	}
	last, err := i.from.LastRecord(ctx)
	if err == nil {
		_, err = i.tx.Exec(ctx, "UPDATE counters SET value = $1 WHERE name = 'audit'", before+last)
	}
	return err
}

// verify lets the database count.
func (i *importer) verify(ctx context.Context) error {
	for _, table := range []struct {
		name string
		want int64
	}{{"devices", i.done.Devices}, {"reports", i.done.Devices}, {"standings", i.done.Devices}, {"stats", i.done.Stats},
		{"layers", i.done.Layers}, {"secrets", i.done.Secrets}, {"releases", i.done.Releases}, {"history", i.done.History}, {"tokens", i.done.Tokens}} {
		var got int64
		if err := i.tx.QueryRow(ctx, "SELECT count(*) FROM "+table.name).Scan(&got); err != nil {
			return err
		}
		if got != table.want {
			return fmt.Errorf("%d rows went into the table %s, which has %d", table.want, table.name, got)
		}
	}
	return nil
}
