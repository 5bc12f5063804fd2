package api_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
)

// TestStreamEnds: a stream of events ends when its token is revoked or expires, and no other stream does.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	a := newAudited(t, rand.New(rand.NewPCG(1, 1)))
	brief := access.Token{Name: "brief", Role: access.RoleViewer, Purpose: access.Operate, Created: time.Now(), Expires: time.Now().Add(2 * time.Second)}
	a.tokens["brief"], brief.Digest = access.NewToken(access.Operate)
	if err := a.store.Tokens().AddToken(t.Context(), brief); err != nil {
		t.Fatal(err)
	}
	follow := func(who string) <-chan error {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "GET", a.server.URL+"/events/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+a.tokens[who])
		response, err := http.DefaultClient.Do(request)
		if err != nil || response.StatusCode != 200 {
			t.Fatal(err, response)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, response.Body)
			_ = response.Body.Close() // only read
			ended <- err
		}()
		return ended
	}
	expires, revoked, stays := follow("brief"), follow("vera"), follow("otto")
	if got := a.send("ann", "DELETE", "/tokens/vera/", ""); got.status != 204 {
		t.Fatal(got)
	}
	for what, ended := range map[string]<-chan error{"expires": expires, "is revoked": revoked} {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the stream whose token %s ends with %v", what, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("the stream whose token %s does not end", what)
		}
	}
	select {
	case err := <-stays:
		t.Errorf("the stream of another token ends: %v", err)
	default:
	}
	a.server.CloseClientConnections() // the last stream
}
