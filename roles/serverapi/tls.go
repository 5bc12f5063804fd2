package serverapi

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"aspects-poc/internal/regular"
)

// NewTransport returns a transport with the proxies of the environment. caFile is a file of CA certificates in PEM, and
// the transport trusts only these. "" means the system's certificates.
func NewTransport(caFile string) (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile == "" {
		return transport, nil
	}
	text, err := regular.Read(caFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("cannot use %s as CA certificates: it holds no certificate in PEM", caFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}
