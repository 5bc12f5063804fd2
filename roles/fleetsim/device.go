package fleetsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// A device is a simulated device with a key, a configuration, and a target that it runs.
type device struct {
	number int
	id     uuid.UUID
	signer *sign.Signer // nil for a device that does not sign
	kind   kind

	mu      sync.Mutex       // guards the fields below; held during an exchange, since a device does one thing at a time
	own     serverapi.Config // the device's own configuration, where no target sets a value
	config  serverapi.Config
	report  serverapi.Report
	counted int64 // number of polls, for reports that have to differ
	body    []byte
}

// newDevice returns a device with the configuration that control writes first.
func newDevice(number int, signer *sign.Signer) *device {
	own := serverapi.Config{
		"control-telemetry": map[string]any{"sample-rate": json.Number("2"), "monitor-peers": true},
		"control-tunnel":    map[string]any{"interface": "eth0", "peers": []any{"192.168.21.3", "192.168.151.225"}},
	}
	return &device{number: number, signer: signer, own: own, config: own}
}

// registration returns the body of the device's registration.
func (d *device) registration(publicKey, token string, labels map[string][]string, names string) ([]byte, error) {
	own := map[string]string{"simulated": "yes", "tenth": fmt.Sprint(d.number % 10)}
	if names != "" {
		own["name"] = numbered(names, d.number)
	}
	for name, values := range labels {
		own[name] = values[d.number%len(values)]
	}
	return jsonvalue.Encode(serverapi.RegisterRequest{
		IPAddress:    fmt.Sprintf("10.%d.%d.%d", d.number>>16&255, d.number>>8&255, d.number&255),
		PublicKeyRSA: publicKey, Arch: "amd64", EnrolmentToken: token,
		Labels: own,
	})
}

// numbered replaces the first run of # in a pattern by a number with at least as many digits.
func numbered(pattern string, number int) string {
	at := strings.Index(pattern, "#")
	rest := strings.TrimLeft(pattern[at:], "#")
	return fmt.Sprintf("%s%0*d%s", pattern[:at], len(pattern)-at-len(rest), number, rest)
}

// poll returns the body of the next poll. With change its counters differ from the last ones. The caller holds the
// lock.
func (d *device) poll(change bool) ([]byte, error) {
	if d.body != nil && !change {
		return d.body, nil
	}
	request := serverapi.PollRequest{UUID: d.id, Config: d.config}
	if change {
		d.counted++
		request.Config = d.config.Merge(serverapi.Config{"observe-interfaces": map[string]any{
			"packets-sent": map[string]any{"eth0": d.counted}}})
	}
	if d.report.Running != nil || d.report.Attempted != nil {
		report := d.report
		request.Report = &report
	}
	body, err := jsonvalue.Encode(request)
	if err == nil && !change {
		d.body = body
	}
	return body, err
}

// apply applies an offer as control does, within the limits of the device's kind. news reports whether the device has
// something to report. The caller holds the lock.
func (d *device) apply(offer serverapi.Offer, now time.Time) (news bool, err error) {
	hash, err := offer.Config.Hash()
	if err != nil {
		return false, err
	}
	if offer.Hash != "" && offer.Hash != hash {
		return false, fmt.Errorf("revision %d has the hash %s, and not %s as the server says", offer.Revision, hash, offer.Hash)
	}
	attempted := serverapi.Attempted{Revision: offer.Revision, Outcome: serverapi.Applied, At: now.Unix()}
	switch d.kind {
	case refusing:
		attempted.Outcome, attempted.Reason = serverapi.Refused, "the device is simulated, and refuses every target"
	case failing:
		attempted.Outcome, attempted.Reason = serverapi.Failed, "the device is simulated, and can apply no target"
	default:
		d.config = d.own.Merge(offer.Config)
		d.report.Running = &serverapi.Running{Revision: offer.Revision, Hash: hash}
	}
	if d.kind == drifting {
		d.config = d.config.Merge(otherValue(offer.Config))
	}
	if last := d.report.Attempted; attempted.Outcome != serverapi.Applied && last != nil && last.Revision == offer.Revision {
		return false, nil // the server offers it again
	}
	d.report.Sequence++
	d.report.Attempted = &attempted
	d.body = nil
	return true, nil
}

// A prepared is the text of a request, and the body for which it was made.
type prepared struct {
	text []byte
	body []byte
}

// prepare returns a request of the device. It signs the request for the time at if the device signs.
func (d *device) prepare(t *target, path string, body []byte, at time.Time, wait time.Duration) (prepared, error) {
	header := http.Header{}
	if d.signer != nil {
		address := *t.base
		address.Path = t.base.Path + path
		request := &http.Request{Method: http.MethodPost, URL: &address, Host: t.authority, Header: header}
		if err := d.signer.Sign(request, body, at); err != nil {
			return prepared{}, err
		}
	}
	var text bytes.Buffer
	text.Grow(len(body) + 1024)
	fmt.Fprintf(&text, "POST %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: aspects-poc-fleet-sim\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n", t.base.EscapedPath(), path, t.authority, len(body))
	if wait > 0 {
		fmt.Fprintf(&text, "Prefer: wait=%d\r\n", wait/time.Second)
	}
	if err := header.Write(&text); err != nil {
		return prepared{}, err
	}
	text.WriteString("\r\n")
	text.Write(body)
	return prepared{text.Bytes(), body}, nil
}
