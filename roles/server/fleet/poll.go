package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Why a device that is registered may not poll.
var (
	ErrPending = errors.New("the device waits for an operator's approval")
	ErrRevoked = errors.New("an operator has turned the device away")
)

// MaxWait is the longest that a poll is held back.
const MaxWait = 5 * time.Minute

// A Poll is what a device sends.
type Poll struct {
	Config Config
	// Report tells that the device says more than its configuration. Without it, it is a client of the original, of
	// which nothing is known to run but what its configuration shows.
	Report    bool
	Sequence  int64
	Instance  string // of the machine that speaks; "" where it does not say
	Running   Running
	Attempted Attempted
	// Sent is when the device signed it; zero where it does not sign.
	Sent  time.Time
	Stats string        // JSON of serverapi.Stats; "" for none
	Wait  time.Duration // for how long it may be held back; 0 for not at all
	// Idle says that nothing may be changed by it: it is answered where it repeats the device's last poll and nothing is to
	// do, else the error is ErrUnavailable.
	Idle bool
}

// An Answer is what a device is told.
type Answer struct {
	// Offer is the target that the device is to apply; nil: nothing is to do.
	Offer *Target
	// Later is the sequence that is kept, where that of the poll was lower and the report has been ignored; else 0.
	Later int64
	// Waits tells whether the poll would have been held back, had there been no reason to answer at once.
	Waits bool
}

// Poll takes what a device reports and says what it is to do. What it reports is durable when Poll returns without
// error. A poll that repeats the device's last one writes nothing, and looks at no store where there is nothing to do:
// but where other servers share the store, a poll without a sequence always looks, as nothing else tells whether it came
// after what they heard.
//
// A poll with a wait is answered at once if there is an offer of a revision that the device has not tried; else when that
// has come, or the wait is over. A newer poll of the device ends it, without an offer. Errors: ErrUnknownDevice, ErrPending,
// ErrRevoked, and the store's.
func (f *Fleet) Poll(ctx context.Context, id uuid.UUID, poll Poll) (Answer, error) {
	answer, held, err := f.Take(ctx, id, poll)
	if held == nil {
		return answer, err
	}
	return held.wait(ctx)
}

// Take is Poll, but returns a poll that is to be held instead of waiting. The caller calls its Then.
func (f *Fleet) Take(ctx context.Context, id uuid.UUID, poll Poll) (Answer, *Held, error) {
	poll.Config = f.names.short(poll.Config)
	report := Report{Config: poll.Config}
	if poll.Report {
		report.Sequence, report.Instance = poll.Sequence, poll.Instance
		report.Running, report.Attempted = poll.Running, poll.Attempted
	}
	content := contentOf(report, report.Sequence)
	var held *Held
	if poll.Wait > 0 {
		// Before the first look: what changes after it is told.
		held = f.waiting.join(f, id, min(poll.Wait, MaxWait))
	}
	answer, tried, err := f.take(ctx, id, poll, report, content)
	answer.Waits = held != nil
	if err == nil && held != nil && answer.Later == 0 && (answer.Offer == nil || answer.Offer.Revision == tried) {
		held.answer = answer
		return answer, held, nil
	}
	if held != nil {
		f.waiting.leave(held)
	}
	return answer, nil, err
}

// take keeps what a device reports, and decides. Tried is the revision that it tried last.
func (f *Fleet) take(
	ctx context.Context, id uuid.UUID, poll Poll, report Report, content digest,
) (answer Answer, tried int64, err error) {
	now := f.options.Now()
	targets := f.targets.Load()
	point := f.point(now, poll.Stats)
	repeats, newPoint := f.known.repeats(id, content, targets.generation, point)
	if repeats && (!f.shared || report.Sequence != 0 || poll.Idle) {
		if err := ctx.Err(); err != nil {
			return Answer{}, 0, err
		}
		var stats *Stats
		if newPoint && !poll.Idle {
			stats = f.statsOf(point, poll.Stats)
		}
		if f.sightings.note(id, now, stats) {
			f.clones.same(id, poll.Sent)
			return Answer{}, 0, nil
		}
	}
	if poll.Idle {
		return Answer{}, 0, fmt.Errorf("%w: whether the poll came before cannot be found out", ErrOutage)
	}
	f.known.begin(id)
	var remember *memory
	defer func() { f.known.end(id, remember) }()
	device, err := f.admitted(ctx, id)
	if err != nil {
		return Answer{}, 0, err
	}
	if f.clones.look(id, poll, device.Report) {
		f.twins(device, now)
	} else if device.cloned(f.options.PollInterval) {
		f.clones.mark(id) // as after a restart
	}
	if report.Sequence != 0 && report.Sequence < device.Sequence {
		return f.late(ctx, id, device.Sequence)
	}
	targets, target, err := f.targetOf(ctx, device, report)
	if err != nil {
		return Answer{}, 0, err
	}
	if report.Attempted, err = f.withhold(ctx, device, report, targets, target); err != nil {
		return Answer{}, 0, err
	}
	if report.Verdict, err = target.judge(report); err != nil {
		return Answer{}, 0, err
	}
	// Of a device that gets a release, what is kept tells when it was first offered the target.
	offered := device.Verdict.Revision < target.Since && target.offered() && targets.gets(device)
	if offered || device.differs(report, target.wanted) {
		report.At = now
		sequence, err := f.store.Report(ctx, id, report)
		if err != nil {
			return Answer{}, 0, err
		}
		if report.Sequence != 0 && report.Sequence < sequence { // another was faster
			return f.late(ctx, id, sequence)
		}
	} else if err := f.confirm(ctx); err != nil { // the device may not have heard that it is kept
		return Answer{}, 0, err
	}
	noted := f.sightings.note(id, now, f.statsOf(point, poll.Stats))
	if target.offersTo(report.Verdict) && target.offered() {
		return Answer{Offer: &target}, report.Attempted.Revision, nil
	}
	if noted {
		remember = &memory{content: content, generation: targets.generation, point: point}
	}
	return Answer{}, report.Attempted.Revision, nil
}

func (f *Fleet) confirm(ctx context.Context) error {
	if store, ok := f.store.Store.(Confirmer); ok {
		return store.Confirm(ctx)
	}
	return nil
}

// late answers a report that is older than what is known, which holds: the answer is the one to that.
func (f *Fleet) late(ctx context.Context, id uuid.UUID, sequence int64) (answer Answer, tried int64, err error) {
	f.sightings.note(id, f.options.Now(), nil)
	answer.Later = sequence
	answer.Offer, tried, err = f.look(ctx, id)
	return answer, tried, err
}

// look decides by what is kept of a device, which is there. Tried is the revision that it tried last.
func (f *Fleet) look(ctx context.Context, id uuid.UUID) (offer *Target, tried int64, err error) {
	device, err := f.admitted(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	_, target, err := f.targetOf(ctx, device, device.Report)
	if err != nil {
		return nil, 0, err
	}
	verdict, err := target.judge(device.Report)
	if err != nil || !target.offersTo(verdict) || !target.offered() {
		return nil, device.Attempted.Revision, err
	}
	return &target, device.Attempted.Revision, nil
}

// admitted returns a device that polls, and that may. One that may not has been seen all the same.
func (f *Fleet) admitted(ctx context.Context, id uuid.UUID) (Device, error) {
	device, err := f.store.Device(ctx, id)
	if err != nil {
		return Device{}, err
	}
	if err := mayPoll(device.Status); err != nil {
		f.sightings.note(id, f.options.Now(), nil)
		return Device{}, err
	}
	return device, nil
}

func mayPoll(status Status) error {
	switch status {
	case Active:
		return nil
	case Pending:
		return ErrPending
	}
	return ErrRevoked
}
