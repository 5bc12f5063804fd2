package server_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server/clock"
	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// shiftFile names the file with the duration by which the clock of a server process of a test is ahead.
const shiftFile = "ASPECTS_TEST_CLOCK"

// shifted reads the clock, and adds the duration in a file.
func shifted(file string) clock.Reading {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	ahead, err := time.ParseDuration(string(text))
	if err != nil {
		panic(err)
	}
	now := clock.Read()
	return clock.Reading{Wall: now.Wall.Add(ahead), Since: now.Since}
}

// A machine has a clock that can jump, and a server as a process of its own.
type machine struct {
	t      *testing.T
	file   string
	child  *exec.Cmd
	url    string
	stderr rolestest.Buffer
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, file: filepath.Join(t.TempDir(), "clock")}
	m.jump(0)
	return m
}

// jump sets the clock, by its distance from the right time.
func (m *machine) jump(ahead time.Duration) {
	m.t.Helper()
	if err := os.WriteFile(m.file+".new", []byte(ahead.String()), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(m.file+".new", m.file); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) start(flags ...string) {
	m.t.Helper()
	m.child = exec.Command(os.Args[0], append([]string{"server", "run", "--config", "-",
		"--listen", "127.0.0.1:0", "--interval", "100ms"}, flags...)...)
	m.child.Args[0] = "aspects-poc"
	m.child.Env = append(os.Environ(), "ASPECTS_TEST_SERVER=1", shiftFile+"="+m.file)
	m.child.Stderr = &m.stderr
	stdout, err := m.child.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.child.Start(); err != nil {
		m.t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		m.t.Fatalf("%v: %s", errors.Join(err, m.child.Wait()), m.stderr.String())
	}
	m.url = listeningOn(m.t, line)
	m.t.Cleanup(m.stop)
}

func (m *machine) stop() {
	if m.child == nil {
		return
	}
	if err := errors.Join(m.child.Process.Signal(os.Interrupt), m.child.Wait()); err != nil {
		m.t.Errorf("%v: %s", err, m.stderr.String())
	}
	m.child = nil
}

// get returns the status of an answer, and decodes it.
func (m *machine) get(path, token string, into any) int {
	m.t.Helper()
	request, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, m.url+path, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close(), json.Unmarshal(body, into)); err != nil {
		m.t.Fatal(err)
	}
	return response.StatusCode
}

// ready reports whether the server is ready. If it is not, its clock must be the reason.
func (m *machine) ready() bool {
	m.t.Helper()
	var problem struct{ Detail string }
	status := m.get("/readyz", "", &problem)
	if status != 200 && !strings.Contains(problem.Detail, "the server's clock says") {
		m.t.Errorf("readyz answers %d %+v", status, problem)
	}
	return status == 200
}

// A member is a device that does what its server asks for.
type member struct {
	m       *machine
	i       int // of its key
	id      uuid.UUID
	report  serverapi.Report
	offered int // targets
}

// register returns the status of a refusal; 0 for none.
func (d *member) register() int {
	d.m.t.Helper()
	api, _, publicKey := signing(d.m.t, d.m.url, d.i)
	answer, err := api.Register(d.m.t.Context(), serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "x"})
	var refused *serverapi.Error
	if errors.As(err, &refused) {
		return refused.Status
	}
	if err != nil {
		d.m.t.Fatal(err)
	}
	d.id = answer.UUID
	return 0
}

// poll polls until nothing is offered. Its clock is right.
func (d *member) poll() {
	d.m.t.Helper()
	api, _, _ := signing(d.m.t, d.m.url, d.i)
	for range 3 {
		d.report.Sequence++
		answer, err := api.Poll(d.m.t.Context(), serverapi.PollRequest{UUID: d.id, Report: &d.report}, 0)
		if err != nil {
			d.m.t.Error(err)
			return
		}
		if answer.Offer == nil {
			return
		}
		d.offered++
		d.report.Running = &serverapi.Running{Revision: answer.Offer.Revision, Hash: answer.Offer.Hash}
	}
	d.m.t.Error("offers do not end")
}

const years = 365 * 24 * time.Hour

// TestClockJumps: whatever the clock of a machine does, polls of devices go on, each target is applied once, and the
// history stays in order. While the clock cannot be right, the server says so, and no new device registers.
func TestClockJumps(t *testing.T) {
	m := newMachine(t)
	state := []string{"--state", filepath.Join(t.TempDir(), "server.db"), "--target-schema", "none",
		"--operators", "loopback"}
	device, late := &member{m: m}, &member{m: m, i: 1}
	targets := 0
	// change sets a target, and looks whether the device gets it once.
	change := func(when string) {
		t.Helper()
		targets++
		if got := ask(t, http.DefaultClient, "PUT", m.url+"/target-config/", "", fmt.Sprintf(`{"config":{"a":{"b":%d}}}`, targets)); got != 200 {
			t.Fatalf("%s: PUT answers %d", when, got)
		}
		device.poll()
		device.poll()
		if device.offered != targets {
			t.Errorf("%s: %d targets were offered, want %d", when, device.offered, targets)
		}
	}
	silent := func() bool {
		t.Helper()
		var shown serverapi.Device
		if status := m.get("/devices/"+device.id.String()+"/", "", &shown); status != 200 {
			t.Fatal(status)
		}
		return shown.Silent
	}
	m.start(state...)
	if status := device.register(); status != 0 || !m.ready() {
		t.Fatalf("the right time: registration %d", status)
	}
	change("the right time")
	m.stop()

	m.jump(-time.Since(time.Unix(0, 0)))
	m.start(state...)
	if status := late.register(); status != 503 || m.ready() {
		t.Errorf("1970: registration %d", status)
	}
	change("1970")
	m.jump(0)
	change("the right time again")
	if status := late.register(); status != 0 || !m.ready() {
		t.Errorf("the right time again: registration %d", status)
	}
	m.jump(-13 * years)
	change("13 years back")
	if status := (&member{m: m, i: 2}).register(); status != 503 || m.ready() || silent() {
		t.Errorf("13 years back: registration %d, silent %v", status, silent())
	}
	m.jump(0)
	if change("the right time, after 13 years back"); !m.ready() {
		t.Error("the right time, after 13 years back: not ready")
	}
	var history serverapi.HistoryPage
	if status := m.get("/history/", "", &history); status != 200 || len(history.History) != targets {
		t.Errorf("%d: history %+v", status, history)
	}
	for i := 1; i < len(history.History); i++ {
		if later, earlier := history.History[i-1], history.History[i]; later.At < earlier.At || later.Revision <= earlier.Revision {
			t.Errorf("history: %+v after %+v", later, earlier)
		}
	}

	// A device that was seen in 2040 is silent some day, also after the clock is right again.
	m.jump(14 * years)
	change("2040")
	m.stop()
	m.jump(0)
	m.start(state...)
	if m.ready() || !silent() {
		t.Errorf("after 2040: silent %v", silent())
	}
	if change("after 2040"); silent() {
		t.Error("after 2040: silent after a poll")
	}
	m.stop()
	m.start(append(state, "--trust-clock")...)
	if change("trusted"); silent() || !m.ready() {
		t.Errorf("trusted: silent %v", silent())
	}
	m.jump(time.Hour)
	if !silent() {
		t.Error("not silent after an hour")
	}
	if log := m.stderr.String(); strings.Count(log, "the clock is wrong") != 3 || strings.Count(log, "the clock is right again") != 2 {
		t.Errorf("the log is\n%s", log)
	}
}

// TestClocksApart: servers whose clocks differ by an hour see the same devices as silent, and forget no nonce of each other.
func TestClocksApart(t *testing.T) {
	cluster := postgrestest.Start(t, postgrestest.Options{})
	address := cluster.URL(t)
	flags := []string{"--database", address, "--public-url", publicURL, "--target-schema", "none"}
	here, there := newMachine(t), newMachine(t)
	there.jump(time.Hour)
	here.start(flags...)
	there.start(flags...)
	token := createDatabaseToken(t, address)
	_, transport, publicKey := signing(t, publicURL, 0)
	signer := transport.Signer()
	registration := capture(t, signer, "/register/", serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "x"})
	if status, problem, _ := registration.send(t, there.url); status != 200 {
		t.Fatalf("%d %+v", status, problem)
	}
	device := devicesOf(t, here.url, token)[0]
	for _, order := range [][2]*machine{{here, there}, {there, here}} {
		poll := capture(t, signer, "/poll/", serverapi.PollRequest{UUID: device, Config: serverapi.Config{"a": 1}})
		if status, problem, _ := poll.send(t, order[0].url); status != 204 {
			t.Errorf("%d %+v", status, problem)
		}
		time.Sleep(300 * time.Millisecond) // both tidy the database
		if status, problem, _ := poll.send(t, order[1].url); status != 401 || problem.Type != serverapi.ProblemReplayed {
			t.Errorf("replayed: %d %+v", status, problem)
		}
	}
	for _, m := range []*machine{here, there} {
		var shown serverapi.Device
		if status := m.get("/devices/"+device.String()+"/", token, &shown); status != 200 || shown.Silent || !m.ready() {
			t.Errorf("%d, %+v", status, shown)
		}
	}
}
