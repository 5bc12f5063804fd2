package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet/postgres/postgrestest"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// publicURL is how devices know the servers of a test, behind a load balancer that is not there.
const publicURL = "https://fleet.example"

// A captured request is what somebody on the way has read.
type captured struct {
	header http.Header
	path   string
	body   string
}

// capture signs a request of a device.
func capture(t *testing.T, signer *sign.Signer, path string, content any) captured {
	t.Helper()
	body, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, publicURL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if err := signer.Sign(request, body, time.Now()); err != nil {
		t.Fatal(err)
	}
	return captured{header: request.Header, path: path, body: string(body)}
}

// send brings a request to a server, and returns the status of its answer, its problem and its headers.
func (c captured) send(t *testing.T, url string) (status int, problem serverapi.Problem, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = c.header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(content, &problem) // not every answer is one
	return response.StatusCode, problem, response.Header
}

// TestReplayedRegistration brings a registration again, also after its device was deleted.
func TestReplayedRegistration(t *testing.T) {
	state := filepath.Join(t.TempDir(), "server.db")
	started := run(t, "--state", state, "--listen", "127.0.0.1:0", "--public-url", publicURL,
		"--enrolment", "open")
	_, transport, publicKey := signing(t, publicURL, 0)
	request := capture(t, transport.Signer(), "/register/", serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "x"})
	if status, problem, _ := request.send(t, started.url); status != 200 {
		t.Fatalf("%d %+v", status, problem)
	}
	if status, problem, _ := request.send(t, started.url); status != 401 || problem.Type != serverapi.ProblemReplayed {
		t.Errorf("again: %d %+v", status, problem)
	}
	token := createToken(t, state, "anna")
	list := devicesOf(t, started.url, token)
	if len(list) != 1 {
		t.Fatalf("%d devices", len(list))
	}
	if got := ask(t, http.DefaultClient, "DELETE", started.url+"/devices/"+list[0].String()+"/", token, ""); got != 204 {
		t.Fatalf("delete answers %d", got)
	}
	if status, problem, _ := request.send(t, started.url); status != 401 || problem.Type != serverapi.ProblemReplayed {
		t.Errorf("deleted: %d %+v", status, problem)
	}
	if list := devicesOf(t, started.url, token); len(list) != 0 {
		t.Errorf("%d devices", len(list))
	}
}

// TestReplayElsewhere brings a request that one server took to another one on the same database, and then takes the
// database away: what changes nothing is answered from memory, and all else waits for the database.
func TestReplayElsewhere(t *testing.T) {
	cluster := postgrestest.Start(t, postgrestest.Options{Durable: true})
	address := cluster.URL(t)
	flags := []string{"--database", address, "--listen", "127.0.0.1:0", "--public-url", publicURL, "--target-schema", "none"}
	here, there := run(t, flags...), run(t, flags...)
	_, transport, publicKey := signing(t, here.url, 0)
	signer := transport.Signer()
	answer := capture(t, signer, "/register/", serverapi.RegisterRequest{IPAddress: "::1", PublicKeyRSA: publicKey, Arch: "amd64"})
	if status, problem, _ := answer.send(t, here.url); status != 200 {
		t.Fatalf("register: %d %+v", status, problem)
	}
	list := devicesOf(t, here.url, createDatabaseToken(t, address))
	if len(list) != 1 {
		t.Fatalf("%d devices", len(list))
	}
	device := list[0]
	poll := func(rate int) captured {
		return capture(t, signer, "/poll/", serverapi.PollRequest{UUID: device, Config: serverapi.Config{"a": rate}})
	}
	// At once at both, and one after the other.
	for range 5 {
		request := poll(1)
		first, _, _ := request.send(t, here.url)
		second, problem, _ := request.send(t, there.url)
		third, _, _ := request.send(t, here.url)
		if first != 204 || second != 401 || problem.Type != serverapi.ProblemReplayed || third != 401 {
			t.Errorf("%d, elsewhere %d (%s), again %d", first, second, problem.Type, third)
		}
	}
	if status, problem, _ := poll(1).send(t, there.url); status != 204 {
		t.Errorf("a request of its own: %d %+v", status, problem)
	}

	cluster.Stop(t)
	if status, problem, _ := poll(1).send(t, here.url); status != 204 {
		t.Errorf("nothing new, without the database: %d %+v", status, problem)
	}
	if status, problem, header := poll(2).send(t, here.url); status != 503 || header.Get("Retry-After") == "" {
		t.Errorf("a change, without the database: %d %+v", status, problem)
	}
	change := serverapi.KeyRequest{UUID: device, PublicKeyRSA: publicKey, Proof: "AAAA"}
	if status, problem, header := capture(t, signer, "/keys/", change).send(t, here.url); status != 503 || header.Get("Retry-After") == "" {
		t.Errorf("another key, without the database: %d %+v", status, problem)
	}
	cluster.Restart(t)
	for _, url := range []string{here.url, there.url} {
		for { // the server finds its database again
			status, problem, _ := poll(2).send(t, url)
			if status == 204 {
				break
			}
			if status != 503 {
				t.Fatalf("with the database back: %d %+v", status, problem)
			}
			time.Sleep(50 * time.Millisecond) // a device may send 64 requests a second, and a lost database refuses at once
		}
	}
	request := poll(2)
	if status, problem, _ := request.send(t, here.url); status != 204 {
		t.Errorf("with the database back: %d %+v", status, problem)
	}
	if status, problem, _ := request.send(t, there.url); status != 401 || problem.Type != serverapi.ProblemReplayed {
		t.Errorf("replayed with the database back: %d %+v", status, problem)
	}
}

func createDatabaseToken(t *testing.T, address string) string {
	t.Helper()
	code, stdout, stderr := command(t, nil, "token", "create", "ann", "--database", address)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return strings.TrimSpace(stdout)
}

// devicesOf lists the devices that a server knows.
func devicesOf(t *testing.T, url, token string) (list []uuid.UUID) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/devices/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	var found struct {
		Devices []struct{ UUID uuid.UUID }
	}
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	for _, device := range found.Devices {
		list = append(list, device.UUID)
	}
	return list
}
