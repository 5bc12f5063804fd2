package fleetsim_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/fleetsim"
	"aspects-poc/roles/server"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"
)

// TestMain lets tests start this program as a server of its own.
func TestMain(m *testing.M) {
	if os.Getenv("ASPECTS_TEST_BARE") != "" {
		fmt.Fprintln(os.Stderr, bare())
		os.Exit(1)
	}
	if os.Getenv("ASPECTS_TEST_SERVER") != "" {
		os.Exit(roles.Main(os.Args, server.Role))
	}
	os.Exit(m.Run())
}

// A serving process is a server under load.
type serving struct {
	t       testing.TB
	process *exec.Cmd
	url     string
}

// serve starts a server. Address is HOST:PORT, with port 0 for any.
func serve(t testing.TB, state, address string, flags ...string) *serving {
	t.Helper()
	return start(t, "ASPECTS_TEST_SERVER=1", append([]string{"server", "run", "--config", "-", "--listen", address,
		"--state", state, "--log-level", "error", "--operators", "loopback"}, flags...)...)
}

// start starts this program as what a variable of the environment makes of it, and reads its address.
func start(t testing.TB, what string, args ...string) *serving {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0], args...)
	process.Args[0] = "aspects-poc"
	process.Env = append(os.Environ(), what)
	process.Stderr = t.Output()
	stdout, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	s := &serving{t: t, process: process}
	t.Cleanup(s.kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(errors.Join(err, process.Wait()))
	}
	s.url, _, _ = strings.Cut(strings.TrimPrefix(line, "Listening on "), ",")
	return s
}

// kill ends the server with SIGKILL, and waits.
func (s *serving) kill() {
	if s.process == nil {
		return
	}
	if err := s.process.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
	_ = s.process.Wait() // it was killed
	s.process = nil
}

// stop stops the server in order, and waits. It returns the most memory that the server has had, in MiB.
func (s *serving) stop() (took time.Duration, most float64) {
	s.t.Helper()
	begin := time.Now()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Error(err)
	}
	ended := make(chan error)
	go func() { ended <- s.process.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				s.t.Errorf("the server did not stop in order: %v", err)
			}
			s.process = nil
			return time.Since(begin), most
		case <-time.After(5 * time.Millisecond):
			most = max(most, s.size("VmHWM"))
		}
	}
}

// memory is the most that the server has had, in MiB.
func (s *serving) memory() float64 { return s.status("VmHWM") }

// status returns a size in /proc/PID/status, in MiB.
func (s *serving) status(name string) float64 {
	s.t.Helper()
	size := s.size(name)
	if size == 0 {
		s.t.Fatalf("no %s in /proc", name)
	}
	return size
}

// size is status, and 0 of a process that has ended.
func (s *serving) size(name string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	for line := range strings.Lines(string(text)) {
		var kilobytes float64
		if _, err := fmt.Sscanf(line, name+": %f kB", &kilobytes); err == nil {
			return kilobytes / 1024
		}
	}
	return 0
}

// waiting is the number of polls that the server holds.
func (s *serving) waiting() int { return s.metric("polls_waiting") }

// metric is a number of the server's metrics; 0 if it is not there.
func (s *serving) metric(name string) (value int) {
	s.t.Helper()
	response, err := http.Get(s.url + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, is := strings.CutPrefix(lines.Text(), "aspects_poc_"+name+" "); is {
			if value, err = strconv.Atoi(text); err != nil {
				s.t.Fatal(err)
			}
			return value
		}
	}
	return 0
}

// setTarget changes the target of everyone.
func (s *serving) setTarget(rate int) {
	s.t.Helper()
	client, err := serverapi.NewClient(s.url, serverapi.Options{Timeout: time.Minute})
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	_, err = client.SetTarget(s.t.Context(), serverapi.Config{"control-telemetry": map[string]any{"sample-rate": rate}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// summary asks the server for its counts.
func (s *serving) devices(state string) int {
	s.t.Helper()
	client, err := serverapi.NewClient(s.url, serverapi.Options{Timeout: time.Minute})
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	summary, err := client.Summary(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if state == "" {
		return summary.Devices
	}
	return summary.States[state]
}

func simulate(t testing.TB, config fleetsim.Config) fleetsim.Summary {
	t.Helper()
	summary, err := fleetsim.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if summary.Failed > 0 {
		t.Errorf("%d of %d polls failed: %v", summary.Failed, summary.Polls+summary.Failed, summary.Errors)
	}
	return summary
}

// Devices of each kind register, poll, apply and report, and the server believes them.
func TestDevicesComeInSync(t *testing.T) {
	for name, change := range map[string]func(*fleetsim.Config){
		"signed": func(*fleetsim.Config) {}, "unsigned": func(c *fleetsim.Config) { c.Unsigned = true },
		"changed": func(c *fleetsim.Config) { c.Changed = true },
	} {
		t.Run(name, func(t *testing.T) {
			under := serve(t, filepath.Join(t.TempDir(), "server.db"), "127.0.0.1:0", "--allow-unsigned")
			under.setTarget(4)
			config := fleetsim.Config{Server: under.url, Devices: 20, Rate: 40, Duration: time.Second, Lines: 8, Seed: 1,
				Timeout: time.Minute}
			change(&config)
			first := simulate(t, config)
			// Each device polls twice, and a third time at once to report what it applied.
			if first.Polls != 60 || first.Offers != 20 {
				t.Errorf("%+v", first)
			}
			if got := under.devices(serverapi.StateInSync); got != 20 {
				t.Errorf("%d of 20 devices are in sync", got)
			}
			// The same seed makes the same devices.
			simulate(t, config)
			if got := under.devices(""); got != 20 {
				t.Errorf("%d devices are registered, want the same 20", got)
			}
		})
	}
}

// Shares of the devices refuse, fail, drift and stay silent, and the server shows them so.
func TestOddDevices(t *testing.T) {
	under := serve(t, filepath.Join(t.TempDir(), "server.db"), "127.0.0.1:0")
	under.setTarget(4)
	simulate(t, fleetsim.Config{Server: under.url, Devices: 20, Rate: 40, Duration: time.Second, Lines: 8, Seed: 3, Timeout: time.Minute,
		Odd:    fleetsim.Odd{Refuse: 0.15, Fail: 0.01, Drift: 0.1, Silent: 0.2},
		Labels: map[string][]string{"site": {"berlin", "potsdam"}}})
	for state, want := range map[string]int{serverapi.StateRefused: 3, serverapi.StateFailed: 1, serverapi.StateDrifted: 2,
		serverapi.StateNew: 4, serverapi.StateInSync: 10} {
		if got := under.devices(state); got != want {
			t.Errorf("%d devices are %s, want %d", got, state, want)
		}
	}
	client, err := operator.New(under.url, operator.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	labelled := 0
	for _, err := range client.Devices(t.Context(), operator.Filter{Selector: "device.site=potsdam"}) {
		if labelled++; err != nil {
			t.Fatal(err)
		}
	}
	if labelled != 10 {
		t.Errorf("%d devices have the second value of the label, want 10", labelled)
	}
}

func TestWaitingDevicesAreTold(t *testing.T) {
	under := serve(t, filepath.Join(t.TempDir(), "server.db"), "127.0.0.1:0")
	done := make(chan fleetsim.Summary, 1)
	polled := make(chan struct{})
	registered := false
	go func() {
		done <- simulate(t, fleetsim.Config{Server: under.url, Devices: 20, Wait: 10 * time.Second, Duration: 15 * time.Second,
			Lines: 8, Seed: 2, Timeout: time.Minute, Progress: func(phase string, n, of int) {
				if phase == "registered" && n == of && !registered {
					registered = true
					close(polled)
				}
			}})
	}()
	<-polled
	under.setTarget(5)
	if summary := <-done; summary.Offers != 20 {
		t.Errorf("%d of 20 devices were told: %+v", summary.Offers, summary)
	}
}

func TestCommand(t *testing.T) {
	under := serve(t, filepath.Join(t.TempDir(), "server.db"), "127.0.0.1:0", "--enrolment", "approve")
	for _, test := range []struct {
		flags  []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"--devices", "0"}, 2, "", `invalid value "0" for --devices`},
		{[]string{"--refuse", "2"}, 2, "", `invalid value "2" for --refuse: want a percentage such as 2%`},
		{[]string{"--fail", "100%", "--drift", "60%"}, 2, "", "more devices than there are"},
		{[]string{"--silent", "100%"}, 2, "", "no device that polls"},
		{[]string{"--label", "site"}, 2, "", "want KEY=VALUE"},
		{[]string{"--rate", "-1"}, 2, "", `invalid value "-1" for --rate: want 0 or more`},
		{[]string{"--server", "nowhere"}, 2, "", `cannot use "nowhere" as server URL`},
		{[]string{"--rate", "5", "--wait", "5s"}, 2, "", "--rate is for polls that are due at a time"},
		{[]string{"--rate", "5", "--interval", "5s"}, 2, "", "--rate and --interval say the same in two ways"},
		{[]string{"--duration", "0s"}, 2, "", `invalid value "0s" for --duration`},
		{[]string{"--wait", "1h"}, 2, "", `invalid value "1h0m0s" for --wait: servers hold polls back for 300 seconds at most`},
		{[]string{"more"}, 2, "", `unexpected argument "more"`},
		{[]string{"--unsigned"}, 1, "", "401: Requests of devices have to be signed here"},
		{nil, 1, "", "lets devices poll only after an operator's approval; use --enrolment-token"},
	} {
		var out, errs bytes.Buffer
		env := &roles.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
		code := roles.Run(t.Context(), env, append([]string{"aspects-poc", "fleet-sim", "--devices", "2", "--server", under.url},
			test.flags...), fleetsim.Role)
		if code != test.code || out.String() != test.stdout || !strings.Contains(errs.String(), test.stderr) {
			t.Errorf("%v: exit %d: %s%s", test.flags, code, out.String(), errs.String())
		}
	}
	open := serve(t, filepath.Join(t.TempDir(), "server.db"), "127.0.0.1:0")
	for _, flags := range [][]string{{"--json"}, nil} {
		var out, errs bytes.Buffer
		env := &roles.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
		code := roles.Run(t.Context(), env, append([]string{"aspects-poc", "fleet-sim", "--devices", "2", "--server", open.url,
			"--rate", "20", "--duration", "500ms"}, flags...), fleetsim.Role)
		var summary fleetsim.Summary
		switch {
		case code != 0:
			t.Errorf("%v: exit %d: %s", flags, code, errs.String())
		case flags == nil && !strings.Contains(out.String(), "10 polls in "):
			t.Errorf("printed %s", out.String())
		case flags != nil && (json.Unmarshal(out.Bytes(), &summary) != nil || summary.Polls != 10):
			t.Errorf("printed %s", out.String())
		}
	}
}
