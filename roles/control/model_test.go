package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/control"
	targets "aspects-poc/roles/control/target"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// A target is a revision's name.
type target struct {
	revision int64
	hash     string
}

// A memory is what a server keeps in its database.
type memory struct {
	desired   target
	registers map[uuid.UUID]bool
	sequence  int64
	running   target
	attempted serverapi.Attempted
	config    map[string]any // as reported last
}

// A model is a server with revisions that follows the protocol and does nothing else. Targets is what all servers of the
// test have ever asked for.
type model struct {
	mu       sync.Mutex // guards all below
	memory   memory
	targets  map[target]serverapi.Config
	changed  chan struct{} // closed when the desired target changes
	interval time.Duration // told to devices
	waits    bool          // polls are held back
	most     time.Duration // for which polls are held back; 0: as long as is asked
	busy     time.Duration // polls are answered 503 with this Retry-After
	rivals   bool          // another machine with the same key ends each held poll at once
	portal   int           // a portal answers polls in the server's place, with this status
	older    bool          // refuses reports with an instance
	replays  bool          // the portal has proofs of earlier polls
	tokens   []string      // enrolment tokens of registrations
	polls    int
	held     int // polls held back to their end
	reports  []serverapi.Report
}

func newModel() *model {
	m := &model{targets: map[target]serverapi.Config{}, changed: make(chan struct{}), interval: time.Minute, waits: true}
	m.memory.registers = map[uuid.UUID]bool{}
	return m
}

// want makes a configuration the desired target, under the next revision.
func (m *model) want(config serverapi.Config) target {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wantAs(m.memory.desired.revision+1, config)
}

func (m *model) wantAs(revision int64, config serverapi.Config) target {
	hash, err := config.Hash()
	if err != nil {
		panic(err)
	}
	m.memory.desired = target{revision, hash}
	m.targets[m.memory.desired] = config
	close(m.changed)
	m.changed = make(chan struct{})
	return m.memory.desired
}

// A tally is of what a model has done so far.
type tally struct{ polls, held int }

func (m *model) count() tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	return tally{m.polls, m.held}
}

// know registers a device by its UUID.
func (m *model) know(id string) { m.memory.registers[uuid.MustParse(id)] = true }

// backup and restore are the administrator's.
func (m *model) backup() memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.memory
	kept.registers = maps.Clone(kept.registers)
	return kept
}

func (m *model) restore(kept memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.memory = kept
	close(m.changed)
	m.changed = make(chan struct{})
}

// answerAs has a portal answer polls with a status; 0 ends that.
func (m *model) answerAs(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.portal = status
}

func (m *model) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	if err := m.serve(request.Context(), recorder, request, body); err != nil {
		return nil, err
	}
	return recorder.Result(), nil
}

func (m *model) serve(ctx context.Context, w http.ResponseWriter, request *http.Request, body []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set(serverapi.PollInterval, strconv.Itoa(int(m.interval/time.Second)))
	if request.URL.Path == "/register/" {
		var asked serverapi.RegisterRequest
		decode(body, &asked)
		id := uuid.New()
		m.memory.registers[id] = true
		m.tokens = append(m.tokens, asked.EnrolmentToken)
		send(w, http.StatusOK, serverapi.RegisterResponse{UUID: id, Registered: 1719407517, RegisterRequest: asked})
		return nil
	}
	var poll serverapi.PollRequest
	decode(body, &poll)
	m.polls++
	if m.portal > 0 {
		w.Header().Set(serverapi.PollInterval, "86400")
		if m.replays {
			proof, err := prove(request, true)
			if err != nil {
				return err
			}
			w.Header().Set(serverapi.PollProof, proof)
		}
		send(w, m.portal, serverapi.Document{Config: serverapi.Config{}})
		return nil
	}
	if m.busy > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(m.busy/time.Second)))
		send(w, http.StatusServiceUnavailable, serverapi.Problem{Status: 503})
		return nil
	}
	if !m.memory.registers[poll.UUID] {
		send(w, http.StatusBadRequest, serverapi.Problem{Status: 400, Detail: serverapi.NotRegistered})
		return nil
	}
	if m.older && poll.Report != nil && poll.Report.Instance != "" {
		send(w, http.StatusUnprocessableEntity, serverapi.Problem{Status: 422,
			Detail: "report.instance is not known here; known are sequence, running, attempted, stats"})
		return nil
	}
	if m.keep(poll) && !m.older {
		proof, err := prove(request, false)
		if err != nil {
			return err
		}
		w.Header().Set(serverapi.PollProof, proof)
	}
	if wait, ok := strings.CutPrefix(request.Header.Get("Prefer"), "wait="); ok && m.waits {
		w.Header().Set("Preference-Applied", "wait="+wait)
		seconds, err := strconv.Atoi(wait)
		if err != nil {
			return err
		}
		if offer := m.offer(); !m.rivals && (offer == nil || m.memory.attempted.Revision == m.memory.desired.revision) {
			if err := m.hold(ctx, time.Duration(seconds)*time.Second); err != nil {
				return err
			}
		}
	}
	offer := m.offer()
	if offer == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	send(w, http.StatusOK, offer)
	return nil
}

// hold waits, without the lock, until the desired target changes or time is up.
func (m *model) hold(ctx context.Context, wait time.Duration) error {
	changed := m.changed
	cut := m.most
	m.mu.Unlock()
	defer m.mu.Lock()
	if cut > 0 && cut < wait {
		wait = cut
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
		if cut > 0 && cut <= wait {
			return errors.New("connection reset by peer")
		}
		m.held++
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// prove is the proof that a server knows the device, whose key is that of all tests. A stale one is of another poll with the
// same body.
func prove(request *http.Request, stale bool) (string, error) {
	known, err := key()
	if err != nil {
		return "", err
	}
	input, err := sign.ParseInput(request.Header)
	if err != nil {
		return "", nil // a device without a key
	}
	text, err := sign.Received(request).Base(input)
	if err != nil {
		return "", err
	}
	if stale {
		text = strings.Replace(text, input.Nonce, "earlier", 1)
	}
	return sign.Proof(&known.PublicKey, text)
}

// keep takes a report as the server does, and tells whether it did: one that is older than the last is ignored.
func (m *model) keep(poll serverapi.PollRequest) bool {
	m.memory.config = normal(map[string]any(poll.Config)).(map[string]any)
	report := poll.Report
	if report == nil || report.Sequence < m.memory.sequence {
		return false
	}
	m.reports = append(m.reports, *report)
	m.memory.sequence, m.memory.running, m.memory.attempted = report.Sequence, target{}, serverapi.Attempted{}
	if running := report.Running; running != nil {
		m.memory.running = target{running.Revision, running.Hash}
	}
	if report.Attempted != nil {
		m.memory.attempted = *report.Attempted
	}
	return true
}

// offer returns the desired target where the device is to apply it.
func (m *model) offer() *serverapi.Offer {
	desired := m.memory.desired
	attempted := m.memory.attempted
	switch {
	case desired.revision == 0, attempted.Revision == desired.revision && attempted.Outcome == serverapi.Refused:
		return nil
	case m.memory.running == desired && !contradicts(map[string]any(m.targets[desired]), m.memory.config):
		return nil
	}
	return &serverapi.Offer{Config: m.targets[desired], Revision: desired.revision, Hash: desired.hash}
}

// contradicts reports whether a value that is reported is another than the target's.
func contradicts(wanted map[string]any, reported any) bool {
	shown, _ := reported.(map[string]any)
	for key, value := range wanted {
		now, there := shown[key]
		switch inner, isObject := value.(map[string]any); {
		case isObject:
			if contradicts(inner, now) {
				return true
			}
		case value == nil:
			if there {
				return true
			}
		case there && !within(value, now):
			return true
		}
	}
	return false
}

// A wire is between a device and servers, by host. Requests are lost and repeated, and late, by chance.
type wire struct {
	mu      sync.Mutex // guards all below
	servers map[string]http.RoundTripper
	bad     float64 // how often something happens to a request
	random  *rand.Rand
	late    []func()             // requests that are still under way
	claim   func(running target) // called with what a report says is running, when it leaves the device
}

// onClaim has a function called with what polls claim to run; nil ends that.
func (n *wire) onClaim(claim func(target)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.claim = claim
}

func (n *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	n.mu.Lock()
	server, claim, happens := n.servers[request.URL.Host], n.claim, ""
	if n.bad > 0 && n.random.Float64() < n.bad {
		happens = []string{"lost", "answer lost", "twice", "late"}[n.random.IntN(4)]
	}
	n.mu.Unlock()
	if server == nil {
		return nil, fmt.Errorf("dial tcp %s: connection refused", request.URL.Host)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	if request.URL.Path == "/poll/" && claim != nil {
		var poll serverapi.PollRequest
		decode(body, &poll)
		if poll.Report != nil && poll.Report.Running != nil {
			claim(target{poll.Report.Running.Revision, poll.Report.Running.Hash})
		}
	}
	pass := func(ctx context.Context) (*http.Response, error) {
		again := request.Clone(ctx)
		again.Body = io.NopCloser(strings.NewReader(string(body)))
		return server.RoundTrip(again)
	}
	switch happens {
	case "lost":
		return nil, errors.New("connection reset by peer")
	case "answer lost":
		_, _ = pass(request.Context())
		return nil, errors.New("connection reset by peer")
	case "twice", "late":
		n.mu.Lock()
		n.late = append(n.late, func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // nobody waits for the answer
			_, _ = pass(ctx)
		})
		n.mu.Unlock()
		if happens == "late" {
			return nil, context.DeadlineExceeded
		}
	}
	return pass(request.Context())
}

// deliver has some of the late requests arrive, in any order.
func (n *wire) deliver(share float64) {
	n.mu.Lock()
	var now []func()
	for _, i := range n.random.Perm(len(n.late)) {
		if n.random.Float64() < share {
			now = append(now, n.late[i])
			n.late[i] = nil
		}
	}
	left := n.late[:0]
	for _, request := range n.late {
		if request != nil {
			left = append(left, request)
		}
	}
	n.late = left
	n.mu.Unlock()
	for _, request := range now {
		request()
	}
}

// journalOf reads a device's journal.
func journalOf(t testing.TB, dir string) targets.Journal {
	t.Helper()
	journal, err := control.JournalIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	return journal
}

// named returns a journal's target as the model has it.
func named(known *targets.Target) target {
	if known == nil {
		return target{}
	}
	return target{known.Revision, known.Hash}
}

// shownBy returns what the control views show, as plain JSON shapes.
func shownBy(d *device, views ...string) map[string]any {
	shown := map[string]any{}
	for _, view := range views {
		var document map[string]any
		if json.Unmarshal([]byte(d.JSON(view)), &document) == nil {
			shown[view] = document
		}
	}
	return shown
}
