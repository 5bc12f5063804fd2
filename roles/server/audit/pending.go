package audit

import (
	"context"
	"net/http"
	"sync"

	"github.com/google/uuid"
)

// A Pending is the record of an act that is under way. It is safe for concurrent use: a caller may return while the
// store still works. The methods of a nil Pending do nothing.
type Pending struct {
	mu      sync.Mutex
	record  Record
	entered bool // the present transaction has the record
	done    bool // at least one change has a record
	none    bool // there is no act to record
}

// Begin returns the record of an act that begins now.
func Begin(record Record) *Pending {
	record.Act = uuid.New()
	return &Pending{record: record}
}

type key struct{}

// With returns a context with the record of the act to which its calls belong.
func With(ctx context.Context, pending *Pending) context.Context {
	return context.WithValue(ctx, key{}, pending)
}

// From returns the record in a context; nil for none.
func From(ctx context.Context) *Pending {
	pending, _ := ctx.Value(key{}).(*Pending)
	return pending
}

// Amend changes the record. Call it before anything is changed.
func (p *Pending) Amend(change func(*Record)) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.record)
}

// Drop declares that there is no act to record, for example after a dry run.
func (p *Pending) Drop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.none = true
}

// Try begins an attempt of a transaction. A store calls it before each attempt.
func (p *Pending) Try() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entered, p.record.Revision = false, 0
}

// Revised sets the revision of the change. A store calls it in a transaction that draws a revision.
func (p *Pending) Revised(revision int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.Revision = max(p.record.Revision, revision)
}

// Enter returns the record for the transaction of a change; false for none. A store adds the record in that
// transaction.
func (p *Pending) Enter() (Record, bool) {
	if p == nil {
		return Record{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entered = true
	record := p.record
	record.Result, record.Status, record.Reason = Done, 0, ""
	return record.Clean(), true
}

// Committed ends a transaction. A store calls it after the commit. A later change in the same act gets a record of its
// own.
func (p *Pending) Committed() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entered {
		p.entered, p.done = false, true
		p.record.Act, p.record.Revision = uuid.New(), 0
	}
}

// Refuse sets why an act is refused or has failed.
func (p *Pending) Refuse(reason string) { p.Amend(func(r *Record) { r.Reason = reason }) }

// Settle returns the record of an act that ends with an HTTP status and has changed nothing; false if there is nothing
// to record.
func (p *Pending) Settle(status int) (Record, bool) {
	if p == nil {
		return Record{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.none {
		return Record{}, false
	}
	p.none = true // at most one record
	record := p.record
	record.Revision = 0
	switch {
	case status < http.StatusBadRequest:
		record.Result, record.Reason = Unchanged, ""
	case status >= 499: // the client has left, or the server has failed
		record.Result, record.Status = Failed, status
	default:
		record.Result, record.Status = Refused, status
	}
	return record.Clean(), true
}
