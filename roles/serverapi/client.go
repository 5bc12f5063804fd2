package serverapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/jsonvalue"

	"github.com/google/uuid"
)

// DefaultTimeout is the timeout of a request without Options.Timeout.
const DefaultTimeout = 10 * time.Second

// The limits of an answer. Anybody may answer in a server's place, and an answer must not fill a device's memory.
const (
	maxAnswer  = 16 << 20 // bytes of a 200
	maxRefusal = 64 << 10 // bytes read of any other answer

	maxRedirects = 3
)

// Limits are the limits of JSON in answers, and in the bodies that the server reads. A view of the example has some 20
// values; the server refuses configurations that nest deeper than 128 levels.
var Limits = jsonvalue.Limits{Depth: 128 + 2, Values: 100_000}

// The plausible times of a registration, in seconds since 1970: 2000 to 2099. The roles' confdb-schema accepts all of
// them as "registered".
const (
	earliestRegistration = 946_684_800
	latestRegistration   = 4_102_434_000
)

// Options are options of NewClient. The zero value is ready for use.
type Options struct {
	// Timeout is the time for each request, from connecting to the last byte of the answer. Zero means
	// DefaultTimeout, and a negative value means that only the context limits it.
	Timeout time.Duration
	// Transport sends the requests. Nil means the client's own transport, with the proxies of the environment. Wrap a
	// transport in another one to sign requests or to add to them.
	Transport http.RoundTripper
	// UserAgent identifies the caller in the server's log; "" means "aspects-poc".
	UserAgent string
}

// A Client talks to a fleet server. It is safe for concurrent use.
//
// A refusal by the server is an *Error. Any other failure, such as no connection, a deadline, or an answer that is
// not a fleet server's, is another error that wraps its cause.
type Client struct {
	base    string // without a slash at the end
	http    *http.Client
	timeout time.Duration
	agent   string
}

// NewClient returns a client of the server at base, such as "http://127.0.0.1:8000". A path is allowed, for a server
// behind a proxy. NewClient sends nothing. The error is for an invalid address.
func NewClient(base string, options Options) (*Client, error) {
	normal, err := ParseURL(base)
	if err != nil {
		return nil, err
	}
	client := &Client{
		base:    normal,
		http:    &http.Client{Transport: options.Transport, CheckRedirect: stay},
		timeout: options.Timeout,
		agent:   options.UserAgent,
	}
	if client.http.Transport == nil {
		client.http.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	if client.timeout == 0 {
		client.timeout = DefaultTimeout
	}
	if client.agent == "" {
		client.agent = "aspects-poc"
	}
	return client, nil
}

// stay returns an error for a redirect to another server. Only server-url decides which server gets the device's
// requests.
func stay(request *http.Request, earlier []*http.Request) error {
	from, to := earlier[0].URL, request.URL
	switch {
	case from.Scheme != to.Scheme || !strings.EqualFold(from.Host, to.Host):
		return fmt.Errorf("it redirects to %s://%s, which is another server", to.Scheme, to.Host)
	case len(earlier) > maxRedirects:
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	}
	return nil
}

// ParseURL returns the address of a fleet server without a slash at the end. It returns an error if the scheme is not
// http or https, if there is no host, or if there is a user, a query or a fragment.
func ParseURL(base string) (string, error) {
	refuse := func(reason string) (string, error) {
		return "", fmt.Errorf("cannot use %q as server URL: %s", base, reason)
	}
	parsed, err := url.Parse(base)
	switch {
	case err != nil:
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return refuse(err.Error())
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return refuse(`it must begin with "http://" or "https://"`)
	case parsed.Hostname() == "":
		return refuse("it names no host")
	case parsed.User != nil:
		return refuse("it must not carry a user name or password")
	case parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		return refuse(`it must not have a part after "?" or "#"`)
	}
	return strings.TrimRight(parsed.String(), "/"), nil
}

// URL returns the server's address, without a slash at the end.
func (c *Client) URL() string { return c.base }

// CloseIdleConnections closes unused connections.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// Register registers the device. Our server recognises a registered device by its public key; the original's server
// gives a new UUID with each call. So store the answer.
func (c *Client) Register(ctx context.Context, request RegisterRequest) (RegisterResponse, error) {
	var answer RegisterResponse
	_, err := c.do(ctx, "register", http.MethodPost, "/register/", request, &answer)
	switch {
	case err != nil:
	case answer.UUID == uuid.Nil:
		err = c.unexpected("register", errors.New(`it has no "uuid"`))
	case answer.Registered < earliestRegistration || answer.Registered > latestRegistration:
		err = fmt.Errorf("cannot register: the clock of %s is wrong: its time of the registration is %d s after 1970", c.base, answer.Registered)
	}
	if err != nil {
		return RegisterResponse{}, err
	}
	return answer, nil
}

// A PollAnswer is the server's answer to a poll.
type PollAnswer struct {
	// Offer is the target to apply; nil if there is nothing to do. Its numbers are json.Number, and null means unset.
	Offer *Offer
	// Interval is the time that the server wants between polls; zero if it names none.
	Interval time.Duration
	// Waited is how long the server would have held the poll; zero if it does not hold polls.
	Waited time.Duration
	// Later is the later sequence that the server has, if it ignored the report for that reason; otherwise 0.
	Later int64
	// Proof is the header PollProof; "" from servers that send none. Sent is the request of the proof, or nil.
	Proof string
	Sent  *http.Request
}

// Poll reports the device's configuration and the results of targets. A nil Config is reported as an empty one. With
// a wait, the server may hold its answer until there is an offer; the timeout grows by the wait. Check errors with
// IsNotRegistered, and with IsProblem for ProblemPending, ProblemRevoked and the problems of signatures.
func (c *Client) Poll(ctx context.Context, request PollRequest, wait time.Duration) (PollAnswer, error) {
	if request.Config == nil {
		request.Config = Config{}
	}
	header := http.Header{}
	wait = min(wait.Truncate(time.Second), MaxWait*time.Second)
	if wait > 0 {
		header.Set("Prefer", fmt.Sprintf("wait=%d", wait/time.Second))
	}
	var offer Offer
	response, err := c.Do(ctx, Call{Op: "poll", Method: http.MethodPost, Path: "/poll/", Header: header, Longer: max(wait, 0),
		Body: request, Answer: &offer})
	if err != nil {
		return PollAnswer{}, err
	}
	answer := PollAnswer{
		Interval: seconds(response.Header.Get(PollInterval)),
		Waited:   seconds(strings.TrimPrefix(response.Header.Get("Preference-Applied"), "wait=")),
	}
	if answer.Proof = response.Header.Get(PollProof); answer.Proof != "" {
		answer.Sent = response.Request
	}
	if later, err := strconv.ParseInt(response.Header.Get(ReportSequence), 10, 64); err == nil {
		answer.Later = later
	}
	if response.StatusCode == http.StatusNoContent {
		return answer, nil
	}
	if _, err := c.config("poll", Document{Config: offer.Config}); err != nil {
		return PollAnswer{}, err
	}
	answer.Offer = &offer
	return answer, nil
}

// seconds parses a number of seconds. It returns zero for another text.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// Target returns the target for all devices.
func (c *Client) Target(ctx context.Context) (Config, error) {
	var answer Document
	if _, err := c.do(ctx, "get the target", http.MethodGet, "/target-config/", nil, &answer); err != nil {
		return nil, err
	}
	return c.config("get the target", answer)
}

// SetTarget replaces the target for all devices. It returns the target as the server stored it.
func (c *Client) SetTarget(ctx context.Context, config Config) (Config, error) {
	if config == nil {
		config = Config{}
	}
	var answer Document
	_, err := c.do(ctx, "set the target", http.MethodPut, "/target-config/", Document{Config: config}, &answer)
	if err != nil {
		return nil, err
	}
	return c.config("set the target", answer)
}

// State returns what the server knows about a device. Check the error with IsNotRegistered.
func (c *Client) State(ctx context.Context, device uuid.UUID) (State, error) {
	var answer State
	if _, err := c.do(ctx, "get the state", http.MethodGet, "/state/"+device.String()+"/", nil, &answer); err != nil {
		return State{}, err
	}
	return answer, nil
}

// do sends one request and decodes a 200 answer. It returns the status if there is no error.
func (c *Client) do(ctx context.Context, op, method, path string, body, answer any) (int, error) {
	response, err := c.Do(ctx, Call{Op: op, Method: method, Path: path, Body: body, Answer: answer})
	if err != nil {
		return 0, err
	}
	return response.StatusCode, nil
}

// A Call is one request. Packages with calls of their own, such as operator, send them with Do and Stream.
type Call struct {
	Op           string // the act, for errors: "list the devices"
	Method, Path string
	Header       http.Header   // additional
	Longer       time.Duration // for how long the server may hold its answer
	Body         any           // nil for none
	Answer       any           // where Do decodes the answer to, with numbers as json.Number; nil to ignore the answer
}

// Do sends a request and decodes a 200 answer. The body of the returned response has been read.
func (c *Client) Do(ctx context.Context, call Call) (*http.Response, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout+call.Longer)
		defer cancel()
	}
	response, err := c.send(ctx, call, "application/json, application/problem+json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // the body is already read
	content, err := c.read(call.Op, response)
	if err != nil || response.StatusCode == http.StatusNoContent || call.Answer == nil {
		return response, err
	}
	if err := decode(content, call.Answer); err != nil {
		return nil, c.unexpected(call.Op, errors.New(clip(err.Error()))) // the error may quote the answer
	}
	return response, nil
}

// Stream sends a request whose answer does not end. Only the context ends it. The caller closes the answer.
func (c *Client) Stream(ctx context.Context, call Call) (io.ReadCloser, error) {
	response, err := c.send(ctx, call, "text/event-stream, application/problem+json")
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer func() { _ = response.Body.Close() }() // the body is already read
	if _, err = c.read(call.Op, response); err == nil {
		err = c.unexpected(call.Op, errors.New("it is empty"))
	}
	return nil, err
}

// send sends a request and returns the answer with any status. The caller closes its body.
func (c *Client) send(ctx context.Context, call Call, accept string) (*http.Response, error) {
	var reader io.Reader
	if call.Body != nil {
		encoded, err := jsonvalue.Encode(call.Body)
		if err != nil {
			return nil, fmt.Errorf("cannot %s: %w", call.Op, err)
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, call.Method, c.base+call.Path, reader)
	if err != nil {
		return nil, fmt.Errorf("cannot %s: %w", call.Op, err)
	}
	for name, values := range call.Header {
		request.Header[name] = values
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", c.agent)
	if call.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err == nil {
		return response, nil
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // its text would repeat method and address
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return nil, fmt.Errorf("cannot %s: %s speaks http, not https; did you mean http://%s?", call.Op, c.base,
			strings.TrimPrefix(c.base, "https://"))
	}
	late := ""
	if errors.Is(err, context.DeadlineExceeded) {
		late = " in time"
	}
	return nil, fmt.Errorf("cannot %s: no answer from %s%s: %w", call.Op, c.base, late, err)
}

// read reads an answer within the limits. An answer other than 200 and 204 is an *Error.
func (c *Client) read(op string, response *http.Response) ([]byte, error) {
	limit := maxAnswer
	if response.StatusCode != http.StatusOK {
		limit = maxRefusal
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot %s: the answer of %s broke off: %w", op, c.base, err)
	case response.StatusCode == http.StatusNoContent:
		return nil, nil
	case response.StatusCode != http.StatusOK:
		return nil, newError(op, c.base, response, content)
	case len(content) > limit:
		return nil, c.unexpected(op, fmt.Errorf("it is larger than %d bytes", limit))
	}
	return content, nil
}

// decode decodes an answer within the limits. Numbers become json.Number.
func decode(content []byte, answer any) error {
	if err := Limits.Check(content); err != nil {
		return err
	}
	return jsonvalue.Decode(content, answer)
}

// config returns an error for an answer without a configuration, because that may mean anything else than an empty
// target.
func (c *Client) config(op string, answer Document) (Config, error) {
	if answer.Config == nil {
		return nil, c.unexpected(op, errors.New(`it has no "config"`))
	}
	return answer.Config, nil
}

func (c *Client) unexpected(op string, reason error) error {
	return fmt.Errorf("cannot %s: the answer of %s is not a fleet server's: %w", op, c.base, reason)
}
