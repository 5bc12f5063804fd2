package access

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// DefaultWindow is how old the time of a request may be.
const DefaultWindow = 5 * time.Minute

// ahead is by how much a request's time may be ahead of the server's clock. It is short, because a new server process
// knows no earlier requests, and refuses by their time all requests from before its start.
const ahead = 2 * time.Second

// Options configures a Gate.
type Options struct {
	Devices Devices
	Tokens  Store
	// Nonces records requests for all servers on the same store; nil for a single server.
	Nonces Nonces
	// AllowUnsigned admits devices that have never signed.
	AllowUnsigned bool
	Enrolment     Enrolment // "" means Open
	// PersonHeader is the header in which a proxy names the person; "" means DefaultPersonHeader.
	PersonHeader string
	// PublicURL is the address that devices use, if a proxy changes host or path. The gate then refuses requests signed for
	// another server, and operators always need a token. "" means the address in the request.
	PublicURL string
	Window    time.Duration    // zero means DefaultWindow
	Now       func() time.Time // nil means time.Now
	// Doubt returns why Now may be wrong; nil if there is no reason. While it returns an error, no device can register.
	// A nil Doubt means that Now is right.
	Doubt func() error
}

// A Gate decides who may call. It is safe for concurrent use.
type Gate struct {
	options   Options
	authority string // of PublicURL; "" for none
	prefix    string // of PublicURL's path, without a slash at its end
	started   time.Time
	replays   *replays // of registered devices
	joined    *replays // of registrations
	keys      *keyCache

	mu   sync.Mutex           // guards used
	used map[string]time.Time // operators' tokens that were used since the last Maintain
}

// New returns a gate. It returns an error if PublicURL is invalid.
func New(options Options) (*Gate, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Window == 0 {
		options.Window = DefaultWindow
	}
	if options.PersonHeader == "" {
		options.PersonHeader = DefaultPersonHeader
	}
	if options.Enrolment == "" {
		options.Enrolment = Open
	}
	gate := &Gate{
		options: options,
		// Requests from before the start are not in memory: they could be replayed.
		started: options.Now().Truncate(time.Second),
		replays: newReplays(options.Window, 0),
		joined:  newReplays(options.Window, mostApplicants),
		used:    map[string]time.Time{},
	}
	if options.PublicURL != "" {
		parsed, err := url.Parse(options.PublicURL)
		if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" ||
			parsed.RawQuery != "" || parsed.Fragment != "" || parsed.User != nil {
			return nil, fmt.Errorf("cannot use %q as public URL: want http:// or https:// with a host, and a path at most",
				options.PublicURL)
		}
		gate.authority = sign.Authority(parsed.Scheme, parsed.Host)
		gate.prefix = strings.TrimRight(parsed.EscapedPath(), "/")
	}
	var err error
	gate.keys, err = newKeyCache(options.Devices, remembered)
	return gate, err
}

// Enrolment returns which devices may register.
func (g *Gate) Enrolment() Enrolment { return g.options.Enrolment }

// Forget removes devices from the gate's memory. Call it after the store has a new key of a device, has removed the
// device, or has recorded that it signs.
func (g *Gate) Forget(devices ...uuid.UUID) { g.keys.forget(devices) }

// ForgetAll removes all devices from the gate's memory. Call it if you do not know which devices have changed.
func (g *Gate) ForgetAll() { g.keys.forgetAll() }

// Maintain writes to the store when tokens were last used. Call it regularly, and before the end.
func (g *Gate) Maintain(ctx context.Context) error {
	g.mu.Lock()
	used := g.used
	g.used = map[string]time.Time{}
	g.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	err := g.options.Tokens.TouchTokens(ctx, used)
	if err != nil { // the next call tries again
		g.mu.Lock()
		defer g.mu.Unlock()
		for name, at := range used {
			if g.used[name].Before(at) {
				g.used[name] = at
			}
		}
	}
	return err
}
