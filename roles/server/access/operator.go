package access

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"aspects-poc/roles/server/audit"
)

// CreateHint is the command that makes a first token.
const CreateHint = "aspects-poc server token create NAME"

// Operator returns the operator that sent a request. It returns an error unless the operator has the right: a *Refusal,
// or the store's error.
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
		caller, err := g.holder(request, text)
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

// holder returns the operator of the token in a request. For a proxy's token it also returns the person.
func (g *Gate) holder(request *http.Request, text string) (Caller, error) {
	ctx, challenge := request.Context(), challenge(request)
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
	caller := Caller{Kind: Operator, Name: token.Name, Role: token.Role, Scope: token.Scope, Expires: token.Expires}
	if token.Proxy {
		caller.Person, err = g.person(request)
		var unnamed *Refusal
		if errors.As(err, &unnamed) {
			unnamed.Caller = caller
		}
	}
	return caller, err
}

// DefaultPersonHeader is the header in which a proxy names the person.
const DefaultPersonHeader = "X-Forwarded-User"

// person returns the person whom a proxy names. It returns a refusal for no name or several names, because a proxy's
// token is valid only with a person.
func (g *Gate) person(request *http.Request) (string, error) {
	given := request.Header.Values(g.options.PersonHeader)
	refuse := func(why string) error {
		return forbidden("", "The token is a proxy's, which has to name the person in the header "+g.options.PersonHeader+", and "+why)
	}
	switch len(given) {
	case 0:
		return "", refuse("there is no such header")
	case 1:
		if err := audit.CheckPerson(given[0]); err != nil {
			return "", refuse("the name cannot be taken: " + err.Error())
		}
		return given[0], nil
	}
	return "", refuse("there are several")
}

// Origin returns the address from which a request comes. For a proxy that names the person, address is the one that the
// proxy has seen, and proxy is the proxy's own; otherwise proxy is "".
func (c Caller) Origin(request *http.Request) (address, proxy string) {
	address = request.RemoteAddr
	if peer, err := netip.ParseAddrPort(address); err == nil {
		address = peer.Addr().Unmap().String()
	}
	if c.Person == "" {
		return address, ""
	}
	// The proxy has added the last element. A client may have sent those before it.
	forwarded := strings.Split(strings.Join(request.Header.Values("X-Forwarded-For"), ","), ",")
	if seen, err := netip.ParseAddr(strings.TrimSpace(forwarded[len(forwarded)-1])); err == nil {
		return seen.Unmap().String(), address
	}
	return address, address
}

// bearer returns the token of a request; "" for none. A browser asks for a name and a password; the password is the
// token. known is false if Authorization has no scheme, or another one than these two.
func bearer(request *http.Request) (token string, known bool) {
	given := request.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(given, " ")
	if given == "" || strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	_, password, basic := request.BasicAuth()
	return password, basic && password != ""
}

// challenge returns the challenge of a 401 answer: Basic for a browser that shows a page, because a browser can ask for
// a password.
func challenge(request *http.Request) string {
	if strings.Contains(request.Header.Get("Accept"), "text/html") {
		return browserChallenge
	}
	return operatorChallenge
}

// forwarding has the headers that proxies add to forwarded requests.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// remote returns why a request may come from another machine; "" if it comes from this machine.
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

// loopbackHost reports whether Host is a name that always means this machine.
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
