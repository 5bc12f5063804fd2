package hookrun

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"aspects-poc/internal/snapdhttp"
)

// IsSnapctl reports whether a program was called as snapctl, given its argv[0].
func IsSnapctl(argv0 string) bool { return filepath.Base(argv0) == "snapctl" }

// snapctlLimit returns how long snapctl waits for an answer. snapd ends a wait for a change after the same time. So chance
// decides which of two errors a hook gets that waits for itself; the random part imitates that.
func snapctlLimit() time.Duration {
	return 2*time.Minute - 20*time.Millisecond + rand.N(40*time.Millisecond)
}

// Snapctl is the command snapctl. It sends the arguments to the socket in ASPECTS_SNAP_SOCKET, or to snapd's, prints the
// answer and returns the exit code. It prints errors as snapd's own snapctl does: "error: " and snapd's words.
func Snapctl(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	socket := cmp.Or(getenv(SocketVariable), "/run/snapd-snap.socket")
	body := map[string]any{"context-id": cmp.Or(getenv("SNAP_COOKIE"), getenv("SNAP_CONTEXT")), "args": args}
	if len(args) == 0 {
		body["args"] = []string{"--help"}
	}
	limited, cancel := context.WithTimeout(ctx, snapctlLimit())
	defer cancel()
	response, err := snapdhttp.New(socket).Do(limited, http.MethodPost, "/v2/snapctl", nil, body)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = errors.New("timeout exceeded while waiting for response")
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: cannot communicate with server: %v\n", err)
		return 1
	}
	var printed struct {
		Stdout string `json:"stdout"`
		Stderr string `json:"stderr"`
		Exit   int    `json:"exit-code"`
	}
	refusal := response.Refusal()
	switch {
	case refusal == nil:
		err = json.Unmarshal(response.Result, &printed)
	case refusal.Kind == "unsuccessful":
		err = json.Unmarshal(refusal.Value, &printed)
		if err == nil && printed.Exit == 0 {
			printed.Exit = 1
		}
	default:
		fmt.Fprintf(stderr, "error: %s\n", refusal.Message)
		return 1
	}
	if err != nil {
		fmt.Fprintf(stderr, "error: cannot read the answer: %v\n", err)
		return 1
	}
	_, _ = io.WriteString(stdout, printed.Stdout) // a failure could be reported nowhere else
	_, _ = io.WriteString(stderr, printed.Stderr)
	return printed.Exit
}
