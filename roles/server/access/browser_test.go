package access_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"aspects-poc/roles/server/access"
)

// A page whose name leads to the server by DNS rebinding is of the same origin for the browser. Devices and curl send none of
// the browser's headers.
func TestBrowserOnDeviceRoutes(t *testing.T) {
	for _, test := range []struct {
		name, host, public string
		secure             bool
		headers            []string
		refused            bool
	}{
		{"a device", "fleet.example:8000", "", false, nil, false},
		{"DNS rebinding", "evil.example:8000", "", false, []string{"Origin: http://evil.example:8000"}, true},
		{"DNS rebinding of a recent browser", "evil.example:8000", "", false, []string{"Sec-Fetch-Site: same-origin"}, true},
		{"DNS rebinding, without a site", "evil.example:8000", "", false, []string{"Sec-Fetch-Mode: cors"}, true},
		{"DNS rebinding beside a public URL", "evil.example", "http://fleet.example", false, []string{"Origin: http://evil.example"}, true},
		{"the documentation on this machine", "127.0.0.1:8000", "", false, []string{"Origin: http://127.0.0.1:8000"}, false},
		{"the documentation under the public URL", "fleet.example", "http://fleet.example", false,
			[]string{"Origin: http://fleet.example"}, false},
		{"the documentation over HTTPS", "fleet.example", "", true, []string{"Origin: https://fleet.example"}, false},
	} {
		w := newWorld(t, access.Options{AllowUnsigned: true, PublicURL: test.public})
		for _, right := range []access.Right{access.Register, access.Poll} {
			request := httptest.NewRequestWithContext(t.Context(), "POST", "/poll/", strings.NewReader("{}"))
			request.RemoteAddr, request.Host = "127.0.0.1:5", test.host
			if test.secure {
				request.TLS = &tls.ConnectionState{}
			}
			for _, header := range test.headers {
				name, value, _ := strings.Cut(header, ": ")
				request.Header.Set(name, value)
			}
			err := w.ask(right, request)
			var refusal *access.Refusal
			if errors.As(err, &refusal) != test.refused || err != nil && !test.refused {
				t.Errorf("%s: %v", test.name, err)
			}
			if test.refused && (refusal.Status != http.StatusForbidden || !strings.Contains(err.Error(), "browser")) {
				t.Errorf("%s: %d %v", test.name, refusal.Status, err)
			}
		}
	}
}
