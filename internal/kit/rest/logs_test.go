package rest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"aspects-poc/internal/kit/rest"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/internal/machine/testclient"
	"aspects-poc/internal/stocksnap"
)

// someLogs has three lines of one service.
type someLogs struct{}

func (someLogs) Logs(_ context.Context, services []string, last int, _ bool, tell func(rest.LogLine) error) error {
	at := time.Date(2026, 11, 22, 23, 42, 18, 0, time.UTC)
	list := []rest.LogLine{{at, "app.run", 7, "one", false}, {at, "app.run", 7, "two", false}, {at, "app.run", 8, "three", false}}
	if len(services) != 1 || services[0] != "app.run" {
		return nil
	}
	if last >= 0 {
		list = list[len(list)-min(last, len(list)):]
	}
	for _, line := range list {
		if err := tell(line); err != nil {
			return err
		}
	}
	return nil
}

func withLogs(t *testing.T) *machine {
	t.Helper()
	m := serve(t, setup{options: rest.Options{Logs: someLogs{}}})
	if err := m.Facts.Install(facts.Snap{Name: "app", Services: map[string]facts.Service{"run": {Daemon: "simple"}}}); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLogs(t *testing.T) {
	t.Parallel()
	m := withLogs(t)
	const last = "\x1e" + `{"message":"three","pid":"8","sid":"app.run","timestamp":"2026-11-22T23:42:18Z"}` + "\n"
	if status, text := testclient.SendRaw(t, m.client, "GET /v2/logs?names=app&n=1", nil); status != http.StatusOK || string(text) != last {
		t.Errorf("%d %q, want %q", status, text, last)
	}
	for request, want := range map[string]int{
		"GET /v2/logs?n=many": http.StatusBadRequest, "GET /v2/logs?follow=perhaps": http.StatusBadRequest,
		"GET /v2/logs?names=none": http.StatusNotFound, "GET /v2/logs?names=app.none": http.StatusNotFound,
		"GET /v2/logs?names=cust": http.StatusNotFound,
	} {
		if status, _ := testclient.Send(t, m.client, request, nil); status != want {
			t.Errorf("%s: %d, want %d", request, status, want)
		}
	}
}

// TestStockLogs checks the output of the stock command snap logs.
func TestStockLogs(t *testing.T) {
	t.Parallel()
	command := stocksnap.Find(t)
	m := withLogs(t)
	result := command.Run(t, m.dir, "logs", "-n", "2", "app.run")
	const want = "2026-11-22T23:42:18Z app.run[7]: two\n2026-11-22T23:42:18Z app.run[8]: three\n"
	if result.Stdout != want || result.Stderr != "" {
		t.Errorf("printed %q, %q; want %q", result.Stdout, result.Stderr, want)
	}
}
