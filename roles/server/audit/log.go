package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Options are options of New. The zero value is ready for use.
type Options struct {
	Now  func() time.Time // nil means time.Now
	Log  *slog.Logger     // nil means none
	Keep time.Duration    // the age at which records are removed; zero means 400 days
	Most int64            // the most records; zero means 1,000,000
}

// The standard limits of a log.
const (
	DefaultKeep = 400 * 24 * time.Hour
	DefaultMost = 1_000_000
)

// A Log writes the records of acts that change nothing. It is safe for concurrent use.
type Log struct {
	store   Store
	options Options

	mu        sync.Mutex // guards the fields below
	strangers Record     // the requests since the last record of them; Times is 0 for none
	wrote     time.Time  // when strangers was last written
	owed      []Record   // records that the store has not taken yet
}

const (
	// strangerEvery is the shortest time between two records of requests without a valid token.
	strangerEvery = time.Minute
	// mostOwed is the largest number of records in memory that the store has not taken.
	mostOwed = 10_000
	// recordTime is the longest time for a record. The caller waits for it.
	recordTime = 5 * time.Second
)

// New returns a log over a store.
func New(store Store, options Options) *Log {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Keep == 0 {
		options.Keep = DefaultKeep
	}
	if options.Most == 0 {
		options.Most = DefaultMost
	}
	return &Log{store: store, options: options}
}

// Begin returns the record of an act that begins now.
func (l *Log) Begin(record Record) *Pending {
	record.At = l.options.Now()
	return Begin(record)
}

// Write writes the record of an act that has ended and has changed nothing.
func (l *Log) Write(ctx context.Context, record Record) error {
	record.Act, record.At, record.Result = uuid.New(), l.options.Now(), Done
	return l.store.AddRecord(ctx, record.Clean())
}

// Settle writes the record of an act that ends with an HTTP status, unless the act has a record already. If the store
// fails, the log remembers the record, and Maintain tries again.
func (l *Log) Settle(ctx context.Context, pending *Pending, status int) {
	if record, is := pending.Settle(status); is {
		l.add(ctx, record)
	}
}

// add writes a record. If the store fails, the log remembers the record for Maintain. The end of ctx does not interrupt
// it.
func (l *Log) add(ctx context.Context, record Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	err := l.store.AddRecord(ctx, record)
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := len(l.owed) < mostOwed
	if kept {
		l.owed = append(l.owed, record)
	}
	l.options.Log.Error("cannot write to the audit log", "error", err, "tries-again", kept, "who", record.Name, "person", record.Person,
		"verb", record.Verb, "thing", record.Thing, "result", record.Result, "status", record.Status, "request-id", record.Request)
}

// Stranger counts a request without a valid token. A record with the count is written at most once a minute. It has the
// address of the last request.
func (l *Log) Stranger(ctx context.Context, record Record) {
	now := l.options.Now()
	record.Kind, record.Result, record.At = Stranger, Refused, now
	l.mu.Lock()
	record.Act, record.Times = uuid.New(), l.strangers.Times+1
	l.strangers = record
	due := now.Sub(l.wrote) >= strangerEvery || now.Before(l.wrote)
	if due {
		l.strangers, l.wrote = Record{}, now
	}
	l.mu.Unlock()
	if due {
		l.add(ctx, record.Clean())
	}
}

// Maintain writes the remembered records, and removes old ones. Call it regularly, and before the end.
func (l *Log) Maintain(ctx context.Context) error {
	now := l.options.Now()
	l.mu.Lock()
	owed := l.owed
	l.owed = nil
	if l.strangers.Times > 0 && now.Sub(l.wrote) >= strangerEvery {
		owed = append(owed, l.strangers.Clean())
		l.strangers, l.wrote = Record{}, now
	}
	l.mu.Unlock()
	if err := l.pay(ctx, owed); err != nil {
		return err
	}
	return l.store.TrimRecords(ctx, now.Add(-l.options.Keep), l.options.Most)
}

// Close writes the remembered records, and the number of requests without a valid token.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	owed := l.owed
	l.owed = nil
	if l.strangers.Times > 0 {
		owed = append(owed, l.strangers.Clean())
		l.strangers = Record{}
	}
	l.mu.Unlock()
	return l.pay(ctx, owed)
}

// pay writes remembered records. The log remembers those that fail again.
func (l *Log) pay(ctx context.Context, owed []Record) error {
	for i, record := range owed {
		if err := l.store.AddRecord(ctx, record); err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.owed = append(owed[i:len(owed):len(owed)], l.owed...)
			return err
		}
	}
	return nil
}

// Records returns at most limit records that a filter chooses.
func (l *Log) Records(ctx context.Context, filter Filter, limit int) ([]Record, error) {
	return l.store.Records(ctx, filter, limit)
}
