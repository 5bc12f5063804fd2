package access

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// CreateHint is the command that makes a first token.
const CreateHint = "aspects-poc server token create NAME"

// Operator returns the operator that sent a request, if the operator has a right. The error is a *Refusal or the store's.
//
// Until the first operator's token is made, a caller on this machine is an operator. Its address must be a loopback
// address, and no proxy may have forwarded the request. Its Host must be a loopback name: a page of another site could
// otherwise reach the server under a name of its own.
func (g *Gate) Operator(request *http.Request, right Right) (Caller, error) {
	ctx := request.Context()
	text, known := bearer(request)
	if !known {
		return Caller{}, &Refusal{Status: http.StatusUnauthorized, Challenge: challenge(request) + invalidRequest[challenge(request)],
			Detail: "The header Authorization has no scheme that the server knows; send Authorization: Bearer TOKEN"}
	}
	if text != "" {
		caller, err := g.holder(ctx, text, challenge(request))
		if err == nil {
			err = caller.permit(right)
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
	return Caller{Kind: Loopback, Role: RoleAdmin}, nil
}

// holder returns the operator of a token.
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
	return Caller{Kind: Operator, Name: token.Name, Role: token.Role, Scope: token.Scope}, nil
}

// bearer returns the token of a request; "" for none. Browsers ask for a name and a password: the token is the password.
// Known is false if Authorization names no scheme, or another one than these two.
func bearer(request *http.Request) (token string, known bool) {
	given := request.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(given, " ")
	if given == "" || strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	_, password, basic := request.BasicAuth()
	return password, basic && password != ""
}

// challenge returns the challenge of a 401 answer: Basic for a browser that shows a page, because it can ask for a password.
func challenge(request *http.Request) string {
	if strings.Contains(request.Header.Get("Accept"), "text/html") {
		return browserChallenge
	}
	return operatorChallenge
}

// forwarding has the headers of requests that a proxy has forwarded.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// remote returns why a request may come from another machine; "" if it comes from this one.
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

// loopbackHost returns whether Host is a name that always means this machine.
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
