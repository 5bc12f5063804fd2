package access

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// CreateHint is what makes a first token.
const CreateHint = "aspects-poc server token create NAME"

// Operator tells which operator sent a request. The error is a *Refusal, or the store's trouble.
//
// Where no operator's token was ever made, who sits at the machine is an operator: a peer on the loopback that names a
// loopback host, so that no page of another site can use a name of its own for it, and that nobody forwarded.
func (g *Gate) Operator(request *http.Request, write bool) (Caller, error) {
	ctx := request.Context()
	if text := bearer(request); text != "" {
		caller, err := g.holder(ctx, text, challenge(request))
		if err == nil && write && caller.ReadOnly {
			err = &Refusal{Status: http.StatusForbidden, Detail: "The token of " + caller.Name + " is read-only",
				Challenge: operatorChallenge + `, error="insufficient_scope"`}
		}
		return caller, err
	}
	guarded, err := g.options.Tokens.Guarded(ctx)
	switch {
	case err != nil:
		return Caller{}, err
	case guarded || g.options.PublicURL != "":
		return Caller{}, &Refusal{Status: http.StatusUnauthorized, Challenge: challenge(request),
			Detail: "Operators need a token here: Authorization: Bearer TOKEN; one is made with: " + CreateHint}
	}
	if reason := remote(request); reason != "" {
		return Caller{}, &Refusal{Status: http.StatusForbidden, Detail: reason +
			"; without any operator's token, operators have to be on the server's machine. Make one there with: " + CreateHint}
	}
	return Caller{Kind: Loopback}, nil
}

// holder tells whose token this is.
func (g *Gate) holder(ctx context.Context, text, challenge string) (Caller, error) {
	refused := &Refusal{Status: http.StatusUnauthorized, Challenge: challenge + invalidToken[challenge],
		Detail: "The token is no operator's, or is not valid any more; another one is made with: " + CreateHint}
	if !likeToken(text, Operate) {
		return Caller{}, refused
	}
	token, err := g.options.Tokens.Token(ctx, TokenDigest(text))
	switch now := g.options.Now(); {
	case errors.Is(err, ErrUnknownToken):
		return Caller{}, refused
	case err != nil:
		return Caller{}, err
	case token.Purpose != Operate || !token.Valid(now):
		return Caller{}, refused
	default:
		g.mu.Lock()
		g.used[token.Name] = now
		g.mu.Unlock()
	}
	return Caller{Kind: Operator, Name: token.Name, ReadOnly: token.ReadOnly}, nil
}

// bearer returns the token that a request comes with; "" for none. Browsers, which ask a person for name and password,
// send it as the password of any name.
func bearer(request *http.Request) string {
	given := request.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(given, " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if _, password, ok := request.BasicAuth(); ok && password != "" {
		return password
	}
	return given // where it is something else it is no token, and is refused as one
}

// challenge is what to ask an operator for: a browser that shows a page for what it can ask a person for.
func challenge(request *http.Request) string {
	if strings.Contains(request.Header.Get("Accept"), "text/html") {
		return browserChallenge
	}
	return operatorChallenge
}

// forwarding are the headers by which proxies tell that somebody else is behind them.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// remote says why a request need not come from this machine; "" if it does.
func remote(request *http.Request) (reason string) {
	peer, err := netip.ParseAddrPort(request.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return "This request comes from another machine"
	}
	if !loopbackHost(request.Host) {
		return "This request names another host than this machine's loopback"
	}
	for _, name := range forwarding {
		if len(request.Header.Values(name)) > 0 {
			return "This request was forwarded by a proxy"
		}
	}
	return ""
}

// loopbackHost tells whether Host is a name that no one else can give this machine.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
