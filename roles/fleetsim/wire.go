package fleetsim

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A target is the server under load.
type target struct {
	address   string // HOST:PORT
	authority string // the authority in signatures
	base      *url.URL
	tls       *tls.Config // nil for plain HTTP
}

// A line is one connection to the server, opened on demand. It does no more HTTP/1.1 than it has to, so that the server
// gets most of the processor. It is for one goroutine.
type line struct {
	target  *target
	timeout time.Duration
	conn    net.Conn
	reader  *bufio.Reader
}

// maxAnswer is the largest answer, in bytes.
const maxAnswer = 16 << 20

// exchange sends a request and returns the answer with its whole content. After an error the connection is closed, and
// the next exchange opens another.
func (l *line) exchange(ctx context.Context, request []byte, longer time.Duration) (*http.Response, []byte, error) {
	response, content, err := l.try(ctx, request, longer)
	if err != nil {
		l.close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, nil, err
	}
	if response.Close {
		l.close()
	}
	return response, content, nil
}

func (l *line) try(ctx context.Context, request []byte, longer time.Duration) (*http.Response, []byte, error) {
	if err := l.open(ctx); err != nil {
		return nil, nil, err
	}
	// The function may still run after the connection is closed and another one opened.
	conn := l.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // ends a blocked read or write
	defer stop()
	if err := l.conn.SetDeadline(time.Now().Add(l.timeout + longer)); err != nil {
		return nil, nil, err
	}
	if _, err := l.conn.Write(request); err != nil {
		return nil, nil, err
	}
	response, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		return nil, nil, err
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(content) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return response, content, err
}

func (l *line) open(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	dialer := net.Dialer{Timeout: l.timeout}
	conn, err := dialer.DialContext(ctx, "tcp", l.target.address)
	if err != nil {
		return err
	}
	if l.target.tls != nil {
		secure := tls.Client(conn, l.target.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the error of the handshake is returned
			return err
		}
		conn = secure
	}
	l.conn, l.reader = conn, bufio.NewReaderSize(conn, 2048)
	return nil
}

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close() // broken, or not needed any more
		l.conn = nil
	}
}
