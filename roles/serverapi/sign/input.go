package sign

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// MaxField is the largest size of each of a signature's three headers, in bytes. It is checked before anything is
// parsed.
const MaxField = 2048

// maxNonce is the largest size of a nonce in bytes; 16 random bytes have 22 characters.
const maxNonce = 64

// An Input has the signature of a request and its Signature-Input.
type Input struct {
	Components []string // such as "@method" and "content-digest"
	Created    time.Time
	Expires    time.Time // zero if the request has none
	Nonce      string
	KeyID      string
	Signature  []byte
	parameters string // the signed form: the value of "@signature-params"
}

// ErrUnsigned means that a request has no signature.
var ErrUnsigned = errors.New("the request is not signed")

// ParseInput parses the signature of a request. The error is ErrUnsigned if there is none; other errors say what is
// wrong with it.
func ParseInput(header http.Header) (Input, error) {
	inputs, signatures := header.Values(InputHeader), header.Values(SignatureHeader)
	if len(inputs) == 0 && len(signatures) == 0 {
		return Input{}, ErrUnsigned
	}
	stated, err := only(InputHeader, inputs)
	if err != nil {
		return Input{}, err
	}
	given, err := only(SignatureHeader, signatures)
	if err != nil {
		return Input{}, err
	}
	list, ok := stated.(httpsfv.InnerList)
	if !ok {
		return Input{}, fmt.Errorf("%s: %q is no list of components", InputHeader, Label)
	}
	item, ok := given.(httpsfv.Item)
	signature, isBytes := item.Value.([]byte)
	if !ok || !isBytes || len(signature) == 0 {
		return Input{}, fmt.Errorf("%s: %q is no byte sequence", SignatureHeader, Label)
	}
	input := Input{Signature: signature}
	for _, component := range list.Items {
		name, ok := component.Value.(string)
		if !ok || len(component.Params.Names()) > 0 {
			return Input{}, fmt.Errorf("%s: components are names without parameters here", InputHeader)
		}
		if slices.Contains(input.Components, name) {
			return Input{}, fmt.Errorf("%s: %q stands there twice", InputHeader, name)
		}
		input.Components = append(input.Components, name)
	}
	if err := input.parse(list.Params); err != nil {
		return Input{}, fmt.Errorf("%s: %w", InputHeader, err)
	}
	// The signature covers the canonical form of the received parameters (RFC 9421, section 2.3).
	input.parameters, err = httpsfv.Marshal(httpsfv.List{list})
	return input, err
}

// only returns the member with the profile's label. It returns an error for any other member: with several signatures,
// two programs could check different ones.
func only(name string, values []string) (httpsfv.Member, error) {
	length := 0
	for _, value := range values {
		length += len(value)
	}
	switch {
	case length == 0:
		return nil, fmt.Errorf("%s is missing", name)
	case length > MaxField:
		return nil, fmt.Errorf("%s must not be longer than %d bytes", name, MaxField)
	}
	dictionary, err := httpsfv.UnmarshalDictionary(values)
	if err != nil {
		return nil, fmt.Errorf("%s is no dictionary of structured fields", name)
	}
	member, ok := dictionary.Get(Label)
	if !ok || len(dictionary.Names()) > 1 || len(values) > 1 || strings.Count(values[0], Label+"=") > 1 {
		return nil, fmt.Errorf("%s must have exactly one signature, labelled %q", name, Label)
	}
	return member, nil
}

// parse parses the parameters. It returns an error for an unknown one, because it may restrict the signature.
func (i *Input) parse(parameters *httpsfv.Params) error {
	for _, name := range parameters.Names() {
		value, _ := parameters.Get(name)
		text, isText := value.(string)
		seconds, isSeconds := value.(int64)
		switch {
		case name == "created" && isSeconds:
			i.Created = time.Unix(seconds, 0)
		case name == "expires" && isSeconds:
			i.Expires = time.Unix(seconds, 0)
		case name == "nonce" && isText && len(text) <= maxNonce:
			i.Nonce = text
		case name == "keyid" && isText:
			i.KeyID = text
		case name == "alg" && text == Algorithm: // without alg the algorithm is the same
		case name == "alg":
			return fmt.Errorf("alg must be %q", Algorithm)
		default:
			return fmt.Errorf("%q is not known here, or has a value that it cannot have", name)
		}
	}
	switch {
	case i.Created.IsZero():
		return errors.New("created is missing")
	case i.Nonce == "":
		return errors.New("nonce is missing")
	case len(i.KeyID) != KeyIDLength:
		return errors.New("keyid must be the base64url of a SHA-256")
	}
	return nil
}

// Covers returns the first required component that the signature does not cover, or "".
func (i Input) Covers(message Message) (missing string) {
	for _, name := range message.required() {
		if !slices.Contains(i.Components, name) {
			return name
		}
	}
	return ""
}
