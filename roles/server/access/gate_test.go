package access_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/access/storetest"
	"aspects-poc/roles/server/clock/clocktest"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// keyOf makes the keys of the tests' devices, once.
var keyOf = func() func(name string) *rsa.PrivateKey {
	var mu sync.Mutex
	keys := map[string]*rsa.PrivateKey{}
	return func(name string) *rsa.PrivateKey {
		mu.Lock()
		defer mu.Unlock()
		if keys[name] == nil {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				panic(err)
			}
			keys[name] = key
		}
		return keys[name]
	}
}()

func publicPEM(t testing.TB, key *rsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func signerOf(t testing.TB, name string) *sign.Signer {
	t.Helper()
	signer, err := sign.NewSigner(keyOf(name))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// A world is a gate with what it knows, behind a small server: POST /poll/ for devices, /register/, and GET and PUT
// /target/ for operators. The bodies have a "uuid" and a "public-key-rsa".
type world struct {
	t       testing.TB
	gate    *access.Gate
	tokens  *storetest.Memory
	base    string
	mu      sync.Mutex // guards the fields below
	clock   *clocktest.Clock
	holders map[uuid.UUID]access.Holder
	asked   int    // look-ups of keys
	reads   int    // bodies that were read
	during  func() // is called when a look-up has its answer
}

func newWorld(t testing.TB, options access.Options) *world {
	t.Helper()
	w := &world{t: t, tokens: &storetest.Memory{}, clock: clocktest.At(noon), holders: map[uuid.UUID]access.Holder{}}
	options.Devices, options.Tokens, options.Now = w, w.tokens, w.clock.Now
	gate, err := access.New(options)
	if err != nil {
		t.Fatal(err)
	}
	w.gate = gate
	app := echo.New()
	app.HTTPErrorHandler = w.answerError
	app.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Set("Date", w.clock.Now().UTC().Format(http.TimeFormat))
			return next(c)
		}
	})
	app.POST("/poll/", w.poll, gate.Require(access.Poll, w.read))
	app.POST("/register/", w.register, gate.Require(access.Register, w.read))
	app.GET("/target/", w.author, gate.Require(access.Read, w.read))
	app.PUT("/target/", w.author, gate.Require(access.Write, w.read))
	app.GET("/open/", w.author, gate.Require(access.Anyone, w.read))
	started := httptest.NewServer(app)
	t.Cleanup(started.Close)
	w.base = started.URL
	return w
}

// Holder implements access.Devices.
func (w *world) Holder(_ context.Context, keyID string) (access.Holder, error) {
	w.mu.Lock()
	w.asked++
	found, err := access.Holder{}, access.ErrUnknownDevice
	for _, holder := range w.holders {
		if holder.KeyID == keyID {
			found, err = holder, nil
		}
	}
	w.mu.Unlock()
	if w.during != nil {
		w.during()
	}
	return found, err
}

// HolderByID implements access.Devices.
func (w *world) HolderByID(_ context.Context, id uuid.UUID) (access.Holder, error) {
	found, ok := w.holder(id)
	if w.during != nil {
		w.during()
	}
	if !ok {
		return access.Holder{}, access.ErrUnknownDevice
	}
	return found, nil
}

func (w *world) holder(id uuid.UUID) (access.Holder, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	holder, ok := w.holders[id]
	return holder, ok
}

func (w *world) set(holder access.Holder) {
	w.mu.Lock()
	w.holders[holder.ID] = holder
	w.mu.Unlock()
	w.gate.Forget(holder.ID)
}

// add makes a device known that has a name's key, and returns it.
func (w *world) add(name string) access.Holder {
	w.t.Helper()
	holder := access.Holder{ID: uuid.New(), KeyID: signerOf(w.t, name).KeyID(), PublicKey: publicPEM(w.t, keyOf(name)),
		Status: serverapi.Active}
	w.set(holder)
	return holder
}

func (w *world) read(c echo.Context) ([]byte, error) {
	w.mu.Lock()
	w.reads++
	w.mu.Unlock()
	text, err := io.ReadAll(c.Request().Body)
	c.Request().Body = io.NopCloser(bytes.NewReader(text)) // for the handler
	return text, err
}

type body struct {
	UUID      uuid.UUID `json:"uuid"`
	PublicKey string    `json:"public-key-rsa"`
}

func (w *world) poll(c echo.Context) error {
	var request body
	if err := json.NewDecoder(c.Request().Body).Decode(&request); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := w.gate.Speaks(ctx, access.From(ctx), request.UUID); err != nil {
		return err
	}
	holder, ok := w.holder(request.UUID)
	if !ok {
		return c.String(http.StatusBadRequest, "not registered")
	}
	if err := access.Refused(holder.Status); err != nil {
		return err
	}
	return c.String(http.StatusOK, "fine")
}

func (w *world) register(c echo.Context) error {
	content, err := w.read(c)
	if err != nil {
		return err
	}
	var request body
	if err := json.Unmarshal(content, &request); err != nil {
		return err
	}
	keyID, err := w.gate.Prove(c.Request(), request.PublicKey)
	if errors.Is(err, access.ErrNoKey) {
		return c.String(http.StatusUnprocessableEntity, "no key")
	}
	if err != nil {
		return err
	}
	return c.String(http.StatusOK, "key "+keyID)
}

func (w *world) author(c echo.Context) error {
	return c.String(http.StatusOK, "by "+access.From(c.Request().Context()).Author())
}

func (w *world) answerError(err error, c echo.Context) {
	var refusal *access.Refusal
	if !errors.As(err, &refusal) {
		w.t.Errorf("%s %s: %v", c.Request().Method, c.Request().URL, err)
		_ = c.String(http.StatusInternalServerError, err.Error())
		return
	}
	refusal.Headers(c.Response().Header())
	text, err := json.Marshal(serverapi.Problem{Type: refusal.Type, Status: refusal.Status, Detail: refusal.Detail})
	if err != nil {
		w.t.Error(err)
	}
	_ = c.Blob(refusal.Status, "application/problem+json", text)
}

// An answer is the status with the problem's type, or the text of a good one.
type answer struct {
	status int
	kind   string // of the problem, without what all have in common
	text   string // detail of the problem, or the body
	header http.Header
}

// send sends a request as it is.
func (w *world) send(request *http.Request) answer {
	w.t.Helper()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	content, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		w.t.Fatal(err)
	}
	got := answer{status: response.StatusCode, text: string(content), header: response.Header}
	var problem serverapi.Problem
	if json.Unmarshal(content, &problem) == nil {
		got.text = problem.Detail
		got.kind = strings.TrimPrefix(problem.Type, "urn:aspects-poc:problem:")
	}
	return got
}

func (w *world) request(method, path, body string) *http.Request {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return request
}

// ask returns the error of the check for a right.
func (w *world) ask(right access.Right, request *http.Request) error {
	c := echo.New().NewContext(request, httptest.NewRecorder())
	return w.gate.Require(right, w.read)(func(echo.Context) error { return nil })(c)
}

// signed returns a poll of a device, signed now with a name's key.
func (w *world) signed(name string, id uuid.UUID) *http.Request {
	w.t.Helper()
	return w.signedAt(name, id, w.clock.Now())
}

func (w *world) signedAt(name string, id uuid.UUID, at time.Time) *http.Request {
	w.t.Helper()
	body := pollBody(id)
	request := w.request(http.MethodPost, "/poll/", body)
	if err := signerOf(w.t, name).Sign(request, []byte(body), at); err != nil {
		w.t.Fatal(err)
	}
	return request
}

func pollBody(id uuid.UUID) string { return `{"uuid":"` + id.String() + `"}` }

// again returns a request that can be sent once more, byte by byte the same.
func (w *world) again(request *http.Request) *http.Request {
	w.t.Helper()
	copied := request.Clone(w.t.Context())
	body, err := request.GetBody()
	if err != nil {
		w.t.Fatal(err)
	}
	copied.Body = body
	return copied
}

func withBody(request *http.Request, body string) *http.Request {
	request.Body = io.NopCloser(bytes.NewReader([]byte(body)))
	request.ContentLength = int64(len(body))
	return request
}
