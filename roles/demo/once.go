package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"aspects-poc/roles/network"
)

// once runs the demo in one pass: it prints what a person would type, and the output.
func (s *stage) once(ctx context.Context) (err error) {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		var log bytes.Buffer // printed only after a failure, since the demo itself prints the address
		env := *s.env
		env.Stdout, env.Stderr = &log, &log
		failed := s.play(ctx, &env, append([]string{serverRole, "run"}, s.flags(serverRole)...))
		if failed != nil {
			failed = fmt.Errorf("%w\n%s", failed, strings.TrimSpace(log.String()))
			stop() // ends the wait for the server
		}
		ended <- failed
	}()
	defer func() {
		stop()
		if failed := <-ended; failed != nil {
			err = failed // the later errors follow from this one
		}
	}()
	client, err := s.await(ctx)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	s.announce(func(format string, args ...any) { s.print(format+"\n", args...) })
	if err := s.point(ctx); err != nil {
		return err
	}
	if err := s.rolesOnce(ctx); err != nil {
		return err
	}
	for _, words := range [][]string{
		{network.ObserveDeviceView, "-d"},
		{network.ControlInterfacesView, "config", "-d"},
		{network.ControlTunnelView, "-d"},
		{network.ControlTelemetryView, "-d"},
		{network.ControlDeviceView, "-d"},
		{network.ObserveInterfacesView, "packets-received", "-l"},
		{network.ObserveInterfacesView, "packets-sent", "-l"},
		{network.ObserveTunnelView, "peers"},
	} {
		if err := s.show(ctx, words); err != nil {
			return err
		}
	}
	target, err := s.target(ctx)
	if err != nil {
		return err
	}
	if _, err := client.SetTarget(ctx, target); err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"config": target})
	if err != nil {
		return err
	}
	s.print("\nA target is put on the server; control applies it, vpn and reporting pick it up:\n")
	s.print("\n$ curl -X PUT %s/target-config/ -H 'Content-Type: application/json' \\\n    -d '%s'\n", s.url(), text)
	if err := s.rolesOnce(ctx); err != nil {
		return err
	}
	for _, words := range [][]string{
		{network.ControlInterfacesView, "config", "-d"},
		{network.ControlTelemetryView, "-d"},
		{network.ObserveTunnelView, "peers"},
	} {
		if err := s.show(ctx, words); err != nil {
			return err
		}
	}
	return nil
}

// rolesOnce runs one cycle of each role except the server.
func (s *stage) rolesOnce(ctx context.Context) error {
	var failures []error
	for _, name := range s.others() {
		words := []string{name, "run", "--once"}
		if name == controlRole || name == vpnRole {
			words = append(words, "--seed", "1") // the same pass each time
		}
		failures = append(failures, s.enter(ctx, words, append(words, s.flags(name)...)))
	}
	return errors.Join(failures...)
}

// show prints the command that reads a view, and its output.
func (s *stage) show(ctx context.Context, words []string) error {
	words = append([]string{"registry", "get", s.account + "/" + network.Name + "/" + words[0]}, words[1:]...)
	return s.enter(ctx, words, append(words, s.common()...))
}

// enter prints the command line that a person would type, and runs it with the demo's own flags.
func (s *stage) enter(ctx context.Context, shown, words []string) error {
	s.print("\n$ aspects-poc %s\n", strings.Join(shown, " "))
	return s.play(ctx, s.env, words)
}

func (s *stage) print(format string, args ...any) { fmt.Fprintf(s.env.Stdout, format, args...) }
