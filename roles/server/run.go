package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"aspects-poc/internal/document"
	"aspects-poc/internal/regular"
	"aspects-poc/registry/plan"
	"aspects-poc/roles/internal/custodian"
	"aspects-poc/roles/network"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/api"
	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/metrics"
	"aspects-poc/roles/server/page"
	"aspects-poc/roles/server/parking"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// The limits for a client. A request has a few kilobytes, and arrives within these times even on a bad line.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// Config has the settings of Run.
//
// It has many fields because each flag is one.
type Config struct {
	Listen   string       // HOST:PORT
	Chosen   string       // how Listen was set, for messages; "" means --listen
	Listener net.Listener // used instead of Listen; nil for none
	State    string       // file of the embedded database
	Database string       // address of a PostgreSQL, used instead of State; "" for none
	Deaf     bool         // poll the database for changes instead of LISTEN
	// SecretKeyFile is the file with the keys that seal secrets. "" means the one beside State, which is made if needed.
	SecretKeyFile string
	// FirstToken is the file for an operator's token. Run makes the token if the store has never had one. "" makes
	// none: until the store has a token, every program on this machine is an operator.
	FirstToken string
	Schema     string        // file with the confdb-schema for targets; "" means the built-in one, "none" means none
	MaxBody    int64         // bytes
	Drain      time.Duration // longest time for running requests at the end
	Once       bool          // start, check, stop
	Interval   time.Duration // between two calls of housekeeping
	TrustClock bool          // the clock is right, whatever times the store has
	Fleet      fleet.Options // Log, Now and Schema are set by Run
	Access     Access
	Audit      Audit
	Log        *slog.Logger
	Out        io.Writer // for the line with the address

	// Open opens the stores; nil means the store of State or Database.
	Open func(context.Context) (fleet.Store, access.Store, error)
}

// Run serves until ctx ends. Then it waits for running requests, at most for Drain, and closes the store.
func Run(ctx context.Context, config Config) (err error) {
	options := config.Fleet
	options.Log = config.Log
	if options.Schema, err = readSchema(config.Schema); err != nil {
		return err
	}
	file := keyFileOf(config)
	if file.given { // before there is a database
		if _, err := file.keys(false); err != nil {
			return err
		}
	}
	if config.Open == nil {
		options.Keys = file.keys
	}
	if config.Listener == nil { // as above; new connections wait until the server serves
		if config.Listener, err = listen(config.Listen, config.Chosen); err != nil {
			return err
		}
	}
	defer func() { _ = config.Listener.Close() }() // it is usually closed already
	store, tokens, err := openStore(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	serverClock, err := newClock(ctx, store, config)
	if err != nil {
		return err
	}
	options.Now = serverClock.Now
	if config.Schema == "" { // the rules belong to the views of the roles' own confdb-schema
		options.Rules = func(current, target map[string]map[string]any) error {
			return custodian.Permitted(slices.Collect(maps.Keys(target)), current, target)
		}
	}
	measured := metrics.New(config.Log)
	rules, err := fleet.Open(ctx, measured.Store(store), options)
	if err != nil {
		return file.explain(err)
	}
	measured.Watch(rules)
	recorded := audit.New(store, audit.Options{Now: serverClock.Now, Log: config.Log, Keep: config.Audit.Keep, Most: config.Audit.Most})
	gate, followed, err := newGate(ctx, rules, tokens, config.Access, serverClock)
	if err != nil {
		return errors.Join(err, rules.Close())
	}
	defer func() {
		err = errors.Join(err, rules.Close())
		<-followed
		err = errors.Join(err, closeLog(recorded))
	}()
	if config.FirstToken != "" {
		if err := makeFirstToken(byServer(ctx, serverClock.Now()), tokens, config.FirstToken); err != nil {
			return err
		}
	}
	at, err := openEndpoint(ctx, tokens, config)
	if err != nil {
		return err
	}
	copied := func() {}
	if config.Audit.File != "" {
		if copied, err = copyLog(ctx, store, config); err != nil {
			return errors.Join(err, at.listener.Close())
		}
	}
	defer func() { copied() }()
	url := at.url()
	stopping, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	shown := page.New(rules, page.Options{Now: serverClock.Now})
	lot := parking.New(at.listener)
	app := api.New(rules, api.Options{
		MaxBody: config.MaxBody, Log: config.Log, Gate: gate, Stopping: stopping, Observed: measured.Request,
		Now: serverClock.Now, Doubt: serverClock.Doubt, Audit: recorded, Tokens: tokens,
		Page: shown.Trouble, Lot: lot, Admitted: owe,
		// Prometheus may send the parameters of its job to all targets, so /metrics ignores parameters.
		Beside: append(shown.Routes(), api.Route{Method: http.MethodGet, Path: "/metrics", Right: access.Read,
			Handle: echo.WrapHandler(measured.Handler())}),
	})
	stop := start(lot, app, config, func() {
		// Held polls and streams of events would not end by themselves.
		rules.Release()
		release()
	})
	said := documented(url)
	if file := validTokenFile(ctx, tokens, config); file != "" {
		said += "\nOperators need a token. The first one is in " + file + "."
	}
	if _, err := fmt.Fprintln(config.Out, said); err != nil {
		return errors.Join(err, stop())
	}
	if config.Once {
		return errors.Join(check(ctx, at, config.Out), stop())
	}
	if timed, ok := store.(fleet.Timed); ok {
		go follow(stopping, serverClock, timed)
	}
	housekeeping(ctx, rules, gate, recorded, config)
	config.Log.Info("stopping: requests under way may finish", "within", config.Drain.String())
	return stop()
}

// readSchema returns the confdb-schema for targets; nil for none. The file may be YAML, JSON or an assertion.
func readSchema(name string) (json.RawMessage, error) {
	switch name {
	case "":
		return network.Document(""), nil
	case "none":
		return nil, nil
	}
	schema, err := parseSchema(name)
	if err == nil {
		_, err = plan.Make(schema, nil, nil) // an error if the schema is invalid
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use %q as confdb-schema (--target-schema FILE): %w", name, err)
	}
	return schema, nil
}

func parseSchema(name string) (json.RawMessage, error) {
	text, err := regular.Read(name)
	if err != nil {
		return nil, err
	}
	schema, err := document.Parse(name, text)
	if err != nil {
		return nil, err
	}
	account := ""
	if schema.Header("account-id") == "" {
		account = network.AccountID
	}
	return schema.Unsigned(account)
}

// start serves in the background. stop stops the server, waits for its end, and returns its error. It calls release,
// which ends held requests, after the listener is closed, because devices poll again as soon as they get an answer.
func start(lot *parking.Lot, handler http.Handler, config Config, release func()) (stop func() error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // only HTTP/1: a lot cannot park requests of HTTP/2
	var callers visitors
	server := &http.Server{
		Handler:           watch(handler),
		ConnContext:       callers.enter,
		ConnState:         callers.leave,
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(config.Log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(release)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(lot) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), config.Drain)
		defer cancel()
		defer time.AfterFunc(min(sendTime, config.Drain/2), callers.close).Stop()
		err := cmp.Or(server.Shutdown(ctx), lot.Shutdown(ctx))
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.Join(fmt.Errorf("cannot stop in order: requests were still under way after %s (--drain)",
				config.Drain), server.Close())
		}
		if failed := <-ended; !errors.Is(failed, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("cannot serve any longer: %w", failed))
		}
		return err
	}
}

// housekeeping maintains the store and logs the number of devices, once per interval until ctx ends.
func housekeeping(ctx context.Context, rules *fleet.Fleet, gate *access.Gate, recorded *audit.Log, config Config) {
	ticker := time.NewTicker(config.Interval)
	defer ticker.Stop()
	last := -1
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := errors.Join(rules.Maintain(ctx), gate.Maintain(ctx), recorded.Maintain(ctx)); err != nil && ctx.Err() == nil && !errors.Is(err, fleet.ErrOutage) {
			config.Log.Error("housekeeping failed", "error", err)
		}
		switch n, err := rules.Count(ctx); {
		case ctx.Err() != nil, errors.Is(err, fleet.ErrOutage): // the store logs an outage
		case err != nil:
			config.Log.Error("cannot count the devices", "error", err)
		case n != last: // log changes only
			config.Log.Info("fleet", "devices", n)
			last = n
		}
	}
}

// check calls the server over the network, as a device and a browser would. It returns an error if the server does not
// answer.
func check(ctx context.Context, at *endpoint, out io.Writer) error {
	transport := at.transport()
	defer transport.CloseIdleConnections()
	client, err := serverapi.NewClient(at.url(), serverapi.Options{UserAgent: "aspects-poc self-check", Transport: transport})
	if err != nil {
		return err
	}
	verdict := "The server answers; operators need a token."
	target, err := client.Target(ctx)
	var refused *serverapi.Error
	switch {
	case err == nil:
		verdict = fmt.Sprintf("The server answers; its target has %d views.", len(target))
	case !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized:
		return fmt.Errorf("the server does not serve: %w", err)
	}
	for _, path := range []string{"/readyz", "/openapi.json"} {
		if err := ask(ctx, transport, at.url()+path); err != nil {
			return fmt.Errorf("the server does not serve: %w", err)
		}
	}
	_, err = fmt.Fprintln(out, verdict)
	return err
}

// ask returns an error unless the answer of the URL is 200.
func ask(ctx context.Context, transport http.RoundTripper, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// listen listens on an address. Its error says what to do.
func listen(address, chosen string) (net.Listener, error) {
	chosen = cmp.Or(chosen, "--listen")
	listener, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: another process does already; stop that one, or choose another "+
			"address with %s (port 0 takes a free one)", address, chosen)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %s: this user may not; choose a port from 1024 on with %s", address, chosen)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("cannot listen on %s: this machine does not have that address; choose another with %s",
			address, chosen)
	case err != nil:
		var failed *net.OpError
		if errors.As(err, &failed) {
			err = failed.Err // its text repeats the address
		}
		return nil, fmt.Errorf("cannot listen on %s: %w; choose another address with %s", address, err, chosen)
	}
	return listener, nil
}

func splitListen(address string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(address)
	if err != nil {
		return "", "", errors.New("want HOST:PORT such as 127.0.0.1:8000")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", "", fmt.Errorf("%q is no port: want a number from 0 to 65535", port)
	}
	return host, port, nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
