package serverapi_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aspects-poc/roles/serverapi"
)

func TestNewTransport(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for _, test := range []struct {
		name, file      string
		wantErr, wantDo string // "" for none
	}{
		{"the server's CA", write("own.pem", own), "", ""},
		{"the system's", "", "", "certificate"},
		{"no file", filepath.Join(dir, "none.pem"), "cannot read the CA certificates: open ", ""},
		{"no certificate", write("empty.pem", "none"), "it holds no certificate in PEM", ""},
	} {
		transport, err := serverapi.NewTransport(test.file)
		if err != nil || test.wantErr != "" {
			if err == nil || test.wantErr == "" || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("%s: %v, want %s", test.name, err, test.wantErr)
			}
			continue
		}
		response, err := (&http.Client{Transport: transport}).Get(server.URL)
		if err == nil {
			err = response.Body.Close()
		}
		if (err == nil) != (test.wantDo == "") || err != nil && !strings.Contains(err.Error(), test.wantDo) {
			t.Errorf("%s: %v, want %q", test.name, err, test.wantDo)
		}
		transport.CloseIdleConnections()
	}
}
