package access_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
)

// others stands for other servers.
type others struct {
	taken  map[access.Mark]time.Time
	failed error
	asked  int
}

func (o *others) TakeNonce(_ context.Context, mark access.Mark, until time.Time) (bool, error) {
	o.asked++
	if o.failed != nil {
		return false, o.failed
	}
	_, known := o.taken[mark]
	o.taken[mark] = until
	return !known, nil
}

// bodyOf reads a request's body, as a server would.
func bodyOf(t *testing.T, request *http.Request) func() ([]byte, error) {
	t.Helper()
	return func() ([]byte, error) {
		body, err := request.GetBody()
		if err != nil {
			return nil, err
		}
		return io.ReadAll(body)
	}
}

// TestSharedNonces has other servers know a request, or not be there to be asked.
func TestSharedNonces(t *testing.T) {
	shared := &others{taken: map[access.Mark]time.Time{}}
	w := newWorld(t, access.Options{Nonces: shared})
	device := w.add("device")
	if got := w.send(w.signed("device", device.ID)); got.status != 200 || len(shared.taken) != 1 {
		t.Fatalf("%+v; %d are shared", got, len(shared.taken))
	}
	for mark, until := range shared.taken {
		if want := noon.Add(access.DefaultWindow + time.Minute); !until.Equal(want) {
			t.Errorf("%x is kept until %s, want %s", mark, until, want)
		}
	}
	// What this server knows itself it asks nobody about, nor what is not signed well.
	request := w.signed("device", device.ID)
	w.send(w.again(request))
	bad := w.signed("device", device.ID)
	bad.Header.Set("Signature", "device=:AAAA:")
	asked := shared.asked
	for _, request := range []*http.Request{w.again(request), bad} {
		if got := w.send(request); got.status != 401 || shared.asked != asked {
			t.Errorf("%+v; others were asked %d times", got, shared.asked-asked)
		}
	}
	// Another server took it.
	request = w.signed("device", device.ID)
	elsewhere := newWorld(t, access.Options{Nonces: shared})
	elsewhere.set(device)
	caller, err := elsewhere.gate.Device(w.again(request), bodyOf(t, request))
	if err != nil || caller.Unconfirmed != nil || caller.Device != device.ID {
		t.Fatal(caller, err)
	}
	if got := w.send(request); got.status != 401 || got.kind != "replayed" {
		t.Errorf("taken elsewhere: %+v", got)
	}
	// Nobody can be asked.
	shared.failed = errors.New("away")
	request = w.signed("device", device.ID)
	caller, err = w.gate.Device(w.again(request), bodyOf(t, request))
	if err != nil || !errors.Is(caller.Unconfirmed, shared.failed) || caller.Device != device.ID {
		t.Errorf("unconfirmed: %+v, %v", caller, err)
	}
}
