package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a server may take to start or to stop on a busy machine.
const patience = 2 * time.Minute

// A process is a server in the background. Nil is a process that has ended.
type process struct {
	*os.Process
	log   *os.File
	ended chan string // gets the state after the end
	over  bool
}

// launch starts a server in a folder, where it also writes its log. It runs as a user, or with nil as this process's
// user.
func launch(server *exec.Cmd, as *syscall.Credential, directory string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(directory, "log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	server.Dir, server.Stdout, server.Stderr = directory, log, log
	// A test that is killed must not leave a server behind.
	server.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	started, ended := make(chan error), make(chan string, 1)
	go func() {
		runtime.LockOSThread() // the kernel's parent of a process is a thread
		err := server.Start()
		started <- err
		if err == nil {
			_ = server.Wait() // the state has the error
			ended <- server.ProcessState.String()
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &process{Process: server.Process, log: log, ended: ended}, nil
}

// answers waits until the server answers at the address of a database.
func (p *process) answers(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, address)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case state := <-p.ended:
			p.over = true
			text, _ := os.ReadFile(p.log.Name()) // for the message
			return errors.Join(fmt.Errorf("%s: %s", state, bytes.TrimSpace(text)), p.log.Close())
		case <-ctx.Done():
			return errors.Join(err, p.end(syscall.SIGQUIT))
		case <-again.C:
		}
	}
}

// end sends a signal and waits for the end.
func (p *process) end(signal syscall.Signal) error {
	if p == nil || p.over {
		return nil
	}
	if err := p.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended: // a crash is a failure, and the caller has asked for it
		p.over = true
		return p.log.Close()
	case <-time.After(patience):
		return fmt.Errorf("process %d does not end", p.Pid)
	}
}
