package control

import (
	"context"
	"errors"
	"log/slog"
)

// troubles are what goes wrong beside the registry: a cycle goes on with it. It is logged when it begins, changes and
// ends; of a single run it is the outcome instead.
type troubles struct {
	log   *slog.Logger
	quiet bool // a single run: do not log what will be returned
	now   map[subject]error
}

// A subject is what a trouble is about.
type subject string

const (
	ofState    subject = "the state directory cannot be used"
	ofSource   subject = "interfaces cannot be counted"
	ofCounters subject = "the counters cannot be kept"
	ofServer   subject = "server not reached, the rest goes on"
	ofJournal  subject = "targets cannot be applied"
	ofTarget   subject = "target refused, nothing was changed"
)

// note takes down what is wrong with a subject.
func (t *troubles) note(about subject, err error, attributes ...any) {
	known := t.now[about]
	t.now[about] = err
	level := slog.LevelWarn
	if t.quiet || known != nil && known.Error() == err.Error() {
		level = slog.LevelDebug
	}
	t.log.Log(context.Background(), level, string(about), append([]any{"error", err}, attributes...)...)
}

// over forgets what was wrong with a subject, and tells whether something was.
func (t *troubles) over(about subject) bool {
	_, known := t.now[about]
	delete(t.now, about)
	return known
}

// err joins what is wrong at the moment.
func (t *troubles) err() error {
	return errors.Join(t.now[ofState], t.now[ofSource], t.now[ofCounters], t.now[ofJournal], t.now[ofServer],
		t.now[ofTarget])
}
