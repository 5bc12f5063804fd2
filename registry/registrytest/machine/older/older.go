// Package older lets an imitated snapd 2.77.1 answer as another release does, from 2.68 on: a layer over its two sockets
// that puts requests into the words of 2.77 and answers into those of the release.
//
//	layer := older.New("2.68.3")
//	w, err := world.Open(world.Options{Runner: layer.Hooks(runner)})
//	layer.Over(w, server.Handler(), server.SnapHandler()) // layer.Main and layer.Snaps answer now
//
// What 2.68.3 says is recorded; the others follow their sources. It is written as what each release changed, on purpose
// unlike the tables of packages snapd and snapctl: they are to check each other. A release before 2.68 is one that has no
// confdb.
//
// Not imitated: that up to 2.76 the first write to a confdb-schema erases what the others hold, load-view hooks of reads
// over REST up to 2.70 where another write is under way, and what 2.68 and 2.69 do with a second write by snapctl.
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

	"aspects-poc/registry/internal/snapctlcmd"
	"aspects-poc/registry/internal/snapdhttp"
	"aspects-poc/registry/kit/world"
)

// A release is a version of snapd.
type release struct {
	text  string // as snapd writes it
	minor int    // of 2.MINOR; that of 2.77 for a text without one
}

const newest = 77

func releaseOf(text string) release {
	version, ok := snapdhttp.ParseVersion(text)
	if !ok || version.Major != 2 {
		return release{text, newest}
	}
	return release{text, version.Minor}
}

// before tells whether this is a release before 2.MINOR.
func (r release) before(minor int) bool { return r.minor < minor }

func (r release) flag() string {
	if r.before(69) {
		return "confdbs"
	}
	return "confdb"
}

func (r release) snapctl() snapctlcmd.Dialect {
	return snapctlcmd.DialectOf(r.text, snapdhttp.Version{Major: 2, Minor: r.minor})
}

// A Layer answers as a release that can be changed meanwhile. It is safe for concurrent use.
type Layer struct {
	world       *world.World
	main, snaps http.Handler
	late        sync.WaitGroup // writes that were refused and are carried out all the same

	mu      sync.Mutex // guards what follows
	release release
	shown   map[string]map[string]any // members of changes that are shown otherwise, by ID
	hooks   map[string]string         // snaps of the hooks that run, by cookie
}

// New returns a layer with nothing below it yet.
func New(version string) *Layer {
	return &Layer{release: releaseOf(version), shown: map[string]map[string]any{}, hooks: map[string]string{}}
}

// Over puts the layer over a machine and what answers on its two sockets.
func (l *Layer) Over(w *world.World, main, snaps http.Handler) {
	l.world, l.main, l.snaps = w, main, snaps
}

// SetVersion lets another release answer from now on, as after a refresh.
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

// Wait waits for what goes on behind an answer. The machine must have been closed before.
func (l *Layer) Wait() { l.late.Wait() }

// Hooks returns a runner that runs no hooks but those that the release knows.
func (l *Layer) Hooks(runner world.Runner) world.Runner {
	return world.RunnerFunc(func(ctx context.Context, hook world.Hook) ([]byte, error) {
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

// An answer is what a handler answered with.
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
	_, _ = w.Write(append(text, '\n')) // a client that has gone is its own affair
}

func (a answer) result() map[string]any {
	result, _ := a.body["result"].(map[string]any)
	return result
}

// refused returns the message of a refusal, "" for any other answer.
func (a answer) refused() string {
	if a.body["type"] != "error" {
		return ""
	}
	message, _ := a.result()["message"].(string)
	return message
}

// ask asks what is below: r, with another query and body.
func ask(below http.Handler, r *http.Request, query url.Values, body []byte) answer {
	r = r.Clone(r.Context())
	r.URL.RawQuery, r.RequestURI = query.Encode(), ""
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	recorder := httptest.NewRecorder()
	below.ServeHTTP(recorder, r)
	a := answer{status: recorder.Code}
	if err := decode(recorder.Body.Bytes(), &a.body); err != nil {
		panic(err) // what is below answers in JSON
	}
	return a
}

func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}
