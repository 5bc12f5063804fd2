package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Options changes how a Log works. The zero value is ready for use.
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

// A Log writes records that no change carries. It is safe for concurrent use.
type Log struct {
	store   Store
	options Options

	mu        sync.Mutex // guards what follows
	strangers Record     // of the requests since it was written last; Times is 0 for none
	wrote     time.Time  // when strangers was written last
	owed      []Record   // which the store could not take
}

const (
	// strangerEvery is the shortest time between two records of requests without a valid token.
	strangerEvery = time.Minute
	// mostOwed bounds the records in memory that the store could not take.
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

// Write writes the record of an act that changes nothing and is done.
func (l *Log) Write(ctx context.Context, record Record) error {
	record.Act, record.At, record.Result = uuid.New(), l.options.Now(), Done
	return l.store.AddRecord(ctx, record.Clean())
}

// Settle writes the record of an act that ends with a status of HTTP, unless the act has a record. If the store cannot take it, the log
// keeps it, and Maintain tries again.
func (l *Log) Settle(ctx context.Context, pending *Pending, status int) {
	if record, is := pending.Settle(status); is {
		l.add(ctx, record)
	}
}

// add writes a record, or keeps it for Maintain. The end of the caller does not end it.
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

// Stranger counts a request without a valid token. At most one record in a minute has the number, with the address of the last one.
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

// Maintain writes what is owed, and removes old records. Call it regularly, and before the end.
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

// Close writes what is owed, and the number of requests without a valid token.
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

// pay writes records. Those that the store does not take are owed further.
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
