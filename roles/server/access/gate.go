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

// DefaultWindow is how far a request's time may be from the server's, either way.
const DefaultWindow = 5 * time.Minute

// Options says what a gate asks of callers.
type Options struct {
	Devices Devices
	Tokens  Store
	// Nonces is what several servers share of what they took; nil for a server on its own.
	Nonces Nonces
	// AllowUnsigned lets in devices that do not sign, and never did.
	AllowUnsigned bool
	Enrolment     Enrolment // "" means Open
	// PublicURL is the address that devices know the server by, where something in between changes host or path. With
	// it, requests that were signed for another server are refused, and operators always need a token. "" means
	// whatever a request names.
	PublicURL string
	Window    time.Duration    // zero means DefaultWindow
	Now       func() time.Time // nil means time.Now
}

// A Gate tells who may speak. It is safe for concurrent use.
type Gate struct {
	options   Options
	authority string // of PublicURL; "" for none
	prefix    string // of PublicURL's path, without a slash at its end
	started   time.Time
	replays   *replays
	known     *known

	mu   sync.Mutex           // guards used
	used map[string]time.Time // operators' tokens that were used since the last Maintain
}

// New returns a gate. The error is that of a PublicURL that is none.
func New(options Options) (*Gate, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Window == 0 {
		options.Window = DefaultWindow
	}
	if options.Enrolment == "" {
		options.Enrolment = Open
	}
	gate := &Gate{
		options: options,
		// What came before is not remembered, and would be taken again.
		started: options.Now().Truncate(time.Second),
		replays: newReplays(options.Window),
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
	gate.known, err = newKnown(options.Devices, remembered)
	return gate, err
}

// Forget is to be told of devices whose key has changed, that were removed, or that begin to sign: after the store has
// it so. ForgetAll is for when it is not known which.
func (g *Gate) Forget(devices ...uuid.UUID) { g.known.forget(devices) }

// ForgetAll makes the gate ask the store for all devices anew.
func (g *Gate) ForgetAll() { g.known.forgetAll() }

// Maintain keeps when tokens were used last. It is to be called now and then, and at the end.
func (g *Gate) Maintain(ctx context.Context) error {
	g.mu.Lock()
	used := g.used
	g.used = map[string]time.Time{}
	g.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	err := g.options.Tokens.TouchTokens(ctx, used)
	if err != nil { // for the next time
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
