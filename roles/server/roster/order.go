package roster

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// An Order is a column to sort by, with "-" in front for the reverse order. The zero value sorts by state, the worst
// first. Equal rows are in the order of their registration.
type Order string

// The columns.
const (
	ByState    Order = "state"
	ByDevice   Order = "device"
	ByLabels   Order = "labels"
	ByReported Order = "reported"
	ByTarget   Order = "target"
	BySeen     Order = "seen"
	ByAddress  Order = "address"
)

var orders = []Order{ByState, ByDevice, ByLabels, ByReported, ByTarget, BySeen, ByAddress}

// OrderNames lists the columns for a message.
func OrderNames() string {
	var names []string
	for _, order := range orders {
		names = append(names, string(order))
	}
	return strings.Join(names, ", ")
}

// ParseOrder parses an order.
func ParseOrder(text string) (order Order, known bool) {
	if text == "" || text == string(ByState) {
		return "", true // one order has one name
	}
	return Order(text), slices.Contains(orders, Order(strings.TrimPrefix(text, "-")))
}

// column returns the column of the order, and whether it is reversed.
func (o Order) column() (column Order, reverse bool) {
	text, reverse := strings.CutPrefix(string(o), "-")
	return cmp.Or(Order(text), ByState), reverse
}

// worst has the states from the worst on, with silent and cloned devices between them: see rank.
var worst = []fleet.State{fleet.StateFailed, fleet.StateRefused, fleet.StateDrifted, silence, fleet.StateBehind, twins,
	fleet.StatePending, fleet.StateNew, fleet.StateInSync, fleet.StateRevoked}

// silence and twins are elements of worst that are no states of the fleet.
const silence, twins fleet.State = 255, 254

// rank returns the index of a row in worst. Silence does not count for pending and revoked devices.
func (r *Row) rank() int64 {
	own := slices.Index(worst, r.State)
	if own < 0 {
		own = slices.Index(worst, fleet.StateNew)
	}
	if r.State == fleet.StatePending || r.State == fleet.StateRevoked {
		return int64(own)
	}
	if r.Silent {
		own = min(own, slices.Index(worst, silence))
	}
	if r.Cloned {
		own = min(own, slices.Index(worst, twins))
	}
	return int64(own)
}

// A place is the position of a row in an order. Places are compared field by field.
type place struct {
	number     int64
	text       string
	registered int64
	id         uuid.UUID
}

func (o Order) place(row *Row) place {
	at := place{registered: row.Registered, id: row.ID}
	switch column, _ := o.column(); column {
	case ByState:
		at.number = row.rank()
	case ByDevice:
		at.text = row.ID.String() // devices without a name come last
		if row.Name != "" {
			at.text = "!" + row.Name
		}
	case ByLabels:
		at.text = strings.Join(Labels(row.Labels), " ")
	case ByReported:
		at.number = row.Running
	case ByTarget:
		at.number = row.Target
	case BySeen:
		at.number = row.LastSeen
	case ByAddress:
		at.text = row.Address
	}
	return at
}

// comparison returns the function that compares places in the order.
func (o Order) comparison() func(a, b place) int {
	sign := 1
	if _, reverse := o.column(); reverse {
		sign = -1
	}
	return func(a, b place) int {
		switch {
		case a.number != b.number:
			return sign * cmp.Compare(a.number, b.number)
		case a.text != b.text:
			return sign * strings.Compare(a.text, b.text)
		case a.registered != b.registered:
			return cmp.Compare(a.registered, b.registered)
		}
		return bytes.Compare(a.id[:], b.id[:])
	}
}

// cursor returns a place as text. parsePlace is its inverse.
func (p place) cursor() string {
	return strings.Join([]string{p.id.String(), strconv.FormatInt(p.registered, 36), strconv.FormatInt(p.number, 36),
		base64.RawURLEncoding.EncodeToString([]byte(p.text))}, ".")
}

func parsePlace(cursor string) (p place, err error) {
	parts := strings.Split(cursor, ".")
	if len(parts) != 4 {
		return place{}, fleet.ErrBadCursor
	}
	text, textErr := base64.RawURLEncoding.DecodeString(parts[3])
	p.text = string(text)
	var idErr, registeredErr, numberErr error
	p.id, idErr = uuid.Parse(parts[0])
	p.registered, registeredErr = strconv.ParseInt(parts[1], 36, 64)
	p.number, numberErr = strconv.ParseInt(parts[2], 36, 64)
	if errors.Join(idErr, registeredErr, numberErr, textErr) != nil {
		return place{}, fleet.ErrBadCursor
	}
	return p, nil
}

// Labels returns labels as NAME=VALUE, sorted by name.
func Labels(labels fleet.Labels) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, name+"="+labels[name])
	}
	return list
}
