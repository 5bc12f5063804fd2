package oracle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet/postgres/postgrestest"
)

// machine is a world of processes, in real time.
type machine struct {
	t         *testing.T
	program   string
	dir       string // of files, and of what the processes say
	database  string // an address; "" for the embedded store
	interval  time.Duration
	transport *http.Transport
	addresses []string // of the servers

	processes []*exec.Cmd
}

func newMachine(t *testing.T, program, database string, servers int, interval time.Duration) *machine {
	m := &machine{t: t, program: program, dir: t.TempDir(), database: database, interval: interval,
		transport: http.DefaultTransport.(*http.Transport).Clone(), processes: make([]*exec.Cmd, servers)}
	for range servers {
		m.addresses = append(m.addresses, freeAddress(t))
	}
	t.Cleanup(func() {
		for i := range m.processes {
			if m.processes[i] != nil {
				if err := m.Stop(i); err != nil {
					t.Log(err)
				}
			}
		}
		m.transport.CloseIdleConnections()
	})
	return m
}

// ports is from where on free ones are looked for: ASPECTS_PORTS, else 0, which takes any.
var ports struct {
	sync.Mutex // guards the fields below
	next       int
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if first, err := strconv.Atoi(os.Getenv("ASPECTS_PORTS")); err == nil && ports.next == 0 {
		ports.next = first
	}
	for range 1000 {
		listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", ports.next))
		if ports.next > 0 {
			ports.next++
		}
		if err == nil {
			defer func() { _ = listener.Close() }() // its address is what is wanted
			return listener.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (m *machine) Servers() int                 { return len(m.addresses) }
func (m *machine) URL(server int) string        { return "http://" + m.addresses[server] }
func (m *machine) Transport() http.RoundTripper { return m.transport }
func (m *machine) Sleep(pause time.Duration)    { time.Sleep(pause) }
func (m *machine) Settle()                      {}
func (m *machine) Looks() int                   { return 40 } // counts are good for twenty times what they took, and the machine may be busy

// command is one of the program's, whose output goes to a file.
func (m *machine) command(name string, arguments ...string) (*exec.Cmd, error) {
	output, err := os.OpenFile(filepath.Join(m.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the process has its own
	command := exec.Command(m.program, arguments...)
	command.Env = append(os.Environ(), "HOME="+m.dir, "XDG_STATE_HOME="+m.dir, "SNAP=", "ASPECTS_DATABASE=", "ASPECTS_STATE=")
	command.Stdout, command.Stderr = output, output
	return command, command.Start()
}

func (m *machine) store() []string {
	if m.database != "" {
		return []string{"--database", m.database}
	}
	return []string{"--state", filepath.Join(m.dir, "server.db")}
}

func (m *machine) Start(i int) error {
	command, err := m.command(fmt.Sprint("server", i), append([]string{"server", "run", "--listen", m.addresses[i], "--allow-unsigned", "--operators", "loopback",
		"--poll-interval", m.interval.String()}, m.store()...)...)
	if err != nil {
		return err
	}
	m.processes[i] = command
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(20 * time.Millisecond) {
		response, err := m.transport.RoundTrip(get(m.t.Context(), m.URL(i)+"/readyz"))
		if err != nil {
			continue
		}
		if err := response.Body.Close(); err == nil && response.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("server %d does not become ready; %s says why", i, m.dir)
}

func get(ctx context.Context, url string) *http.Request {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err) // the address is good
	}
	return request
}

func (m *machine) Stop(i int) error { return m.end(i, syscall.SIGTERM) }

func (m *machine) Kill(i int) error { return m.end(i, syscall.SIGKILL) }

func (m *machine) end(i int, signal syscall.Signal) error {
	command := m.processes[i]
	m.processes[i] = nil
	if err := command.Process.Signal(signal); err != nil {
		return err
	}
	err := command.Wait()
	if signal == syscall.SIGKILL {
		err = nil // it is told as one
	}
	return err
}

func (m *machine) backup() string { return filepath.Join(m.dir, "backup.db") }

func (m *machine) Backup() error {
	if m.database != "" {
		return postgrestest.Dump(m.database, m.backup())
	}
	if err := os.Remove(m.backup()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return m.run("backup")
}

func (m *machine) Restore() error {
	if m.database != "" {
		return postgrestest.Load(m.database, m.backup())
	}
	return m.run("restore")
}

func (m *machine) run(verb string) error {
	command, err := m.command("backups", append([]string{"server", verb, m.backup()}, m.store()...)...)
	if err == nil {
		err = command.Wait()
	}
	if err != nil {
		err = fmt.Errorf("server %s: %w", verb, err)
	}
	return err
}

// controls returns what lets a number of real control processes in: some report the same all the time, as an idle
// machine does, some have traffic. Now and then one is killed, or stopped, and started again.
func (m *machine) controls(number int) func(http.Handler) (func(), error) {
	return func(door http.Handler) (func(), error) {
		listener, err := net.Listen("tcp", freeAddress(m.t))
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: door}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		ctx, cancel := context.WithCancel(m.t.Context())
		var running sync.WaitGroup
		for i := range number {
			running.Go(func() {
				if err := m.control(ctx, i, "http://"+listener.Addr().String()); err != nil {
					m.t.Errorf("control %d: %v", i, err)
				}
			})
		}
		return func() {
			cancel()
			running.Wait()
			if err := server.Close(); err != nil {
				m.t.Error(err)
			}
			<-served
		}, nil
	}
}

// control runs one control process after the other.
func (m *machine) control(ctx context.Context, i int, url string) error {
	random := rand.New(rand.NewPCG(*seed, uint64(1000+i)))
	name := fmt.Sprint("control", i)
	for ctx.Err() == nil {
		command, err := m.command(name, "control", "run", "--registry", "file:"+filepath.Join(m.dir, name+".registry"),
			"--state", filepath.Join(m.dir, name), "--server-url", url, "--source", []string{"system", "simulate"}[i%2],
			"--interval", m.interval.String(), "--label", "site="+[]string{"a", "b"}[i/2%2], fmt.Sprint("--wait=", i%3 != 2))
		if err != nil {
			return err
		}
		timer := time.NewTimer(m.interval * time.Duration(20+random.IntN(60)))
		signal := syscall.SIGTERM
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
			if random.IntN(2) == 0 {
				signal = syscall.SIGKILL
			}
		}
		if err := command.Process.Signal(signal); err != nil {
			return fmt.Errorf("it has ended by itself (%w); %s says why", err, m.dir)
		}
		_ = command.Wait() // it was told to
	}
	return nil
}
