package hookrun

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"aspects-poc/registry/kit/rest"
	"aspects-poc/registry/kit/world"
)

// A service is one that was started.
type service struct {
	stop    context.CancelFunc
	stopped chan struct{} // closed when its process has ended for good
}

// stopTimeout is how long a service has after SIGTERM, and restartDelay the pause before one that died is started again.
const (
	stopTimeout  = 30 * time.Second
	restartDelay = time.Second
)

// Service starts, stops or restarts a service: "start", "stop", "restart". One that dies is started again, as systemd
// does with snapd's unit, a oneshot is not; timers are not run.
func (r *Runner) Service(ctx context.Context, action string, snap world.Snap, name string) error {
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
	cookie, err := r.world.SnapctlCookie(snap.Instance())
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
		r.run(life, snap, name, words, environment, declared.Daemon == "oneshot")
	}()
	return nil
}

// run runs a service's process until it is stopped.
func (r *Runner) run(life context.Context, snap world.Snap, name string, words []string, environment *environment, once bool) {
	for {
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
		if once || err == nil {
			return
		}
		pause := time.NewTimer(restartDelay)
		select {
		case <-pause.C:
		case <-life.Done():
			pause.Stop()
			return
		}
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
		_, _ = io.Copy(io.Discard, read) // a line that is too long
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
