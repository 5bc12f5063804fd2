package server_test

import (
	"path/filepath"
	"testing"

	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"
)

// TestPollProof: each answer to a poll with a report proves that the server knows the device and what it runs.
func TestPollProof(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0", "--public-url", publicURL,
		"--target-schema", "none")
	_, transport, publicKey := signing(t, publicURL, 0)
	signer := transport.Signer()
	registration := capture(t, signer, "/register/", serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "x"})
	if status, problem, _ := registration.send(t, started.url); status != 200 {
		t.Fatalf("%d %+v", status, problem)
	}
	device := devicesOf(t, started.url, createToken(t, state, "anna"))[0]
	key, err := sign.ParsePublicKey(publicKey)
	if err != nil {
		t.Fatal(err)
	}
	send := func(report *serverapi.Report) string {
		t.Helper()
		poll := serverapi.PollRequest{UUID: device, Config: serverapi.Config{"a": 1}, Report: report}
		status, problem, header := capture(t, signer, "/poll/", poll).send(t, started.url)
		if status != 204 && status != 200 {
			t.Fatalf("%d %+v", status, problem)
		}
		return header.Get(serverapi.PollProof)
	}
	for _, running := range []*serverapi.Running{nil, {Revision: 7, Hash: "sha-256=x"}, {Revision: 7, Hash: "sha-256=x"}} {
		report := &serverapi.Report{Sequence: 9, Running: running}
		if running == nil {
			running, report.Sequence = &serverapi.Running{}, 8
		}
		want, err := sign.Proof(key, device.String(), running.Revision, running.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if got := send(report); got != want {
			t.Errorf("%+v: proof %q, want %q", running, got, want)
		}
	}
	// An ignored report and no report prove nothing.
	if got := send(&serverapi.Report{Sequence: 1}); got != "" {
		t.Errorf("a late report has the proof %q", got)
	}
	if got := send(nil); got != "" {
		t.Errorf("a poll without report has the proof %q", got)
	}
}
