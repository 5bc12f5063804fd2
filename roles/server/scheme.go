package server

import (
	"bufio"
	"bytes"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
)

// A schemeListener detects connections of the wrong scheme. It answers an HTTP request to an HTTPS server with the
// right address. It cannot answer an HTTPS request to an HTTP server, and logs the first one.
type schemeListener struct {
	net.Listener
	https  bool
	log    *slog.Logger
	warned sync.Once // for the warning
}

// Accept implements net.Listener.
func (l *schemeListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &schemeConn{Conn: conn, listener: l}, nil
}

// A schemeConn checks the first byte of a connection. One goroutine at a time reads it, as in package net/http.
type schemeConn struct {
	net.Conn
	listener *schemeListener
	checked  bool
}

// handshake is the first byte of a TLS connection.
const handshake = 0x16

// Read implements net.Conn.
func (c *schemeConn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if c.checked || n == 0 {
		return n, err
	}
	c.checked = true
	switch first := into[0]; {
	case c.listener.https && first >= 'A' && first <= 'Z':
		if _, err := c.Write(useHTTPS(into[:n], c.LocalAddr().String())); err != nil {
			return 0, err
		}
		return 0, io.EOF
	case !c.listener.https && first == handshake:
		c.listener.warned.Do(func() {
			c.listener.log.Warn("a client came with https, and this server speaks http: use the other address, or serve HTTPS "+
				"with --tls-cert and --tls-key", "address", "http://"+c.LocalAddr().String()+"/", "client", c.RemoteAddr().String())
		})
		return 0, io.EOF
	}
	return n, err
}

// useHTTPS returns the answer to an HTTP request that begins with begin. The answer has the address with https.
func useHTTPS(begin []byte, here string) []byte {
	address := "https://" + here + "/"
	if request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(begin))); err == nil && request.Host != "" {
		address = "https://" + request.Host + request.URL.RequestURI()
	}
	text := fmt.Sprintf("This server speaks https: did you mean %s", address)
	kind := "text/plain"
	if bytes.Contains(begin, []byte("text/html")) {
		kind = "text/html"
		text = strings.Replace(html.EscapeString(text), html.EscapeString(address),
			fmt.Sprintf(`<a href="%[1]s">%[1]s</a>?`, html.EscapeString(address)), 1)
	} else {
		text += " ?"
	}
	return fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nContent-Type: %s; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		kind, len(text)+1, text)
}
