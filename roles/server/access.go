package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"

	"aspects-poc/roles"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/clock"
	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

// Access has the settings about callers and TLS.
type Access struct {
	Operators     string           // operatorsToken or operatorsLoopback, as given: Config.FirstToken follows from it
	Enrolment     access.Enrolment // "" means access.Open
	AllowUnsigned bool
	PublicURL     string // the address that devices use; "" means the address in each request
	PersonHeader  string // in which a proxy names the person; "" means access.DefaultPersonHeader
	CertFile      string // "" means no TLS
	KeyFile       string
}

func accessFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "operators", Value: operatorsToken, Usage: "who is an operator, `token|loopback`. token: whoever has a " +
			"token; the first start writes one to a file beside --state. loopback: every program on this machine, until " +
			"there is a token"},
		&cli.StringFlag{Name: "enrolment", Value: string(access.Open), Usage: "which devices may register, " +
			"`open|token|approve`: all, those with an enrolment token, or those that an operator approves"},
		&cli.BoolFlag{Name: "allow-unsigned", Usage: "accept requests without a signature from devices that have never " +
			"signed"},
		&cli.StringFlag{Name: "public-url", Usage: "`URL` that devices use, if a proxy changes host or path; with it, " +
			"operators always need a token"},
		&cli.StringFlag{Name: "person-header", Value: access.DefaultPersonHeader, Usage: "`HEADER` in which a proxy names the person, " +
			"for tokens that were made with --proxy"},
		&cli.StringFlag{Name: "tls-cert", Usage: "`FILE` with the certificate and its chain, for HTTPS; you may " +
			"replace it while the server runs"},
		&cli.StringFlag{Name: "tls-key", Usage: "`FILE` with the certificate's private key"},
	}
}

func newAccess(c *cli.Context) Access {
	return Access{
		Operators:     c.String("operators"),
		Enrolment:     access.Enrolment(c.String("enrolment")),
		AllowUnsigned: c.Bool("allow-unsigned"),
		PublicURL:     c.String("public-url"),
		PersonHeader:  c.String("person-header"),
		CertFile:      c.String("tls-cert"),
		KeyFile:       c.String("tls-key"),
	}
}

// headerName matches names of headers that every proxy can set.
var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

func (a Access) check() error {
	if a.Operators != operatorsToken && a.Operators != operatorsLoopback {
		return roles.Usagef("invalid value %q for --operators: want %s or %s", a.Operators, operatorsToken, operatorsLoopback)
	}
	if _, err := access.ParseEnrolment(string(a.Enrolment)); err != nil {
		return roles.Usagef("invalid value %q for --enrolment: %s", a.Enrolment, err)
	}
	if a.PublicURL != "" {
		if _, err := access.New(access.Options{PublicURL: a.PublicURL}); err != nil {
			return roles.Usagef("invalid value %q for --public-url: %s", a.PublicURL, err)
		}
	}
	if a.PersonHeader != "" && !headerName.MatchString(a.PersonHeader) {
		return roles.Usagef("invalid value %q for --person-header: want the name of a header, such as %s", a.PersonHeader,
			access.DefaultPersonHeader)
	}
	if (a.CertFile == "") != (a.KeyFile == "") {
		return roles.Usagef("--tls-cert and --tls-key go together")
	}
	return nil
}

// fleetDevices finds the devices of a fleet for a gate.
type fleetDevices struct{ rules *fleet.Fleet }

// Holder implements access.Devices.
func (d fleetDevices) Holder(ctx context.Context, keyID string) (access.Holder, error) {
	device, err := d.rules.DeviceByKey(ctx, keyID)
	return holder(device, err)
}

// HolderByID implements access.Devices.
func (d fleetDevices) HolderByID(ctx context.Context, id uuid.UUID) (access.Holder, error) {
	view, err := d.rules.Device(ctx, id)
	return holder(view.Device, err)
}

func holder(device fleet.Device, err error) (access.Holder, error) {
	if errors.Is(err, fleet.ErrUnknownDevice) {
		err = access.ErrUnknownDevice
	}
	return access.Holder{ID: device.ID, KeyID: device.KeyID, PublicKey: device.PublicKeyRSA, Status: device.Status.String()}, err
}

// newGate returns the gate of a fleet. Until the fleet is closed, a goroutine removes changed devices from the gate's
// memory; it closes followed at its end.
func newGate(
	ctx context.Context, rules *fleet.Fleet, tokens access.Store, config Access, told *clock.Clock,
) (gate *access.Gate, followed <-chan struct{}, err error) {
	nonces, _ := tokens.(access.Nonces) // of a store that several servers share
	gate, err = access.New(access.Options{
		Devices: fleetDevices{rules}, Tokens: tokens, Nonces: nonces,
		AllowUnsigned: config.AllowUnsigned, Enrolment: config.Enrolment, PublicURL: config.PublicURL, PersonHeader: config.PersonHeader,
		Now: told.Now, Doubt: told.Doubt,
	})
	if err != nil {
		return nil, nil, err
	}
	changes, err := rules.Events(context.WithoutCancel(ctx)) // also for requests that finish after ctx
	if err != nil {
		return nil, nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for notice := range changes {
			switch notice.Kind {
			case fleet.DevicesChanged:
				gate.Forget(notice.Devices...)
			case fleet.Lost:
				gate.ForgetAll()
			}
		}
	}()
	return gate, ended, nil
}

// checkExposed returns an error if other machines can reach the server and there is no operator's token, because the
// server could not distinguish operators from other callers.
func checkExposed(ctx context.Context, listener net.Listener, tokens access.Store, config Config) error {
	address, ok := listener.Addr().(*net.TCPAddr)
	if ok && address.IP.IsLoopback() {
		return nil
	}
	guarded, err := tokens.Guarded(ctx)
	if err != nil {
		return err
	}
	if !guarded {
		return fmt.Errorf("cannot listen on %s: other machines could reach it, and without any operator's token nobody can be "+
			"told from an operator; make one with \"%s\"%s, or listen on the loopback with %s", config.Listen,
			access.CreateHint, storeHint(config), howToListen(config.Chosen))
	}
	if config.Access.CertFile == "" && !strings.HasPrefix(config.Access.PublicURL, "https://") {
		config.Log.Warn("operators' tokens go over the network in the clear; serve HTTPS with --tls-cert and --tls-key",
			"address", listener.Addr().String())
	}
	return nil
}

// storeHint returns the flag that names the store, for the command that makes a token. It does not show the address of
// a database, which may have a password.
func storeHint(config Config) string {
	if config.Database != "" {
		return " (with this server's --database or $" + databaseVariable + ")"
	}
	return " (with --state " + config.State + ")"
}

// howToListen returns the flag or the command that makes the server listen on the loopback.
func howToListen(chosen string) string {
	const loopback = "127.0.0.1:8000"
	way, inSnap := strings.CutSuffix(cmp.Or(chosen, "--listen"), "HOST:PORT")
	if inSnap {
		return way + loopback
	}
	return way + " " + loopback
}

// An endpoint is a listener and its certificate.
type endpoint struct {
	listener net.Listener
	cert     *certificate // nil for plain HTTP
}

// openEndpoint listens on the configured address. It returns the error of checkExposed.
func openEndpoint(ctx context.Context, tokens access.Store, config Config) (*endpoint, error) {
	opened := &endpoint{}
	var err error
	if config.Access.CertFile != "" {
		if opened.cert, err = loadCertificate(config.Access.CertFile, config.Access.KeyFile, config.Log); err != nil {
			return nil, err
		}
	}
	opened.listener = config.Listener
	if err := checkExposed(ctx, opened.listener, tokens, config); err != nil {
		return nil, err
	}
	opened.listener = &schemeListener{Listener: opened.listener, https: opened.cert != nil, log: config.Log}
	if opened.cert != nil {
		opened.listener = tls.NewListener(opened.listener, opened.cert.config())
	}
	return opened, nil
}

// url returns the server's address for a browser on this machine.
func (e *endpoint) url() string {
	scheme := "http://"
	if e.cert != nil {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(e.listener.Addr().String())
	if err != nil {
		return scheme + e.listener.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + net.JoinHostPort(host, port)
}

// transport returns the transport with which the server calls itself.
func (e *endpoint) transport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if e.cert != nil {
		transport.TLSClientConfig = e.cert.own()
	}
	return transport
}
