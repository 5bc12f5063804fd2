package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrongScheme has clients come with the other one of http and https.
func TestWrongScheme(t *testing.T) {
	t.Run("https to http", func(t *testing.T) {
		started := run(t, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0")
		address := strings.TrimPrefix(started.url, "http://")
		for range 2 {
			if _, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}); err == nil {
				t.Fatal("a server of http shook hands")
			}
		}
		if status, _ := send(t, http.MethodGet, started.url+"/healthz", ""); status != http.StatusOK {
			t.Errorf("the server answers %d", status)
		}
		_, log := started.stop()
		if strings.Count(log, "a client came with https") != 1 || !strings.Contains(log, "address="+started.url+"/") {
			t.Errorf("the log says %s", log)
		}
	})
	t.Run("http to https", func(t *testing.T) {
		certFile, keyFile := writeCertificate(t, t.TempDir(), 1)
		started := run(t, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0",
			"--tls-cert", certFile, "--tls-key", keyFile)
		address := strings.TrimPrefix(started.url, "https://")
		for accept, want := range map[string]string{
			"*/*":       "This server speaks https: did you mean " + started.url + "/page/?a=<b> ?",
			"text/html": fmt.Sprintf(`This server speaks https: did you mean <a href="%[1]s/page/?a=&lt;b&gt;">%[1]s/page/?a=&lt;b&gt;</a>?`, started.url),
		} {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintf(conn, "GET /page/?a=<b> HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n\r\n", address, accept); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.HasSuffix(string(answer), "\r\n\r\n"+want+"\n") {
				t.Errorf("%q %v", answer, err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestWrongAddress has a browser come to addresses that are none of the server's.
func TestWrongAddress(t *testing.T) {
	started := run(t, "--state", filepath.Join(t.TempDir(), "server.db"), "--listen", "127.0.0.1:0")
	const id = "ca155b32-2472-4650-afb0-c6f967328afe"
	for path, want := range map[string]string{
		"/device/":             `<a href="../page/devices/">` + started.url + "/page/devices/</a>",
		"/histroy":             `<a href="page/history/">` + started.url + "/page/history/</a>",
		"/fleet/devices/" + id: `<a href="../../page/devices/` + id + `/">` + started.url + "/page/devices/" + id + "/</a>",
		"/doc":                 `<a href="docs/">`,
		"/%3Cb%3E":             "There is nothing at /&lt;b&gt;.",
		"/page/devices/x/":     "No device has the name &#34;x&#34;.",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, started.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "text/html,*/*")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusNotFound || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %v %s", path, response.StatusCode, err, body)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}
