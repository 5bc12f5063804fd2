package control

import (
	"context"
	"errors"
	"log/slog"
)

// A troubles has the present problems outside of the registry. A cycle continues despite them. They are logged when
// they begin, change and end; with --once they are returned instead.
type troubles struct {
	log   *slog.Logger
	quiet bool // with --once: do not log what will be returned
	now   map[subject]error
}

// A subject is the subject of a trouble.
type subject string

const (
	ofState     subject = "the state directory cannot be used"
	ofSource    subject = "interfaces cannot be counted"
	ofCounters  subject = "the counters cannot be stored"
	ofServer    subject = "server not reached, the rest goes on"
	ofJournal   subject = "targets cannot be applied"
	ofOperators subject = "the operators' keys cannot be used, no target is applied"
	ofTarget    subject = "target refused, nothing was changed"
)

// report records a trouble, and logs it if it is new.
func (t *troubles) report(about subject, err error, attributes ...any) {
	known := t.now[about]
	t.now[about] = err
	level := slog.LevelWarn
	if t.quiet || known != nil && known.Error() == err.Error() {
		level = slog.LevelDebug
	}
	t.log.Log(context.Background(), level, string(about), append([]any{"error", err}, attributes...)...)
}

// clear removes the trouble with a subject. It returns whether there was one.
func (t *troubles) clear(about subject) bool {
	_, known := t.now[about]
	delete(t.now, about)
	return known
}

// err returns all present troubles as one error.
func (t *troubles) err() error {
	return errors.Join(t.now[ofState], t.now[ofSource], t.now[ofCounters], t.now[ofJournal], t.now[ofOperators], t.now[ofServer],
		t.now[ofTarget])
}
