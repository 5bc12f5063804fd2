package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The reasons why a registered device may not poll.
var (
	ErrPending       = errors.New("the device waits for an operator's approval")
	ErrRevoked error = answered("an operator has turned the device away")
)

// MaxWait is the longest time that a poll is held.
const MaxWait = 5 * time.Minute

// A Poll is the content of a device's poll.
type Poll struct {
	Config Config
	// Report means that the device reports more than its configuration. Otherwise it is a client of the original, which
	// does not report what it runs.
	Report    bool
	Sequence  int64
	Instance  string // the machine that polls; "" if it does not say
	Running   Running
	Attempted Attempted
	// Sent is when the device signed the poll; zero for a device that does not sign.
	Sent  time.Time
	Stats string        // JSON of serverapi.Stats; "" for none
	Wait  time.Duration // how long the poll may be held; 0 means not at all
	// Idle means that the poll must change nothing. It is answered if it repeats the device's last poll and there is
	// nothing to do; otherwise the error is ErrUnavailable.
	Idle bool
}

// An Answer is the answer to a poll.
type Answer struct {
	// Offer is the target for the device to apply; nil if there is nothing to do.
	Offer *Target
	// Later is the stored sequence if it is later than the poll's, so that the report was ignored; else 0.
	Later int64
	// Waits reports whether the poll would have been held if there had been nothing to answer.
	Waits bool
}

// Poll stores a device's report and returns what the device has to do. The report is durable when Poll returns without
// error. A poll that repeats the device's last one writes nothing, and does not read the store if there is nothing to
// do. Exception: if other servers share the store, a poll without a sequence always reads it, because nothing else
// shows whether it came after the polls that they heard.
//
// A poll with a wait is answered at once if there is an offer of a revision that the device has not tried, else when
// there is one or the wait is over. A newer poll of the device ends it without an offer. Errors: ErrUnknownDevice,
// ErrPending, ErrRevoked, and the store's.
func (f *Fleet) Poll(ctx context.Context, id uuid.UUID, poll Poll) (Answer, error) {
	answer, held, err := f.Take(ctx, id, poll)
	if held == nil {
		return answer, err
	}
	return held.wait(ctx)
}

// Take is Poll, but returns a poll that must be held instead of waiting. The caller calls its Then.
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
		// Join before the first read, so that no later change is missed.
		held = f.waiting.join(f, id, min(poll.Wait, MaxWait))
	}
	answer, tried, err := f.process(ctx, id, poll, report, content)
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

// process stores a device's report, and decides. tried is the revision that the device tried last.
func (f *Fleet) process(
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
		if f.sightings.add(id, now, stats) {
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
	if f.clones.observe(id, poll, device.Report) {
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
	// For a device of a release, the stored verdict shows when the target was first offered.
	offered := device.Verdict.Revision < target.Since && target.offered() && targets.gets(device)
	if offered || device.differs(report, target.wanted) {
		report.At = now
		sequence, err := f.store.Report(ctx, id, report)
		if err != nil {
			return Answer{}, 0, err
		}
		if report.Sequence != 0 && report.Sequence < sequence { // another poll was first
			return f.late(ctx, id, sequence)
		}
	} else if err := f.confirm(ctx); err != nil { // the device may not know that its report is stored
		return Answer{}, 0, err
	}
	noted := f.sightings.add(id, now, f.statsOf(point, poll.Stats))
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

// late answers a report that is older than the stored one. The stored report decides the answer.
func (f *Fleet) late(ctx context.Context, id uuid.UUID, sequence int64) (answer Answer, tried int64, err error) {
	f.sightings.add(id, f.options.Now(), nil)
	answer.Later = sequence
	answer.Offer, tried, err = f.decide(ctx, id)
	return answer, tried, err
}

// decide decides by the stored state of a registered device. tried is the revision that the device tried last.
func (f *Fleet) decide(ctx context.Context, id uuid.UUID) (offer *Target, tried int64, err error) {
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

// admitted returns a device that may poll. A device that may not poll also counts as seen.
func (f *Fleet) admitted(ctx context.Context, id uuid.UUID) (Device, error) {
	device, err := f.store.Device(ctx, id)
	if err != nil {
		return Device{}, err
	}
	if err := mayPoll(device.Status); err != nil {
		f.sightings.add(id, f.options.Now(), nil)
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
