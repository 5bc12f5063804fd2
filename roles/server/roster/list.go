package roster

import (
	"slices"
	"sync"

	"aspects-poc/roles/server/fleet"
)

// A Query selects devices. The zero value selects all, the worst state first.
type Query struct {
	Selector fleet.Selector
	Match    func(fleet.Device) bool // by ID, Name, Identity and Labels; nil means all
	State    fleet.State             // StateUnknown means any
	Silent   bool                    // only silent devices
	Cloned   bool                    // only cloned devices
	Cause    string                  // of Row; "" means any
	Order    Order
	After    string // "" or a cursor: Previous or Next of a List
	Limit    int
}

// A List is a page of the devices that a query selects.
type List struct {
	Rows []*Row
	// Before is the number of selected devices before the first row, and Found the number of all selected devices.
	Before, Found int
	// Previous and Next are the cursors of the previous and the next page. Next is "" on the last page. HasPrevious
	// reports whether there is a previous page, because the first page has the cursor "".
	Previous, Next string
	HasPrevious    bool
	// States, Silent, Cloned and All count the devices that the query would select without State, Silent and Cloned.
	States              map[fleet.State]int
	Silent, Cloned, All int
}

// A Roll has all devices of a fleet as of one moment. It is immutable.
type Roll struct {
	rows []Row

	mu     sync.Mutex // guards the fields below
	sorted map[Order][]*Row
	causes []Cause // nil until they are counted
}

// List returns a page of devices. It returns fleet.ErrBadCursor if After is no cursor of this order.
func (r *Roll) List(query Query) (List, error) {
	list := List{States: map[fleet.State]int{}}
	var chosen []*Row
	var states [1 << 8]int // indexed by fleet.State
	for _, row := range r.in(query.Order) {
		if !query.concerns(row) {
			continue
		}
		list.All++
		states[row.State]++
		if row.Silent {
			list.Silent++
		}
		if row.Cloned {
			list.Cloned++
		}
		if (query.State == fleet.StateUnknown || query.State == row.State) && (row.Silent || !query.Silent) && (row.Cloned || !query.Cloned) &&
			(query.Cause == "" || query.Cause == row.Cause) {
			chosen = append(chosen, row)
		}
	}
	for state, devices := range states {
		if devices > 0 {
			list.States[fleet.State(state)] = devices
		}
	}
	list.Found = len(chosen)
	if query.After != "" {
		last, err := parsePlace(query.After)
		if err != nil {
			return List{}, err
		}
		compare := query.Order.comparison()
		list.Before, _ = slices.BinarySearchFunc(chosen, last, func(row *Row, last place) int {
			if compare(query.Order.place(row), last) <= 0 {
				return -1 // the page begins after it
			}
			return 1
		})
	}
	end := min(list.Before+query.Limit, len(chosen))
	list.Rows = chosen[list.Before:end]
	if end < len(chosen) {
		list.Next = query.Order.place(chosen[end-1]).cursor()
	}
	if list.HasPrevious = list.Before > 0; list.Before > query.Limit {
		list.Previous = query.Order.place(chosen[list.Before-query.Limit-1]).cursor()
	}
	return list, nil
}

// concerns reports whether the query selects a row, whatever its state.
func (q Query) concerns(row *Row) bool {
	return q.Selector.Matches(row.Labels) && (q.Match == nil || q.Match(fleet.Device{
		ID: row.ID, Name: row.Name, Identity: fleet.Identity{IPAddress: row.Address, Arch: row.Arch}, Labels: row.Labels,
	}))
}

// in returns all rows in an order. It sorts once for each order.
func (r *Roll) in(order Order) []*Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sorted, there := r.sorted[order]; there {
		return sorted
	}
	if r.sorted == nil {
		r.sorted = map[Order][]*Row{}
	}
	type placed struct {
		at  place
		row *Row
	}
	list := make([]placed, len(r.rows))
	for i := range r.rows {
		list[i] = placed{order.place(&r.rows[i]), &r.rows[i]}
	}
	compare := order.comparison()
	slices.SortFunc(list, func(a, b placed) int { return compare(a.at, b.at) })
	sorted := make([]*Row, len(list))
	for i, one := range list {
		sorted[i] = one.row
	}
	r.sorted[order] = sorted
	return sorted
}
