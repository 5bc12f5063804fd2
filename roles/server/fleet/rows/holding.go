package rows

import (
	"bytes"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// Holdings is a table with texts that may have secrets. Select returns some rows after a key, in the order of keys: the
// key, the UUID of the device, the name of the layer or secret, and the texts: four for the kind Reports, two for the
// kind History, one for the kinds Layers and Secrets, and then NULL. Update sets these texts in the row with a key.
type Holdings struct {
	Kind           HoldingKind
	First          any // a key before all others
	Select, Update string
}

// Rewrite calls some for the rows of all tables, and returns the number of changed rows. some gets the key after which
// it begins. It returns the key of its last row, and nil at the end of the table.
func Rewrite(tables []Holdings, some func(table Holdings, after any) (last any, changed int, err error)) (changed int, err error) {
	for _, table := range tables {
		for after := table.First; after != nil; {
			var more int
			if after, more, err = some(table, after); err != nil {
				return changed, err
			}
			changed += more
		}
	}
	return changed, nil
}

// A HoldingKind is the kind of a row of Holdings.
type HoldingKind int

// The kinds of Holdings.
const (
	Layers HoldingKind = iota
	Secrets
	History
	Reports
)

// A Holding is a row of Holdings.
type Holding struct {
	Key any

	device uuid.UUID
	layer  string
	texts  [4][]byte
}

// Into returns what the columns are scanned into.
func (r *Holding) Into() []any {
	return []any{&r.Key, &r.device, &r.layer, &r.texts[0], &r.texts[1], &r.texts[2], &r.texts[3]}
}

// Change calls change with the row. If the row changes, it returns the values for Update: the new texts, the key, and
// the old texts; else nil.
func (r *Holding) Change(kind HoldingKind, change func(fleet.Holding) error) ([]any, error) {
	var configs [2]fleet.Config
	var of fleet.Holding
	for i := range configs {
		if r.texts[i] != nil && (i == 0 || kind == History) {
			var err error
			if configs[i], err = configOf("a configuration", r.texts[i]); err != nil {
				return nil, err
			}
		}
	}
	switch kind {
	case Layers:
		of.Layer = &fleet.Layer{Name: fleet.LayerName(r.layer), Config: configs[0]}
		if r.layer == "" {
			of.Layer.Name = fleet.DeviceLayer(r.device)
		}
	case Secrets:
		of.Secret = &fleet.Secret{Name: r.layer, Value: configs[0]}
	case History:
		of.Entry = &fleet.Entry{Layer: fleet.LayerName(r.layer)}
		for i, side := range []**fleet.Config{&of.Entry.Before, &of.Entry.After} {
			if r.texts[i] != nil {
				*side = &configs[i]
			}
		}
	case Reports:
		of.Device = &fleet.Device{ID: r.device, Report: fleet.Report{Config: configs[0], Running: fleet.Running{Hash: string(r.texts[1])},
			Attempted: fleet.Attempted{Path: string(r.texts[2]), Reason: string(r.texts[3])}}}
	}
	if err := change(of); err != nil {
		return nil, err
	}
	after := r.values(kind, of)
	for i, text := range after {
		if !bytes.Equal(text, r.texts[i]) {
			return append(append(bound(kind, after), r.Key), bound(kind, r.texts[:len(after)])...), nil
		}
	}
	return nil, nil
}

// values returns the texts of a holding in the form of the table.
func (r *Holding) values(kind HoldingKind, of fleet.Holding) [][]byte {
	switch kind {
	case Layers:
		return [][]byte{[]byte(of.Layer.Config.String())}
	case Secrets:
		return [][]byte{[]byte(of.Secret.Value.String())}
	case History:
		var values [][]byte
		for i, side := range []*fleet.Config{of.Entry.Before, of.Entry.After} {
			if r.texts[i] == nil {
				values = append(values, nil)
				continue
			}
			values = append(values, []byte(side.String()))
		}
		return values
	}
	report := of.Device.Report
	return [][]byte{[]byte(report.Config.String()), []byte(report.Running.Hash), []byte(report.Attempted.Path),
		[]byte(report.Attempted.Reason)}
}

// bound returns texts as arguments of a statement: configurations first, and then texts that others choose.
func bound(kind HoldingKind, texts [][]byte) []any {
	var values []any
	for i, text := range texts {
		switch {
		case kind == Reports && i > 0:
			values = append(values, Text(text))
		case text == nil:
			values = append(values, nil)
		default:
			values = append(values, text)
		}
	}
	return values
}
