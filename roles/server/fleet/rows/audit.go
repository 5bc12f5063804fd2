package rows

import (
	"time"

	"aspects-poc/roles/server/audit"

	"github.com/google/uuid"
)

// AuditColumns are the columns of an Audit, without the number.
const AuditColumns = "act, at, request, kind, name, person, role, scope, address, proxy, agent, verb, thing, details, result, status, reason," +
	" revision, times"

// An Audit is a row of the number and AuditColumns.
type Audit struct {
	record       audit.Record
	at           int64 // milliseconds since 1970
	kind, result string
}

// Into returns what the columns are scanned into.
func (r *Audit) Into() []any {
	a := &r.record
	return []any{&a.Number, &a.Act, &r.at, &a.Request, &r.kind, &a.Name, &a.Person, &a.Role, &a.Scope, &a.Address, &a.Proxy, &a.Agent, &a.Verb,
		&a.Thing, &a.Details, &r.result, &a.Status, &a.Reason, &a.Revision, &a.Times}
}

// Record returns the record.
func (r *Audit) Record() audit.Record {
	record := r.record
	record.At, record.Kind, record.Result = time.UnixMilli(r.at).UTC(), audit.Kind(r.kind), audit.Result(r.result)
	return record
}

// AuditValues returns the values for AuditColumns. act returns an ID in the form of the database.
func AuditValues(r audit.Record, act func(uuid.UUID) any) []any {
	return []any{act(r.Act), r.At.UnixMilli(), r.Request, string(r.Kind), r.Name, r.Person, r.Role, r.Scope, r.Address, r.Proxy, r.Agent, r.Verb,
		r.Thing, r.Details, string(r.Result), r.Status, r.Reason, r.Revision, r.Times}
}

// The forms of an actor in aspects-poc fleet audit, and of a person in the history.
const (
	shownWho = "CASE WHEN person <> '' THEN person || ' (' || name || ', ' || role || ')' WHEN name <> '' AND role <> '' THEN name || ' (' || role || ')'" +
		" WHEN kind IN ('command', 'server') THEN kind || ' (' || name || ')' ELSE kind END"
	historyWho = "CASE WHEN person <> '' THEN person || ' (' || name || ')' ELSE '' END"
)

// AuditFilter returns the condition of a filter, the order, and the arguments. place returns the n-th placeholder, from
// 1 on.
func AuditFilter(f audit.Filter, place func(n int) string) (where, order string, arguments []any) {
	where = "true"
	add := func(condition string, values ...any) {
		text := ""
		for i := range len(condition) {
			if condition[i] != '?' {
				text += condition[i : i+1]
				continue
			}
			arguments = append(arguments, values[0])
			values = values[1:]
			text += place(len(arguments))
		}
		where += " AND " + text
	}
	if !f.Since.IsZero() {
		add("at >= ?", f.Since.UnixMilli())
	}
	if f.Before > 0 {
		add("number < ?", f.Before)
	}
	if f.Ascending {
		add("number > ?", f.After)
	}
	if f.Who != "" {
		add("(name = ? OR person = ? OR kind = ? AND kind <> 'operator' OR "+shownWho+" = ? OR "+historyWho+" = ?)", f.Who, f.Who, f.Who, f.Who, f.Who)
	}
	if f.Thing != "" {
		add("(thing = ? OR substr(thing, 1, ?) = ?)", f.Thing, len([]rune(f.Thing))+1, f.Thing+"/")
	}
	if f.Result != "" {
		add("result = ?", string(f.Result))
	}
	if order = "number DESC"; f.Ascending {
		order = "number"
	}
	return where, order, arguments
}

// TrimPortion is the largest number of records that a statement of a trim removes. Others can write between the
// statements.
const TrimPortion = 2000

// A Trim is a rule for the removal of old records.
type Trim struct {
	Bound  string // a query for the last record to remove; NULL for none; it has the Limit as argument
	Limit  int64
	Delete string // removes a portion of the records up to the bound
}

// Trims returns the rules of audit.Store.TrimRecords.
func Trims(before time.Time, most int64) []Trim {
	const (
		all    = "DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE number <= $1 ORDER BY number LIMIT 2000)"
		others = "DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE result <> 'done' AND number <= $1 ORDER BY number LIMIT 2000)"
	)
	return []Trim{
		{"SELECT max(number) FROM (SELECT number, at FROM audit ORDER BY number LIMIT 2000) AS oldest WHERE at < $1", before.UnixMilli(), all},
		{"SELECT max(number) FROM (SELECT number FROM audit WHERE result <> 'done' ORDER BY number DESC LIMIT 1 OFFSET $1) AS one", most / 2, others},
		{"SELECT max(number) FROM (SELECT number FROM audit ORDER BY number DESC LIMIT 1 OFFSET $1) AS one", most, all},
	}
}
