package snapctl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/calls"
	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// An answer is the result of a snapctl command: its output, or snapd's refusal.
type answer struct {
	stdout  string
	exit    int                // exit code of a command that answers "no" by it, such as is-connected
	refusal *snapdhttp.Refusal // nil when the command ran
}

// call runs one snapctl command. The error is a *snapdhttp.TransportError. A refusal is part of the answer, not an
// error. The type of the envelope decides, since a command that answers "no" has HTTP status 200.
func (b *Backend) call(ctx context.Context, args ...string) (answer, error) {
	body := struct {
		Context string   `json:"context-id"`
		Args    []string `json:"args"`
	}{b.options.Cookie, args}
	response, err := b.client.Do(ctx, http.MethodPost, "/v2/snapctl", nil, body)
	if err != nil {
		b.ability.forget()
		return answer{}, err
	}
	if refusal := response.Refusal(); refusal != nil {
		if refusal.Kind != "unsuccessful" {
			return answer{refusal: refusal}, nil
		}
		var value struct {
			Stdout string `json:"stdout"`
			Exit   int    `json:"exit-code"`
		}
		if err := json.Unmarshal(refusal.Value, &value); err != nil || value.Exit == 0 {
			return answer{refusal: refusal}, nil
		}
		return answer{stdout: value.Stdout, exit: value.Exit}, nil
	}
	var result struct {
		Stdout *string `json:"stdout"`
	}
	if response.Type == snapdhttp.TypeSync {
		err = jsonvalue.Decode(response.Result, &result)
	}
	if err != nil || result.Stdout == nil {
		return answer{}, &snapdhttp.TransportError{
			Socket: b.options.Socket, Sent: true,
			Err: fmt.Errorf("answer of type %q without the command's output", response.Type),
		}
	}
	return answer{stdout: *result.Stdout}, nil
}

// run runs a command that never waits for others, and returns refusals as errors.
func (b *Backend) run(ctx context.Context, request snapdhttp.Request, args ...string) (answer, error) {
	got, err := b.call(ctx, args...)
	if err != nil {
		return answer{}, lost(err, request, false)
	}
	if got.refusal != nil {
		return answer{}, snapdhttp.Explain(*got.refusal, request)
	}
	return got, nil
}

// access runs a confdb command and waits for others that hold the confdb. args builds the command line from the flags
// that this snapd knows. snapd 2.76 and later queue the command; earlier ones refuse at once, and access repeats it.
func (b *Backend) access(
	ctx context.Context, request snapdhttp.Request, write bool, args func(f *features, wait string) ([]string, error),
) (answer, error) {
	until := b.now().Add(b.options.AccessTimeout)
	if deadline, ok := ctx.Deadline(); ok {
		// A little earlier, so that snapd's answer about the wait arrives.
		deadline = deadline.Add(-min(deadline.Sub(b.now())/10, calls.Margin))
		if deadline.Before(until) {
			until = deadline
		}
	}
	length := 100 * time.Millisecond
	for {
		f, err := b.detect(ctx)
		if err != nil {
			return answer{}, lost(err, request, false)
		}
		wait := ""
		if f.flags["--wait-for"] && !inTransaction(b.options.Hook) {
			wait = "--wait-for=" + strconv.FormatInt(max(until.Sub(b.now()).Milliseconds(), 1), 10) + "ms"
		}
		line, err := args(f, wait)
		if err != nil {
			return answer{}, err
		}
		got, err := b.call(ctx, line...)
		if err != nil {
			return answer{}, lost(err, request, write)
		}
		if got.refusal == nil {
			return got, nil
		}
		if flag := unknownFlag(got.refusal.Message); flag != "" && b.ability.without(flag) {
			continue // snapd was refreshed, or its help text names a flag that it refuses
		}
		refused := snapdhttp.Explain(*got.refusal, request)
		if refused.Kind != backend.ErrBusy {
			return answer{}, refused
		}
		if write && strings.HasPrefix(got.refusal.Message, "error running snapctl: ") {
			// Before 2.70 snapd may still carry out a write that it refused as too early.
			refused.Kind, refused.Remedy = backend.ErrUnknown, "read back before writing again"
			return answer{}, refused
		}
		refused.Until = b.now()
		if wait != "" || !refused.Until.Add(length).Before(until) {
			return answer{}, refused
		}
		if err := pause(ctx, length); err != nil {
			refused.Err = err
			return answer{}, refused
		}
		length = min(2*length, 2*time.Second)
	}
}

// arguments appends the positional arguments to the flags. If one begins with a dash, "--" comes first.
func arguments(flags []string, positional ...string) []string {
	for _, argument := range positional {
		if strings.HasPrefix(argument, "-") {
			flags = append(flags, "--")
			break
		}
	}
	return append(flags, positional...)
}

func quote(text string) string { return strconv.Quote(text) }
