// Package lsp serves the Language Server Protocol to an editor: diagnostics, quick fixes, completion and the like for
// confdb-schemas, snaps, hooks and test scripts. Its main function is Serve. Package editor finds the answers.
//
//	err := lsp.Serve(ctx, struct{io.Reader; io.Writer}{os.Stdin, os.Stdout}, lsp.Options{})
//
// The server writes no files, with one exception: the protocol has no way to make a file executable, so the command
// makeExecutable does that to hooks of the workspace.
package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/editor"

	"github.com/sourcegraph/jsonrpc2"
)

// Options are options of Serve. The zero value is ready for use.
type Options struct {
	Version string                     // version of the program
	Explain func(code string) string   // returns the explanation of a rule, as Markdown; nil for none
	Report  func(what string, err any) // receives internal errors; nil discards them
	Pause   time.Duration              // pause in typing before lint runs; 0 means 40 ms
}

// Serve answers an editor until it sends exit or closes the stream, or until ctx ends. It returns an error if the editor leaves
// without a request shutdown.
func Serve(ctx context.Context, stream io.ReadWriter, options Options) error {
	if options.Pause == 0 {
		options.Pause = 40 * time.Millisecond
	}
	s := &server{options: options, workspace: editor.New(), encoding: inUTF16, versions: map[string]*int{}, wake: make(chan struct{}, 1),
		published: map[string]string{}, left: make(chan struct{})}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	s.ready = make(chan struct{})
	s.conn = jsonrpc2.NewConn(inner, jsonrpc2.NewBufferedStream(closer{stream}, jsonrpc2.VSCodeObjectCodec{}), s)
	close(s.ready)
	var looking sync.WaitGroup
	looking.Go(func() { s.publishLoop(inner) })
	select {
	case <-s.conn.DisconnectNotify():
	case <-s.left:
	case <-ctx.Done():
	}
	stop()
	looking.Wait()
	_ = s.conn.Close() // of a stream that stays open
	if s.stopping() || ctx.Err() != nil {
		return nil
	}
	return errors.New("the editor has gone without shutting the server down")
}

// closer gives a stream a Close that does nothing: standard input stays open.
type closer struct{ io.ReadWriter }

func (closer) Close() error { return nil }

// A server is one session with an editor.
//
// It has many methods because there is one for each request of the protocol.
type server struct {
	options   Options
	ready     chan struct{} // closed when conn is there
	conn      *jsonrpc2.Conn
	workspace *editor.Workspace
	encoding  encoding
	client    clientCapabilities

	mutex    sync.Mutex      // guards what follows
	versions map[string]*int // of the open documents
	shutdown bool

	wake      chan struct{}     // holds a token if diagnostics may have changed
	published map[string]string // diagnostics that the editor has, by file; only publishLoop uses it
	left      chan struct{}     // closed at the notification exit
	leave     sync.Once
}

func (s *server) stopping() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.shutdown
}

// methods returns the handlers of requests and notifications, by method.
func (s *server) methods() map[string]func(json.RawMessage) (any, error) {
	return map[string]func(json.RawMessage) (any, error){
		"initialize":                       with(s.initialize),
		"initialized":                      func(json.RawMessage) (any, error) { return nil, s.initialized() },
		"shutdown":                         func(json.RawMessage) (any, error) { return nil, s.stop() },
		"textDocument/didOpen":             with(s.didOpen),
		"textDocument/didChange":           with(s.didChange),
		"textDocument/didClose":            with(s.didClose),
		"textDocument/didSave":             func(json.RawMessage) (any, error) { return nil, s.changed(true) },
		"workspace/didChangeWatchedFiles":  func(json.RawMessage) (any, error) { return nil, s.changed(true) },
		"workspace/executeCommand":         with(s.execute),
		"textDocument/completion":          with(s.completion),
		"textDocument/hover":               with(s.hover),
		"textDocument/definition":          with(s.definition),
		"textDocument/references":          with(s.references),
		"textDocument/documentHighlight":   with(s.highlight),
		"textDocument/prepareRename":       with(s.prepareRename),
		"textDocument/rename":              with(s.rename),
		"textDocument/codeAction":          with(s.codeAction),
		"textDocument/documentSymbol":      with(s.symbols),
		"textDocument/foldingRange":        with(s.folding),
		"textDocument/formatting":          with(s.formatting),
		"textDocument/semanticTokens/full": with(s.tokens),
	}
}

// with returns a handler that decodes the parameters of a method.
func with[P any](method func(P) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var params P
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &params); err != nil {
				return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: "cannot read the parameters: " + err.Error()}
			}
		}
		return method(params)
	}
}

// Handle answers one message. It is called for one message at a time, in their order.
func (s *server) Handle(ctx context.Context, conn *jsonrpc2.Conn, request *jsonrpc2.Request) {
	<-s.ready
	result, err := s.answer(request)
	if request.Method == "exit" {
		s.leave.Do(func() { close(s.left) })
		return
	}
	if request.Notif {
		if err != nil {
			s.report(request.Method, err)
		}
		return
	}
	if err == nil {
		err = conn.Reply(ctx, request.ID, result)
		if err != nil && !errors.Is(err, jsonrpc2.ErrClosed) {
			s.report(request.Method, err)
		}
		return
	}
	failure := &jsonrpc2.Error{Code: codeFailed, Message: err.Error()}
	errors.As(err, &failure)
	if err := conn.ReplyWithError(ctx, request.ID, failure); err != nil && !errors.Is(err, jsonrpc2.ErrClosed) {
		s.report(request.Method, err)
	}
}

// Codes of the protocol.
const (
	codeFailed = -32803 // RequestFailed
)

// answer calls the method of a message. A panic in a method becomes an error of its request.
func (s *server) answer(request *jsonrpc2.Request) (result any, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			s.report(request.Method, fmt.Sprintf("%v\n%s", fault, debug.Stack()))
			err = &jsonrpc2.Error{Code: jsonrpc2.CodeInternalError, Message: fmt.Sprintf("internal error: %v", fault)}
		}
	}()
	if request.Method == "exit" {
		return nil, nil
	}
	method := s.methods()[request.Method]
	switch {
	case method == nil && request.Notif:
		return nil, nil // a server may ignore those
	case method == nil:
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "this server has no " + request.Method}
	case s.stopping():
		return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: "the server is shutting down"}
	}
	var params json.RawMessage
	if request.Params != nil {
		params = *request.Params
	}
	return method(params)
}

func (s *server) report(what string, err any) {
	if s.options.Report != nil {
		s.options.Report(what, err)
	}
}

func (s *server) stop() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.shutdown = true
	return nil
}

// initialize reads the editor's folders and capabilities, and returns the server's capabilities.
func (s *server) initialize(params initializeParams) (any, error) {
	var roots []string
	for _, folder := range params.WorkspaceFolders {
		if file, ok := fileOf(folder.URI); ok {
			roots = append(roots, file)
		}
	}
	if file, ok := fileOf(params.RootURI); ok && len(roots) == 0 {
		roots = append(roots, file)
	}
	if len(roots) == 0 && params.RootPath != "" {
		roots = append(roots, params.RootPath)
	}
	s.workspace, s.client, s.encoding = editor.New(roots...), params.Capabilities, choose(params.Capabilities.General.PositionEncodings)
	capabilities := object{
		"positionEncoding":           s.encoding,
		"textDocumentSync":           object{"openClose": true, "change": 2, "save": object{}},
		"completionProvider":         object{"triggerCharacters": []string{":", ".", "{", "\"", " ", "/", "-"}},
		"hoverProvider":              true,
		"definitionProvider":         true,
		"referencesProvider":         true,
		"documentHighlightProvider":  true,
		"documentSymbolProvider":     true,
		"foldingRangeProvider":       true,
		"documentFormattingProvider": true,
		"renameProvider":             object{"prepareProvider": true},
		"codeActionProvider":         object{"codeActionKinds": []string{kindQuickFix, kindFixAll}},
		"executeCommandProvider":     object{"commands": []string{makeExecutable}},
		"semanticTokensProvider":     object{"legend": object{"tokenTypes": tokenTypes, "tokenModifiers": []string{"declaration"}}, "full": true},
	}
	return object{"capabilities": capabilities, "serverInfo": object{"name": "aspects-poc registry lsp", "version": s.options.Version}}, nil
}

// initialized asks the editor to report files that change on disk.
func (s *server) initialized() error {
	if s.client.Workspace.DidChangeWatchedFiles.DynamicRegistration {
		watchers := []object{}
		for _, glob := range []string{"**/*.{yaml,yml,json,assert,txtar}", "**/hooks/*"} {
			watchers = append(watchers, object{"globPattern": glob})
		}
		registration := object{"registrations": []object{{"id": "files", "method": "workspace/didChangeWatchedFiles",
			"registerOptions": object{"watchers": watchers}}}}
		// The answer comes on the stream that this goroutine reads, so it cannot wait for it.
		if _, err := s.conn.DispatchCall(context.Background(), "client/registerCapability", registration); err != nil {
			return err
		}
	}
	return s.changed(true)
}

func (s *server) didOpen(params openParams) (any, error) {
	file, ok := fileOf(params.TextDocument.URI)
	if !ok {
		return nil, nil
	}
	known := s.workspace.Contains(file)
	s.workspace.Set(file, []byte(params.TextDocument.Text))
	s.setVersion(file, params.TextDocument.Version)
	return nil, s.changed(!known)
}

func (s *server) setVersion(file string, version *int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.versions[file] = version
}

func (s *server) didChange(params changeParams) (any, error) {
	file, ok := fileOf(params.TextDocument.URI)
	if !ok {
		return nil, nil
	}
	text, open := s.workspace.Buffer(file)
	if !open {
		return nil, fmt.Errorf("%s is not open", file)
	}
	for _, change := range params.ContentChanges {
		if change.Range == nil {
			text = []byte(change.Text)
			continue
		}
		at := edit.NewText(text)
		start, end := at.Offset(s.encoding.from(at, change.Range.Start)), at.Offset(s.encoding.from(at, change.Range.End))
		if end < start {
			return nil, fmt.Errorf("a change of %s ends before it begins", file)
		}
		text = slices.Concat(text[:start], []byte(change.Text), text[end:])
	}
	s.workspace.Set(file, text)
	s.setVersion(file, params.TextDocument.Version)
	return nil, s.changed(false)
}

func (s *server) didClose(params openParams) (any, error) {
	if file, ok := fileOf(params.TextDocument.URI); ok {
		s.workspace.Drop(file)
		s.setVersion(file, nil)
	}
	return nil, s.changed(true)
}

// changed wakes publishLoop. With scan, it first searches the folders for files again.
func (s *server) changed(scan bool) error {
	if scan {
		s.workspace.Scan()
	}
	select {
	case s.wake <- struct{}{}:
	default: // publishLoop is about to run
	}
	return nil
}

// execute makes a hook executable. It refuses all other files.
func (s *server) execute(params commandParams) (any, error) {
	if params.Command != makeExecutable || len(params.Arguments) != 1 {
		return nil, fmt.Errorf("this server has no command %q", params.Command)
	}
	file, ok := fileOf(params.Arguments[0])
	if !ok || !s.workspace.Mendable(file) {
		return nil, fmt.Errorf("cannot make %s executable: lint does not ask for it", params.Arguments[0])
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(file, info.Mode().Perm()|0o111); err != nil {
		return nil, err
	}
	return nil, s.changed(true)
}
