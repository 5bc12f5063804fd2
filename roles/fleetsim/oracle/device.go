package oracle

import (
	"cmp"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// A kind is how a device behaves for good.
type kind struct {
	Signs   bool
	Waits   bool
	Reports bool // it says what it runs; the original's clients do not
	Counts  bool // each poll has other counters
}

// kinds are given to devices in turn, beginning with another one for each seed.
var kinds = []kind{
	{Signs: true, Reports: true},
	{Signs: true, Waits: true, Reports: true},
	{},
	{Reports: true},
	{Signs: true, Waits: true, Reports: true, Counts: true},
	{Waits: true, Reports: true},
	{Counts: true},
	{Signs: true, Reports: true, Counts: true},
	{Waits: true},
}

// What a device makes of an offer.
const (
	obeys   = "obeys"
	refuses = "refuses"
	fails   = "fails"
	strays  = "strays" // it says that it runs the target, and shows another sample rate
)

// A device is a simulated device: what it holds is the truth. The harness's lock guards it.
//
// It has many fields because it remembers, besides its present state, what it told each server and when.
type device struct {
	h      *harness
	number int
	kind   kind
	key    string // public
	signer *sign.Signer
	random *rand.Rand // of its pauses

	id        uuid.UUID // zero: it has to register
	former    uuid.UUID // what it was registered as last
	labels    map[string]string
	mood      string
	holds     told
	refused   serverapi.Offer // the target that it has refused last
	heard     int64           // the revision that it was offered last
	era       int             // of the servers, in which it heard of the target that it runs
	known     string          // what it reported last, without the sequence
	counted   int64
	overtaken int64 // what counted was when a report of it was overtaken last
	away      bool
	fresh     bool // registers, and asks nothing
	acked     *serverapi.PollRequest
	due       time.Time
	interrupt context.CancelFunc // of the poll under way; nil for none
	poked     chan struct{}
}

func (h *harness) newDevice(number int, signer crypto.Signer, public string) (*device, error) {
	d := &device{
		h: h, number: number, kind: kinds[(number+int(h.options.Seed%uint64(len(kinds))))%len(kinds)], key: public, mood: obeys, poked: make(chan struct{}, 1),
		random: rand.New(rand.NewPCG(h.options.Seed, uint64(number))),
		labels: map[string]string{"site": []string{"a", "b"}[number%2]},
	}
	d.holds.config = serverapi.Config{
		"control-telemetry": map[string]any{"sample-rate": json.Number("2"), "monitor-peers": true},
		"control-tunnel":    map[string]any{"interface": "eth0", "peers": []any{"192.168.21.3", "192.168.151.225"}},
	}
	if d.kind.Signs {
		var err error
		if d.signer, err = sign.NewSigner(signer); err != nil {
			return nil, err
		}
	} else if !d.kind.Reports {
		d.key = fmt.Sprint("no key, but a text of device ", number)
	}
	return d, nil
}

// client speaks to one of the servers, as the device.
func (d *device) client(server int) *serverapi.Client { return d.clientOf(server, 0) }

// clientOf signs what it sends as of some time ago.
func (d *device) clientOf(server int, ago time.Duration) *serverapi.Client {
	transport := d.h.world.Transport()
	if d.signer != nil {
		transport = sign.NewTransport(d.signer, sign.Options{Base: transport, Now: func() time.Time { return time.Now().Add(-ago) }})
	}
	client, err := serverapi.NewClient(d.h.world.URL(server), serverapi.Options{Transport: transport})
	if err != nil {
		panic(err) // the world's addresses are good
	}
	return client
}

// run lets the device live until ctx ends.
func (d *device) run(ctx context.Context) {
	for {
		d.h.mu.Lock()
		pause, away := time.Until(d.due), d.away
		d.h.mu.Unlock()
		if away {
			pause = time.Hour
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-d.poked:
			timer.Stop()
		case <-timer.C:
			d.wakeUp(ctx)
		}
	}
}

// poke makes a device that sleeps look at what it has to do.
func (d *device) poke() {
	select {
	case d.poked <- struct{}{}:
	default:
	}
}

// wakeUp registers the device if need be, and polls until nothing more is to say.
func (d *device) wakeUp(ctx context.Context) {
	h := d.h
	h.mu.Lock()
	ctx, cancel := context.WithCancel(ctx)
	d.interrupt = cancel
	h.mu.Unlock()
	again, offered, err := true, false, error(nil)
	for i := 0; again && err == nil && i < 4; i++ {
		h.mu.Lock()
		server, needed, away := d.random.IntN(h.world.Servers()), d.id == uuid.Nil, d.away
		h.mu.Unlock()
		if away {
			break
		}
		if needed {
			if err = d.register(ctx, server); err != nil {
				break
			}
			if d.fresh {
				break
			}
		}
		again, offered, err = d.poll(ctx, server)
	}
	cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	d.interrupt = nil
	interval := h.options.Interval
	switch {
	case err != nil:
		d.due = time.Now().Add(interval/8 + time.Duration(d.random.Int64N(int64(interval/8))))
	case d.kind.Waits && !offered:
		d.due = time.Now().Add(time.Millisecond)
	default:
		d.due = time.Now().Add(time.Duration((0.8 + 0.4*d.random.Float64()) * float64(interval)))
	}
	if d.fresh {
		d.away, d.fresh = true, false
	}
}

// said returns labels that a device says of itself as the server shows them: with "device." before the name.
func said(labels map[string]string) map[string]string {
	shown := map[string]string{}
	for name, value := range labels {
		shown["device."+name] = value
	}
	return shown
}

// register makes the device known.
func (d *device) register(ctx context.Context, server int) error {
	h := d.h
	h.mu.Lock()
	model, labels := h.model, said(d.labels)
	h.mu.Unlock()
	answer, err := d.client(server).Register(ctx, serverapi.RegisterRequest{
		IPAddress: fmt.Sprintf("10.0.0.%d", d.number), PublicKeyRSA: d.key, Arch: "amd64", Labels: maps.Clone(d.labels)})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.figures.Registrations++
	if e := h.model.entries[d.former]; e != nil {
		e.asked = time.Now() // by its key it may be known, though it is turned away
	}
	if err != nil {
		return err
	}
	if d.former != answer.UUID {
		d.era = -1
	}
	d.id, d.former = answer.UUID, answer.UUID
	if h.model != model {
		return nil // of before a restore
	}
	e := model.entries[d.id]
	if e == nil {
		e = &entry{id: d.id, status: cmp.Or(answer.Status, serverapi.Active), labels: labels, answered: time.Now(), asked: time.Now()}
		model.entries[d.id] = e
	}
	e.asked = time.Now()
	if !maps.Equal(answer.Labels, e.labels) {
		h.complain("register", "device %d (%s) is answered the labels %v, and has %v", d.number, d.id, answer.Labels, e.labels)
	}
	return nil
}

// request is the next poll. The lock is held.
func (d *device) request() serverapi.PollRequest {
	d.counted++
	request := serverapi.PollRequest{UUID: d.id, Config: over(d.holds.config, nil)}
	if d.kind.Counts {
		request.Config["observe-interfaces"] = map[string]any{"packets-sent": map[string]any{"eth0": d.counted}}
	}
	if !d.kind.Reports {
		return request
	}
	if content := text([]any{d.holds.config, d.holds.running, d.holds.attempted}); content != d.known {
		d.known = content
		d.holds.sequence = max(d.holds.sequence+1, time.Now().UnixMilli())
	}
	request.Report = report(d.holds)
	if d.kind.Counts {
		request.Report.Stats = &serverapi.Stats{Packets: map[string]serverapi.Packets{"eth0": {Sent: uint64(d.counted)}}}
	}
	return request
}

func report(t told) *serverapi.Report {
	r := &serverapi.Report{Sequence: t.sequence}
	if t.running != (serverapi.Running{}) {
		r.Running = &t.running
	}
	if t.attempted != (serverapi.Attempted{}) {
		r.Attempted = &t.attempted
	}
	return r
}

// poll asks once, and takes what it is offered. It tells whether there is something to report now.
func (d *device) poll(ctx context.Context, server int) (again, offered bool, err error) {
	h := d.h
	h.mu.Lock()
	request := d.request()
	wait := time.Duration(0)
	if d.kind.Waits {
		wait = max(h.options.Interval, time.Second)
	}
	sent, era := h.sent(request), h.era
	sent.held = wait > 0
	h.mu.Unlock()
	answer, err := d.client(server).Poll(ctx, request, wait)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.figures.Polls++
	sent.end(err)
	switch {
	case serverapi.IsNotRegistered(err), serverapi.IsProblem(err, serverapi.ProblemUnknownKey):
		d.id = uuid.Nil
		return false, false, err
	case serverapi.IsProblem(err, serverapi.ProblemPending), serverapi.IsProblem(err, serverapi.ProblemRevoked):
		return false, false, err
	case err != nil:
		var refused *serverapi.Error
		if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
			if h.model.entries[request.UUID] != nil && request.UUID == d.id {
				h.complain("poll", "device %d: %v", d.number, err)
			}
			d.id = uuid.Nil
		}
		return false, false, err
	}
	d.acked = &request
	if answer.Offer == nil || request.UUID != d.id || h.era != era {
		return false, false, nil
	}
	return d.take(*answer.Offer, request), true, nil
}

// take makes of an offer what the device's mood is, and tells whether it has something new to report. The lock is held.
func (d *device) take(offer serverapi.Offer, request serverapi.PollRequest) bool {
	h := d.h
	h.figures.Offers++
	d.heard = offer.Revision
	target := serverapi.Running{Revision: offer.Revision, Hash: offer.Hash}
	if hash, err := offer.Config.Hash(); err != nil || hash != offer.Hash {
		h.complain("offer", "device %d is offered revision %d whose hash is %s (%v), not %s", d.number, offer.Revision, hash, err, offer.Hash)
	}
	if tried := d.holds.attempted; d.kind.Reports && tried.Outcome == serverapi.Refused && tried.Revision == offer.Revision &&
		d.refused.Hash == offer.Hash && d.holds.running != target {
		h.complain("offer", "device %d is offered revision %d again, which it has refused", d.number, offer.Revision)
	}
	if d.kind.Reports && offer.Revision < d.holds.running.Revision && d.era == h.era {
		h.complain("offer", "device %d runs revision %d, and is offered %d", d.number, d.holds.running.Revision, offer.Revision)
	}
	before := text([]any{d.holds.config, d.holds.running, d.holds.attempted})
	switch {
	case d.mood == fails:
		d.holds.attempted = serverapi.Attempted{Revision: offer.Revision, Outcome: serverapi.Failed, Reason: "it broke <down> & \"out\""}
	case d.mood == refuses:
		d.refused = offer
		d.holds.attempted = serverapi.Attempted{Revision: offer.Revision, Outcome: serverapi.Refused, Path: "control-telemetry", Reason: "no"}
	default:
		d.holds.config = patched(d.holds.config, offer.Config)
		if d.mood == strays {
			d.holds.config = patched(d.holds.config, astray)
		}
		d.holds.running, d.era = target, h.era
		d.holds.attempted = serverapi.Attempted{Revision: offer.Revision, Outcome: serverapi.Applied}
	}
	if !d.kind.Reports {
		d.holds.running, d.holds.attempted = serverapi.Running{}, serverapi.Attempted{}
	}
	return text([]any{d.holds.config, d.holds.running, d.holds.attempted}) != before
}

// astray is what a device shows that does not keep to its target.
var astray = map[string]any{"control-telemetry": map[string]any{"sample-rate": json.Number("99")}}

// patched applies a merge patch (RFC 7396) to a configuration, which stays as it is.
func patched(config, patch map[string]any) map[string]any {
	result := map[string]any{}
	maps.Copy(result, config)
	for name, value := range patch {
		inner, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(result, name)
		case isObject:
			below, _ := result[name].(map[string]any)
			result[name] = patched(below, inner)
		default:
			result[name] = value
		}
	}
	return result
}

// A sending is a poll under way, which a server may have taken or not.
type sending struct {
	entry *entry
	told  *told
	held  bool // it may be kept, and refused later
}

// sent notes that a poll is on its way. The lock is held.
func (h *harness) sent(request serverapi.PollRequest) sending {
	s := sending{entry: h.model.entries[request.UUID], told: &told{config: over(request.Config, nil)}}
	delete(s.told.config, "observe-interfaces")
	if r := request.Report; r != nil {
		s.told.sequence = r.Sequence
		if r.Running != nil {
			s.told.running = *r.Running
		}
		if r.Attempted != nil {
			s.told.attempted = *r.Attempted
		}
	}
	if s.entry != nil {
		s.entry.maybe = append(s.entry.maybe, s.told)
		s.entry.asked = time.Now()
		if h.saving != nil && h.saving.entries[s.entry.id] != nil {
			saved := h.saving.entries[s.entry.id]
			saved.maybe, saved.asked = append(saved.maybe, s.told), s.entry.asked
		}
	}
	return s
}

// end notes the answer. Without one the poll may have been taken. The lock is held.
func (s sending) end(err error) {
	e := s.entry
	if e == nil {
		return
	}
	var refused *serverapi.Error
	if err == nil || errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && !s.held {
		e.maybe = slices.DeleteFunc(e.maybe, func(t *told) bool {
			return t == s.told || err == nil && t.sequence <= s.told.sequence // overtaken
		})
	}
	e.asked = time.Now() // where it left a poll that was held, it was there until now
	if err != nil {
		if refused != nil && refused.Status == http.StatusForbidden { // turned away, it is seen
			e.answered = time.Now()
		}
		return
	}
	if !e.polled || s.told.sequence == 0 || s.told.sequence >= e.told.sequence { // else it is old, whenever it comes
		e.told, e.polled, e.answered = *s.told, true, time.Now()
	}
}
