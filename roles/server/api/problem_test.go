package api_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"aspects-poc/roles/internal/rolestest"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/sqlite/sqlitetest"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

func TestProblemOf(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		detail string
	}{
		{fleet.ErrUnknownDevice, 400, "Agent not registered"},
		{fleet.ErrExists, 503, "The server drew a UUID that is taken; try again"},
		{fleet.ErrPendingFull, 503, "As many devices wait for approval as the server takes; an operator " +
			"has to approve or delete some (GET /devices/?state=pending), or run the server with a higher --max-pending. A device with " +
			"an enrolment token does not wait"},
		{fleet.ErrUnknownLayer, 404, "There is no such layer"},
		{fleet.ErrUnknownSecret, 404, "There is no such secret"},
		{fleet.ErrUnknownKey, 404, "No removed device had this key when it was revoked"},
		{fleet.ErrManyRevoked, 409, "The server remembers as many keys of removed, revoked devices as it may; allow those that are " +
			"no danger any more (GET and DELETE /revoked-keys/), then delete this device"},
		{fleet.ErrUnknownEntry, 404, "The history has no such revision"},
		{fleet.ErrNoTarget, 422, "That revision changed a device's labels or name, or moved a release, and no target"},
		{fleet.ErrUnknownRelease, 404, "There is no such release"},
		{fleet.ErrReleasing, 409, "A release is active"},
		{&fleet.ReleaseError{ID: 7, Text: "release 7 is active"}, 409, "Release 7 is active"},
		{fleet.ErrNoMove, 409, "The release does not move on that"},
		{&fleet.MoveError{Text: "release 7 has ended"}, 409, "Release 7 has ended"},
		{fleet.ErrBadCursor, 422, "after is no place in the list: take it from next"},
		{fleet.ErrScope, 403, "This concerns more than what your token is for"},
		{&fleet.ScopeError{Scope: fleet.Scope{"site": "a"}, Text: "everyone is for all devices"}, 403, "This concerns more than what your token " +
			"is for: everyone is for all devices, and the scope is site=a; it needs a token without a scope, or with another one"},
		{fleet.ErrStale, 412, "It has been changed in between"},
		{&fleet.StaleError{Revision: 7}, 412, "The layer has changed meanwhile: it has revision 7 by now"},
		{fleet.ErrTarget, 422, "The target cannot be taken"},
		{&fleet.TargetError{Path: "a.b", Text: "cannot"}, 422, "cannot"},
		{&fleet.LayerError{Field: "selector", Text: "is odd"}, 422, "selector is odd"},
		{&fleet.LabelError{Name: "a", Err: errors.New("odd")}, 422, "labels.a cannot be taken: odd"},
		{fleet.ErrPending, 403, "An operator has yet to approve this device"},
		{fleet.ErrNameTaken, 409, "Another device has this name"},
		{fleet.ErrRevoked, 403, "An operator has turned this device away"},
		{fmt.Errorf("x: %w", &access.Refusal{Status: 401, Detail: "who?"}), 401, "who?"},
		{fleet.ErrClosed, 503, "The server is stopping"},
		{fleet.ErrUnavailable, 503, "The server cannot reach its state at present; its log says why"},
		{fleet.ErrOutage, 503, "The server cannot reach its state at present; its log says why"},
		{context.Canceled, 499, "The request was given up"},
		{context.DeadlineExceeded, 503, "The server is too busy"},
		{echo.ErrNotFound, 404, "There is nothing at this path; /docs/ shows what there is"},
		{errors.New("disk on fire"), 503, "The server cannot use its state; its log says why"},
	} {
		if status, detail := api.ProblemOf(test.err); status != test.status || detail != test.detail {
			t.Errorf("%v: %d %s", test.err, status, detail)
		}
	}
}

// TestEveryReasonHasARow reads the reasons of refusal from the source.
func TestEveryReasonHasARow(t *testing.T) {
	files, err := filepath.Glob("../fleet/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, object := range file.Scope.Objects {
			if (object.Kind == ast.Var || object.Kind == ast.Con) && strings.HasPrefix(name, "Err") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	want := []string{"ErrBadCursor", "ErrBadSignature", "ErrClosed", "ErrExists", "ErrManyRevoked", "ErrNameTaken", "ErrNoMove", "ErrNoTarget", "ErrNotSigned", "ErrOutage",
		"ErrPending", "ErrPendingFull", "ErrReleasing", "ErrRevoked", "ErrScope", "ErrStale", "ErrTarget", "ErrUnavailable",
		"ErrUnknownDevice", "ErrUnknownEntry", "ErrUnknownKey", "ErrUnknownLayer", "ErrUnknownRelease", "ErrUnknownSecret"}
	if !slices.Equal(names, want) {
		t.Errorf("package fleet has %v: give each a row in problemTable, and in TestProblemOf", names)
	}
}

// failing is a store that cannot write.
type failing struct{ fleet.Store }

func (failing) Report(context.Context, uuid.UUID, fleet.Report) (int64, error) {
	return 0, errors.New(`cannot store a report in "/secret/server.db": the disk is full`)
}

func (failing) Layer(context.Context, fleet.LayerName) (fleet.Layer, error) { panic("a bug") }

func TestStoreTrouble(t *testing.T) {
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // a test's own
	var log rolestest.Buffer
	app := surface(t, failing{store}, &log)
	recorder := httptest.NewRecorder()
	body := `{"uuid":"` + exampleID + `","config":{"a":1}}`
	app.ServeHTTP(recorder, httptest.NewRequest("POST", "/poll/", strings.NewReader(body)))
	want := `{"title":"Service Unavailable","status":503,"detail":"The server cannot use its state; its log says why"}`
	if recorder.Code != 503 || recorder.Body.String() != want || recorder.Header().Get("Retry-After") != "30" {
		t.Error(recorder.Code, recorder.Header(), recorder.Body)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "the disk is full") {
		t.Error("the log does not say why: " + log.String())
	}
	recorder = httptest.NewRecorder()
	app.ServeHTTP(recorder, httptest.NewRequest("GET", "/target-config/", nil))
	if recorder.Code != 500 || strings.Contains(recorder.Body.String(), "a bug") {
		t.Error(recorder.Code, recorder.Body)
	}
	if !strings.Contains(log.String(), "a handler panicked") || !strings.Contains(log.String(), "a bug") {
		t.Error("the log does not tell the panic: " + log.String())
	}
}

// unreachable is a store whose database has gone away.
type unreachable struct{ fleet.Store }

func (unreachable) Layer(context.Context, fleet.LayerName) (fleet.Layer, error) {
	return fleet.Layer{}, fmt.Errorf("cannot read a layer: %w: dial tcp 192.0.2.1:5432", fleet.ErrOutage)
}

// TestUnreachable has callers come again soon, and tells them nothing of where the database is. The log of requests does
// not repeat with each what the store has told.
func TestUnreachable(t *testing.T) {
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // a test's own
	var log rolestest.Buffer
	app := surface(t, unreachable{store}, &log)
	recorder := httptest.NewRecorder()
	app.ServeHTTP(recorder, httptest.NewRequest("GET", "/target-config/", nil))
	want := `{"title":"Service Unavailable","status":503,"detail":"The server cannot reach its state at present; its log says why"}`
	if recorder.Code != 503 || recorder.Body.String() != want || recorder.Header().Get("Retry-After") != "5" {
		t.Error(recorder.Code, recorder.Header(), recorder.Body)
	}
	if strings.Contains(log.String(), "level=ERROR") || strings.Contains(log.String(), "192.0.2.1:5432") || !strings.Contains(log.String(), "status=503") {
		t.Error("the log has: " + log.String())
	}
}

// full is a store without room.
type full struct {
	fleet.Store
	emptied atomic.Bool
}

func (f *full) Check(ctx context.Context) error {
	if f.emptied.Load() {
		return f.Store.Check(ctx)
	}
	return fmt.Errorf("cannot write %q: %w", "/secret/server.db", syscall.ENOSPC)
}

// TestNotReady asks for readiness while nothing could be written, and when it can again.
func TestNotReady(t *testing.T) {
	store, err := sqlitetest.Open(t.Context(), filepath.Join(t.TempDir(), "server.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }() // a test's own
	var log rolestest.Buffer
	disk := &full{Store: store}
	app := surface(t, disk, &log)
	for _, method := range []string{"GET", "HEAD"} {
		recorder := httptest.NewRecorder()
		app.ServeHTTP(recorder, httptest.NewRequest(method, "/readyz", nil))
		if recorder.Code != 503 || recorder.Header().Get("Retry-After") != "30" || strings.Contains(recorder.Body.String(), "secret") {
			t.Error(method, recorder.Code, recorder.Header(), recorder.Body)
		}
	}
	if !strings.Contains(log.String(), "no space left") {
		t.Error("the log does not say why: " + log.String())
	}
	disk.emptied.Store(true)
	recorder := httptest.NewRecorder()
	app.ServeHTTP(recorder, httptest.NewRequest("GET", "/readyz", nil))
	if recorder.Code != 200 {
		t.Error(recorder.Code, recorder.Body)
	}
}

// TestGivenUp has a caller who leaves: nothing is answered, and the log does not call it the server's failure.
func TestGivenUp(t *testing.T) {
	var log rolestest.Buffer
	app := newServer(t, io.MultiWriter(&log)).Config.Handler
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/target-config/", nil).WithContext(ctx))
	if !strings.Contains(log.String(), "level=INFO") || !strings.Contains(log.String(), "status=499") {
		t.Error(log.String())
	}
}

func TestCapital(t *testing.T) {
	for text, want := range map[string]string{"": "", "a device": "A device", "żaba": "Żaba", "1 layer": "1 layer", "\xff": "\xff"} {
		if got := api.Capital(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
