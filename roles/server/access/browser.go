package access

import (
	"net/http"

	"aspects-poc/roles/serverapi/sign"
)

// ByBrowser reports whether a browser has sent a request, perhaps for another site's page. A browser adds the page's
// origin to every request that is neither GET nor HEAD.
func ByBrowser(header http.Header) bool {
	return header.Get("Origin") != "" || header.Get("Sec-Fetch-Site") != "" || header.Get("Sec-Fetch-Mode") != ""
}

// ownPage returns a refusal for a browser's request to a device's route if another site's page may have sent it. A
// browser takes a page for the server's own if the page's name leads to the server (DNS rebinding). Three kinds of
// address exclude that: a loopback host, the public URL, and HTTPS, because the other site has no certificate of the
// server.
func (g *Gate) ownPage(request *http.Request) error {
	own := loopbackHost(request.Host) || request.TLS != nil ||
		g.authority != "" && sign.Received(request).Authority == g.authority
	if own || !ByBrowser(request.Header) {
		return nil
	}
	return forbidden("", "A browser sends this for a page that may be another site's; only devices use this address, and "+
		"the server's own documentation, over HTTPS, under --public-url or on the server's machine")
}
