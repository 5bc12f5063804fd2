package sign

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A Signer signs requests with a device's key. It is safe for concurrent use if the key is.
type Signer struct {
	key crypto.Signer
	id  string
}

// NewSigner returns a Signer with an RSA key, such as *rsa.PrivateKey. The error is ErrKey for a key that servers
// refuse.
func NewSigner(key crypto.Signer) (*Signer, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok || !usable(public) {
		return nil, fmt.Errorf("cannot sign with this key: %w", ErrKey)
	}
	id, err := KeyID(public)
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, id: id}, nil
}

// KeyID returns the ID of the signer's key.
func (s *Signer) KeyID() string { return s.id }

// Sign sets the digest and signature headers of a request with this body. The request must be sent with the same host.
// created has a precision of seconds. It may be in the future for a request that is sent later.
func (s *Signer) Sign(request *http.Request, body []byte, created time.Time) error {
	host := request.Host
	if host == "" {
		host = request.URL.Host
	}
	path, query := pathAndQuery(request.URL)
	message := Message{
		Method: request.Method, Authority: Authority(request.URL.Scheme, host), Path: path, Query: query,
		Header: request.Header,
	}
	if message.Method == "" {
		message.Method = http.MethodGet
	}
	request.Header.Set(DigestHeader, Digest(body))
	input := Input{Components: message.required()}
	// None of these values needs an escape.
	input.parameters = fmt.Sprintf(`("%s");created=%d;nonce="%s";keyid="%s";alg="%s"`,
		strings.Join(input.Components, `" "`), created.Unix(), nonce(), s.id, Algorithm)
	base, err := message.Base(input)
	if err != nil {
		return fmt.Errorf("cannot sign a request: %w", err)
	}
	signature, err := s.signText(base)
	if err != nil {
		return fmt.Errorf("cannot sign a request: %w", err)
	}
	request.Header.Set(InputHeader, Label+"="+input.parameters)
	request.Header.Set(SignatureHeader, Label+"=:"+base64.StdEncoding.EncodeToString(signature)+":")
	return nil
}

func (s *Signer) signText(text string) ([]byte, error) {
	sum := sha512.Sum512([]byte(text))
	return s.key.Sign(rand.Reader, sum[:], pss)
}

func nonce() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // rand.Read never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}
