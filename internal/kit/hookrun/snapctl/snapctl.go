// Package snapctl makes a program act as the command snapctl if it runs under that name. A program only has to import it. It sends
// the command line to snapd, or to the imitated one that runs the hook, prints the answer and exits. Package world/snapctl answers.
//
// It acts in init, and has few imports. Go initialises packages in the order of their import paths, as far as imports allow ("Program
// initialization" in the language's specification). So init runs before most of the program is initialised, which would take longer
// than the call. Hooks call snapctl often. TestFirst checks the order.
package snapctl

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Name is the name by which a program is called to be snapctl.
const Name = "snapctl"

// SocketVariable is the environment variable with the socket for snaps, if it is not /run/snapd-snap.socket. Programs that open
// the library registry obey it, too.
const SocketVariable = "ASPECTS_SNAP_SOCKET"

func init() {
	if called := os.Args[0]; called == Name || len(called) > len(Name) && called[len(called)-len(Name)-1:] == "/"+Name {
		os.Exit(run(os.Args[1:]))
	}
}

// limit returns how long snapctl waits for an answer. snapd ends its wait for a change after the same time. So a hook that waits for
// itself gets one of two errors by chance; limit depends on the clock to imitate that.
func limit(now time.Time) time.Duration {
	return 2*time.Minute - 20*time.Millisecond + time.Duration(now.Nanosecond()/1000%40)*time.Millisecond
}

// run sends the arguments to the socket, prints the answer and returns the exit code. It prints errors as snapd's own snapctl
// does: "error: " and snapd's words.
func run(args []string) int {
	socket := os.Getenv(SocketVariable)
	if socket == "" {
		socket = "/run/snapd-snap.socket"
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	answer, err := ask(socket, args)
	if err != nil {
		return fail("cannot communicate with server: " + err.Error())
	}
	var printed struct {
		Stdout string `json:"stdout"`
		Stderr string `json:"stderr"`
		Exit   int    `json:"exit-code"`
	}
	text := answer.Result
	if answer.Type == "error" {
		var refusal struct {
			Message string          `json:"message"`
			Kind    string          `json:"kind"`
			Value   json.RawMessage `json:"value"`
		}
		if err = json.Unmarshal(text, &refusal); err == nil && refusal.Kind != "unsuccessful" {
			return fail(refusal.Message)
		}
		text, printed.Exit = refusal.Value, 1
	}
	if err == nil {
		err = json.Unmarshal(text, &printed)
	}
	if err != nil {
		return fail("cannot read the answer: " + err.Error())
	}
	_, _ = os.Stdout.WriteString(printed.Stdout) // a failure could be reported nowhere else
	_, _ = os.Stderr.WriteString(printed.Stderr)
	return printed.Exit
}

func fail(text string) int {
	_, _ = os.Stderr.WriteString("error: " + text + "\n")
	return 1
}

// An answer is snapd's envelope.
type answer struct {
	Type   string          `json:"type"`
	Result json.RawMessage `json:"result"`
}

// ask posts the arguments to the socket. It is HTTP 1.0, whose answer ends with the connection.
func ask(socket string, args []string) (answer, error) {
	cookie := os.Getenv("SNAP_COOKIE")
	if cookie == "" {
		cookie = os.Getenv("SNAP_CONTEXT")
	}
	body, err := json.Marshal(map[string]any{"context-id": cookie, "args": args})
	if err != nil {
		return answer{}, err
	}
	connection, err := dial(socket)
	if err != nil {
		return answer{}, errors.New("cannot reach snapd on " + socket + ": " + err.Error())
	}
	defer connection.Close() //nolint:errcheck // all was read
	now := time.Now()
	err = connection.SetDeadline(now.Add(limit(now)))
	head := "POST /v2/snapctl HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n"
	if err == nil {
		_, err = connection.Write(append([]byte(head), body...))
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(connection)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("timeout exceeded while waiting for response")
	}
	if err != nil {
		return answer{}, err
	}
	_, content, found := bytes.Cut(text, []byte("\r\n\r\n"))
	if !found {
		return answer{}, errors.New("lost snapd's answer on " + socket)
	}
	var got answer
	if err := json.Unmarshal(content, &got); err != nil {
		return answer{}, errors.New("cannot read the answer: " + err.Error())
	}
	return got, nil
}

// dial connects to a socket. Package net would be initialised late.
func dial(socket string) (*os.File, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	for err = syscall.EINTR; err == syscall.EINTR; { // the runtime's signals
		err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket})
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true) // so that deadlines work
	}
	if err != nil {
		_ = syscall.Close(fd) // nothing was written
		return nil, os.NewSyscallError("connect", err)
	}
	return os.NewFile(uintptr(fd), socket), nil
}
