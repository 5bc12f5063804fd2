package hookrun

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world/facts"
)

// A service is a service that was started.
type service struct {
	stop    context.CancelFunc
	stopped chan struct{} // closed when its process has ended and is not started again
}

// stopTimeout is the time between SIGTERM and SIGKILL. The others are defaults of systemd, which snapd's units do not change:
// the pause before a service is started again, and the limit of starts in an interval.
const (
	stopTimeout   = 30 * time.Second
	restartDelay  = 100 * time.Millisecond
	startBurst    = 5
	startInterval = 10 * time.Second
)

// Service performs an action on a service: "start", "stop" or "restart". A service that ends is started again according to
// its restart-condition. As on systemd, too many starts in an interval end that. Timers do not run.
func (r *Runner) Service(ctx context.Context, action string, snap facts.Snap, name string) error {
	if !r.options.RunServices || snap.Dir == "" {
		return nil
	}
	id := snap.Instance() + "." + name
	if action != "start" {
		r.stop(id)
	}
	if action == "stop" {
		return nil
	}
	cookie, err := r.world.Facts.Now().Cookie(snap.Instance())
	if err != nil {
		return err
	}
	declared := snap.Services[name]
	environment, err := r.environment(snap, cookie, name, declared.Setting)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.services[id] != nil {
		return nil
	}
	words := environment.appCommand(snap, declared.Setting, declared.Command)
	if words == nil {
		return fmt.Errorf("cannot start %s: it has no command", id)
	}
	life, stop := context.WithCancel(context.Background())
	s := &service{stop: stop, stopped: make(chan struct{})}
	r.services[id] = s
	r.journal.systemd("Started", id)
	go func() {
		defer close(s.stopped)
		r.run(life, snap, name, words, environment)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.services[id] == s { // nobody has stopped it
			delete(r.services, id)
		}
	}()
	return nil
}

// Active reports whether a service runs or waits to be started again. known is false if the runner runs no services.
func (r *Runner) Active(instance, name string) (active, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.services[instance+"."+name] != nil, r.options.RunServices
}

// run runs a service's process, again and again, until the service is stopped or its restart-condition does not hold.
func (r *Runner) run(life context.Context, snap facts.Snap, name string, words []string, environment *environment) {
	id, declared := snap.Instance()+"."+name, snap.Services[name]
	var begun time.Time // the start of the interval in which starts are counted
	starts := 0
	for {
		if now := time.Now(); starts == 0 || now.Sub(begun) > startInterval {
			begun, starts = now, 0
		}
		if starts++; starts > startBurst {
			r.journal.refused(id)
			r.print(snap.Instance(), name, 0, fmt.Sprintf("(start request repeated too quickly: %d starts within %s, so systemd gives "+
				"up. Repair it, then run: aspects-poc registry run --shell %s -c 'snapctl restart %s')",
				startBurst, startInterval, snap.Instance(), id))
			return
		}
		command := exec.CommandContext(life, words[0], words[1:]...)
		command.Env, command.Dir = environment.list(), environment.values["SNAP_DATA"]
		group(command)
		command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
		command.WaitDelay = stopTimeout
		err := r.supervise(command, snap.Instance(), name)
		if life.Err() != nil {
			return
		}
		if err != nil {
			r.print(snap.Instance(), name, 0, fmt.Sprintf("(the service ended: %v)", err))
		}
		if !again(declared, err) {
			return
		}
		pause := time.NewTimer(cmp.Or(declared.RestartDelay, restartDelay))
		select {
		case <-pause.C:
		case <-life.Done():
			pause.Stop()
			return
		}
	}
}

// again reports whether a service that has ended with err is started again.
func again(declared facts.Service, err error) bool {
	var exit *exec.ExitError
	signal := syscall.Signal(0) // the signal that has ended it; 0 for none and for the signals of an orderly end
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			signal = status.Signal()
		}
	}
	switch signal {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE:
		signal, err = 0, nil
	}
	switch {
	case declared.Daemon == "oneshot", declared.Restart == "never":
		return false
	case declared.Restart == "always":
		return true
	case declared.Restart == "on-success":
		return err == nil
	case declared.Restart == "on-abnormal", declared.Restart == "on-abort":
		return signal != 0
	case declared.Restart == "on-watchdog":
		return false
	default: // on-failure
		return err != nil
	}
}

func (r *Runner) supervise(command *exec.Cmd, snap, name string) error {
	read, write := io.Pipe()
	command.Stdout, command.Stderr = write, write
	printed := make(chan struct{})
	begun := make(chan int, 1)
	go func() {
		defer close(printed)
		pid := <-begun
		lines := bufio.NewScanner(read)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			r.print(snap, name, pid, lines.Text())
		}
		_, _ = io.Copy(io.Discard, read) // the scanner stops at a line that is too long
	}()
	err := command.Start()
	if err == nil {
		begun <- command.Process.Pid
		err = command.Wait()
	}
	close(begun)
	_ = write.Close() // never fails
	<-printed
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

func (r *Runner) print(snap, name string, pid int, line string) {
	r.journal.add(rest.LogLine{Service: snap + "." + name, PID: pid, Text: line})
	if r.options.Output != nil {
		r.options.Output(snap, name, line)
	}
}

func (r *Runner) stop(id string) {
	r.mu.Lock()
	s := r.services[id]
	delete(r.services, id)
	r.mu.Unlock()
	if s != nil {
		s.stop()
		<-s.stopped
		r.journal.systemd("Stopped", id)
	}
}

func (r *Runner) stopAll() {
	r.mu.Lock()
	r.closed = true
	var ids []string
	for id := range r.services {
		ids = append(ids, id)
	}
	r.mu.Unlock()
	for _, id := range ids {
		r.stop(id)
	}
}
