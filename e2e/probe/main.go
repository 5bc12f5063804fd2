// Command probe is a program in the snaps of the end-to-end tests. It asks snapd questions from inside a snap.
//
// As an app it runs one snapctl command: `probe get --view :control-telemetry -d` prints the command's output. After a
// failure it prints the error and exits 1. Under a hook's name it is a hook: it appends its name to
// $SNAP_COMMON/hooks.log and runs the lines of the file $SNAP_COMMON/NAME. Each line is a snapctl command whose words
// are separated by tabs; %d stands for the number of its runs. A failed command ends the hook with its error, unless
// the line begins with a minus. The commands =print and =exit print a text, in which \\n is a line break, and end the
// hook with a code.
//
// Each start of a hook and each of its commands is also a line of JSON in $SNAP_COMMON/calls.jsonl, with the time.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	run := app
	if filepath.Base(filepath.Dir(os.Args[0])) == "hooks" {
		run = hook
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func app() error {
	output, err := snapctl(os.Args[1:])
	fmt.Print(output)
	return err
}

func hook() error {
	name := filepath.Base(os.Args[0])
	common := os.Getenv("SNAP_COMMON")
	log, err := os.OpenFile(filepath.Join(common, "hooks.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	before, err := os.ReadFile(log.Name())
	if err != nil {
		return err
	}
	count := 1 + strings.Count(string(before), " "+name+" starts\n")
	note := func(format string, args ...any) {
		_, _ = fmt.Fprintf(log, "%s %s %s\n", time.Now().Format("15:04:05.000"), name, fmt.Sprintf(format, args...))
	}
	note("starts")
	record(common, name, nil, "", nil)
	script, err := os.ReadFile(filepath.Join(common, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(script)) {
		line, optional := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-")
		line = strings.ReplaceAll(line, "%d", strconv.Itoa(count))
		switch word, text, _ := strings.Cut(line, "\t"); word {
		case "=print":
			fmt.Print(strings.ReplaceAll(text, `\n`, "\n"))
			continue
		case "=exit":
			code, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			os.Exit(code)
		}
		output, err := snapctl(strings.Split(line, "\t"))
		record(common, name, strings.Split(line, "\t"), output, err)
		note("%s: %s %v", line, strings.TrimSpace(output), err)
		if err != nil && !optional {
			return err
		}
	}
	note("ends")
	return nil
}

// record appends a line to calls.jsonl: the start of a hook, or one of its commands. It ignores errors, because the
// tests notice a missing line.
func record(common, hook string, args []string, stdout string, failed error) {
	line := map[string]any{"at": time.Now().UnixNano(), "hook": os.Getenv("SNAP_NAME") + " " + hook}
	if args != nil {
		line["args"], line["stdout"] = args, stdout
	}
	if failed != nil {
		line["error"] = failed.Error()
	}
	text, err := json.Marshal(line)
	if err != nil {
		return
	}
	file, err := os.OpenFile(filepath.Join(common, "calls.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	_, _ = file.Write(append(text, '\n'))
	_ = file.Close()
}

// snapctl runs one command and returns its output.
func snapctl(args []string) (string, error) {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", "/run/snapd-snap.socket")
		},
	}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(map[string]any{"context-id": os.Getenv("SNAP_COOKIE"), "args": args})
	if err != nil {
		return "", err
	}
	response, err := client.Post("http://snapd/v2/snapctl", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Type   string
		Result struct{ Stdout, Stderr, Message string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("snapd's answer cannot be read: %w", err)
	}
	if answer.Type == "error" {
		return "", errors.New(answer.Result.Message)
	}
	return answer.Result.Stdout, nil
}
