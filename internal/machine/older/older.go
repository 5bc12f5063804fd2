// Package older makes an imitated snapd 2.77.1 answer like an earlier release, from 2.68 on. Its main type is Layer,
// which translates requests on the two sockets to 2.77 and answers to the release.
//
//	layer := older.New("2.68.3")
//	w, err := world.Open("", changes.Options{Runner: layer.Hooks(runner)})
//	layer.Over(w, server.Handler(), server.SnapHandler()) // layer.Main and layer.Snaps answer now
//
// The answers of 2.68.3 follow recordings; those of other releases follow their sources. The code states for each difference which
// releases have it. It does not use the tables of packages snapd and snapctl, so that tests compare the two. A release before 2.68 has
// no confdb.
//
// Not imitated: the loss of other schemas' data at the first write to a confdb-schema (up to 2.76), load-view hooks
// of REST reads during another write (up to 2.70), and a second write through snapctl in 2.68 and 2.69.
package older

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/kit/world"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/snapctlcmd"
	"aspects-poc/internal/snapdhttp"
)

// A release is a version of snapd.
type release struct {
	text  string // in snapd's notation
	minor int    // MINOR of 2.MINOR; 77 if the text has none
}

const newest = 77

func releaseOf(text string) release {
	version, ok := snapdhttp.ParseVersion(text)
	if !ok || version.Major != 2 {
		return release{text, newest}
	}
	return release{text, version.Minor}
}

// before reports whether the release is before 2.MINOR.
func (r release) before(minor int) bool { return r.minor < minor }

func (r release) flag() string {
	if r.before(69) {
		return "confdbs"
	}
	return "confdb"
}

func (r release) snapctl() snapctlcmd.Generation {
	return snapctlcmd.GenerationOf(r.text, snapdhttp.Version{Major: 2, Minor: r.minor})
}

// A Layer answers like a release, which can be changed. It is safe for concurrent use.
type Layer struct {
	world       *world.World
	main, snaps http.Handler
	late        sync.WaitGroup // writes that were refused but are carried out

	mu      sync.Mutex // guards what follows
	release release
	shown   map[string]map[string]any // replaced members of changes, by ID
	hooks   map[string]string         // snaps of running hooks, by cookie
}

// New returns a Layer with nothing below. Call Over before it serves requests.
func New(version string) *Layer {
	return &Layer{release: releaseOf(version), shown: map[string]map[string]any{}, hooks: map[string]string{}}
}

// Over sets the machine and its handlers for the two sockets.
func (l *Layer) Over(w *world.World, main, snaps http.Handler) {
	l.world, l.main, l.snaps = w, main, snaps
}

// SetVersion changes the release, as a refresh does.
func (l *Layer) SetVersion(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.release = releaseOf(text)
}

func (l *Layer) current() release {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.release
}

// Wait waits for writes that continue after their answer. Close the machine first.
func (l *Layer) Wait() { l.late.Wait() }

// Hooks returns a runner that skips hooks unknown to the release.
func (l *Layer) Hooks(runner changes.Runner) changes.Runner {
	return changes.RunnerFunc(func(ctx context.Context, hook changes.Hook) ([]byte, error) {
		kind, _, ofView := strings.Cut(hook.Name, "-view-")
		if ofView && l.current().before(69) && kind != "change" && kind != "save" {
			return nil, nil
		}
		l.mu.Lock()
		l.hooks[hook.Cookie] = hook.Snap.Instance()
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.hooks, hook.Cookie)
		}()
		return runner.RunHook(ctx, hook)
	})
}

// An answer is the answer of a handler.
type answer struct {
	status int
	body   map[string]any
}

func sync200(result any) answer {
	return answer{http.StatusOK, map[string]any{"type": "sync", "status-code": 200, "status": "OK", "result": result}}
}

func refusal(status int, kind, message string) answer {
	result := map[string]any{"message": message}
	if kind != "" {
		result["kind"] = kind
	}
	return answer{status, map[string]any{"type": "error", "status-code": status, "status": http.StatusText(status), "result": result}}
}

func (a answer) send(w http.ResponseWriter) {
	text, err := json.Marshal(a.body)
	if err != nil {
		panic(err) // it was JSON before
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(append(text, '\n')) // the client may be gone
}

func (a answer) result() map[string]any {
	result, _ := a.body["result"].(map[string]any)
	return result
}

// refused returns the message of a refusal, or "".
func (a answer) refused() string {
	if a.body["type"] != "error" {
		return ""
	}
	message, _ := a.result()["message"].(string)
	return message
}

// ask sends r, with another query and body, to the handler below.
func ask(below http.Handler, r *http.Request, query url.Values, body []byte) answer {
	r = r.Clone(r.Context())
	r.URL.RawQuery, r.RequestURI = query.Encode(), ""
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	recorder := httptest.NewRecorder()
	below.ServeHTTP(recorder, r)
	a := answer{status: recorder.Code}
	if err := jsonvalue.DecodeFirst(recorder.Body.Bytes(), &a.body); err != nil {
		panic(err) // the handler below answers in JSON
	}
	return a
}
