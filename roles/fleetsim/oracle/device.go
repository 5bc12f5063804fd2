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

// A kind is how a device behaves during the whole run.
type kind struct {
	Signs   bool
	Waits   bool
	Reports bool // its polls have a report; those of the original's clients do not
	Counts  bool // its counters differ in each poll
}

// kinds are assigned to devices in turn. The first one depends on the seed.
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

// The moods: how a device handles an offer.
const (
	obeys   = "obeys"
	refuses = "refuses"
	fails   = "fails"
	strays  = "strays" // it says that it runs the target, and shows another sample rate
)

// A device is a simulated device. What it runs and shows is the truth. The harness's lock guards it.
//
// It has many fields because it remembers, besides its present state, what it told each server and when.
type device struct {
	h      *harness
	number int
	kind   kind
	key    string // the public key
	signer *sign.Signer
	random *rand.Rand // for its pauses

	id        uuid.UUID // zero if it has to register
	former    uuid.UUID // its ID before the last registration
	labels    map[string]string
	mood      string
	holds     pollContent
	refused   serverapi.Offer // the last target that it refused
	heard     int64           // the last revision that it was offered
	era       int             // the era of the servers in which it got the target that it runs
	known     string          // its last report, without the sequence
	counted   int64
	overtaken int64 // the value of counted when a report was last overtaken
	away      bool
	fresh     bool // registers and never polls
	acked     *serverapi.PollRequest
	due       time.Time
	interrupt context.CancelFunc // ends the poll under way; nil for none
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

// client returns a client of the device for one of the servers.
func (d *device) client(server int) *serverapi.Client { return d.clientOf(server, 0) }

// clientOf is client with signatures that are as old as ago.
func (d *device) clientOf(server int, ago time.Duration) *serverapi.Client {
	transport := d.h.world.Transport()
	if d.signer != nil {
		transport = sign.NewTransport(d.signer, sign.Options{Base: transport, Now: func() time.Time { return time.Now().Add(-ago) }})
	}
	client, err := serverapi.NewClient(d.h.world.URL(server), serverapi.Options{Transport: transport})
	if err != nil {
		panic(err) // the world's addresses are valid
	}
	return client
}

// run runs the device until ctx ends.
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

// poke wakes a sleeping device.
func (d *device) poke() {
	select {
	case d.poked <- struct{}{}:
	default:
	}
}

// wakeUp registers the device if necessary, and polls until it has nothing new to report.
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

// said returns a device's own labels as the server shows them: with "device." before the name.
func said(labels map[string]string) map[string]string {
	shown := map[string]string{}
	for name, value := range labels {
		shown["device."+name] = value
	}
	return shown
}

// register registers the device.
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
		e.asked = time.Now() // the server may recognise the device by its key even if it refuses it
	}
	if err != nil {
		return err
	}
	if d.former != answer.UUID {
		d.era = -1
	}
	d.id, d.former = answer.UUID, answer.UUID
	if h.model != model {
		return nil // from before a restore
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

// request returns the next poll. The caller holds the lock.
func (d *device) request() serverapi.PollRequest {
	d.counted++
	request := serverapi.PollRequest{UUID: d.id, Config: mergeOver(d.holds.config, nil)}
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

func report(t pollContent) *serverapi.Report {
	r := &serverapi.Report{Sequence: t.sequence}
	if t.running != (serverapi.Running{}) {
		r.Running = &t.running
	}
	if t.attempted != (serverapi.Attempted{}) {
		r.Attempted = &t.attempted
	}
	return r
}

// poll polls once, and handles the offer. again reports whether the device has something new to report.
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
	return d.handle(*answer.Offer, request), true, nil
}

// handle handles an offer according to the device's mood, and reports whether the device has something new to report.
// The caller holds the lock.
func (d *device) handle(offer serverapi.Offer, request serverapi.PollRequest) bool {
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

// astray is a value that a drifting device sets against its target.
var astray = map[string]any{"control-telemetry": map[string]any{"sample-rate": json.Number("99")}}

// patched returns a configuration with a merge patch (RFC 7396). It does not modify its arguments.
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

// A sending is a poll under way. A server may have processed it or not.
type sending struct {
	entry   *entry
	content *pollContent
	held    bool // the server may hold it, and refuse it later
}

// sent records that a poll is on its way. The caller holds the lock.
func (h *harness) sent(request serverapi.PollRequest) sending {
	s := sending{entry: h.model.entries[request.UUID], content: &pollContent{config: mergeOver(request.Config, nil)}}
	delete(s.content.config, "observe-interfaces")
	if r := request.Report; r != nil {
		s.content.sequence = r.Sequence
		if r.Running != nil {
			s.content.running = *r.Running
		}
		if r.Attempted != nil {
			s.content.attempted = *r.Attempted
		}
	}
	if s.entry != nil {
		s.entry.maybe = append(s.entry.maybe, s.content)
		s.entry.asked = time.Now()
		if h.saving != nil && h.saving.entries[s.entry.id] != nil {
			saved := h.saving.entries[s.entry.id]
			saved.maybe, saved.asked = append(saved.maybe, s.content), s.entry.asked
		}
	}
	return s
}

// end records the answer. Without an answer the server may have processed the poll. The caller holds the lock.
func (s sending) end(err error) {
	e := s.entry
	if e == nil {
		return
	}
	var refused *serverapi.Error
	if err == nil || errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && !s.held {
		e.maybe = slices.DeleteFunc(e.maybe, func(t *pollContent) bool {
			return t == s.content || err == nil && t.sequence <= s.content.sequence // it was overtaken
		})
	}
	e.asked = time.Now() // a poll that was held has lasted until now
	if err != nil {
		if refused != nil && refused.Status == http.StatusForbidden { // the server has seen the device although it refuses it
			e.answered = time.Now()
		}
		return
	}
	if !e.polled || s.content.sequence == 0 || s.content.sequence >= e.last.sequence { // otherwise the report is an old one
		e.last, e.polled, e.answered = *s.content, true, time.Now()
	}
}
