package audit

import (
	"context"
	"net/http"
	"sync"

	"github.com/google/uuid"
)

// A Pending is the record of an act that is under way. It is safe for concurrent use: a caller may give up while the store is at
// it. The methods of a nil Pending do nothing.
type Pending struct {
	mu      sync.Mutex
	record  Record
	entered bool // the transaction under way has the record
	done    bool // there is a record of at least one change
	none    bool // it is no act
}

// Begin returns the record of an act that begins now.
func Begin(record Record) *Pending {
	record.Act = uuid.New()
	return &Pending{record: record}
}

type key struct{}

// With returns a context with the record of the act that its calls are a part of.
func With(ctx context.Context, pending *Pending) context.Context {
	return context.WithValue(ctx, key{}, pending)
}

// From returns the record in a context; nil for none.
func From(ctx context.Context) *Pending {
	pending, _ := ctx.Value(key{}).(*Pending)
	return pending
}

// Amend changes the record before anything is done.
func (p *Pending) Amend(change func(*Record)) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.record)
}

// Drop says that it is no act, such as a dry run.
func (p *Pending) Drop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.none = true
}

// Try is called by a store at the begin of each attempt of a transaction.
func (p *Pending) Try() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entered, p.record.Revision = false, 0
}

// Revised is called by a store in a transaction that draws a revision.
func (p *Pending) Revised(revision int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.Revision = max(p.record.Revision, revision)
}

// Enter returns the record that a store adds in the transaction of a change; false for none.
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

// Committed is called by a store after a transaction. What comes next in the same act is a change with a record of its own.
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

// Refuse notes why an act is refused or has failed.
func (p *Pending) Refuse(reason string) { p.Amend(func(r *Record) { r.Reason = reason }) }

// Settle returns the record of an act that ends with a status of HTTP and has changed nothing; false if there is nothing to record.
func (p *Pending) Settle(status int) (Record, bool) {
	if p == nil {
		return Record{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.none {
		return Record{}, false
	}
	p.none = true // once
	record := p.record
	record.Revision = 0
	switch {
	case status < http.StatusBadRequest:
		record.Result, record.Reason = Unchanged, ""
	case status >= 499: // the client has gone, or the server could not
		record.Result, record.Status = Failed, status
	default:
		record.Result, record.Status = Refused, status
	}
	return record.Clean(), true
}
