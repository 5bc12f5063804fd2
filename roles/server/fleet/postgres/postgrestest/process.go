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

// patience bounds how long a server may take to start or to stop, on a machine that is busy with other tests.
const patience = 2 * time.Minute

// A process is a server in the background. A nil one is one that has ended.
type process struct {
	*os.Process
	log   *os.File
	ended chan string // says how
	over  bool
}

// launch starts a server, as a user or (nil) as who we are, which works in a directory and writes its log there.
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
		runtime.LockOSThread() // what the kernel takes for the parent is the thread
		err := server.Start()
		started <- err
		if err == nil {
			_ = server.Wait() // the state says it
			ended <- server.ProcessState.String()
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &process{Process: server.Process, log: log, ended: ended}, nil
}

// answers waits until the server does, at the address of a database.
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
	case <-p.ended: // with a failure, when it was told to crash
		p.over = true
		return p.log.Close()
	case <-time.After(patience):
		return fmt.Errorf("process %d does not end", p.Pid)
	}
}
