package server_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"
)

// TestPollProof: each answer to a poll with a report proves that the server knows the device and has this poll, and no other.
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
	// send returns the proof, and the request as the device has sent it.
	send := func(report *serverapi.Report) (string, *http.Request) {
		t.Helper()
		poll := serverapi.PollRequest{UUID: device, Config: serverapi.Config{"a": 1}, Report: report}
		signed := capture(t, signer, "/poll/", poll)
		status, problem, header := signed.send(t, started.url)
		if status != 204 && status != 200 {
			t.Fatalf("%d %+v", status, problem)
		}
		sent, err := http.NewRequest(http.MethodPost, publicURL+"/poll/", nil)
		if err != nil {
			t.Fatal(err)
		}
		sent.Header = signed.header
		return header.Get(serverapi.PollProof), sent
	}
	earlier := ""
	for _, report := range []*serverapi.Report{
		{Sequence: 8}, {Sequence: 9, Running: &serverapi.Running{Revision: 7, Hash: "sha-256=x"}},
		{Sequence: 9, Running: &serverapi.Running{Revision: 7, Hash: "sha-256=x"}},
	} {
		proof, sent := send(report)
		if !sign.Proves(proof, sent, key) {
			t.Errorf("%+v: the proof %q is wrong", report, proof)
		}
		if sign.Proves(earlier, sent, key) {
			t.Errorf("%+v: the proof of the poll before proves this one", report)
		}
		if sent.Host = "relay.example"; sign.Proves(proof, sent, key) {
			t.Errorf("%+v: the proof proves a poll to another server", report)
		}
		earlier = proof
	}
	// An ignored report and no report prove nothing.
	if got, _ := send(&serverapi.Report{Sequence: 1}); got != "" {
		t.Errorf("a late report has the proof %q", got)
	}
	if got, _ := send(nil); got != "" {
		t.Errorf("a poll without report has the proof %q", got)
	}
}
