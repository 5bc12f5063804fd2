package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"aspects-poc/roles"
	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

// Door says who may speak to a server.
type Door struct {
	Enrolment     access.Enrolment // "" means access.Open
	AllowUnsigned bool
	PublicURL     string // as devices know the server; "" means as requests name it
	CertFile      string // of TLS; "" for none
	KeyFile       string
}

func doorFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "enrolment", Value: string(access.Open), Usage: "which devices may register, `open|token|approve`: " +
			"any, those with an enrolment token, or any once an operator has approved it"},
		&cli.BoolFlag{Name: "allow-unsigned", Usage: "let in devices that do not sign their requests, and never did"},
		&cli.StringFlag{Name: "public-url", Usage: "`URL` that devices know the server by, where a proxy changes host or path; " +
			"operators always need a token then"},
		&cli.StringFlag{Name: "tls-cert", Usage: "`FILE` with the certificate, and its chain, to serve HTTPS with; it may be " +
			"replaced while the server runs"},
		&cli.StringFlag{Name: "tls-key", Usage: "`FILE` with the certificate's private key"},
	}
}

func newDoor(c *cli.Context) Door {
	return Door{
		Enrolment:     access.Enrolment(c.String("enrolment")),
		AllowUnsigned: c.Bool("allow-unsigned"),
		PublicURL:     c.String("public-url"),
		CertFile:      c.String("tls-cert"),
		KeyFile:       c.String("tls-key"),
	}
}

func (d Door) check() error {
	if _, err := access.ParseEnrolment(string(d.Enrolment)); err != nil {
		return roles.Usagef("invalid value %q for --enrolment: %s", d.Enrolment, err)
	}
	if d.PublicURL != "" {
		if _, err := access.New(access.Options{PublicURL: d.PublicURL}); err != nil {
			return roles.Usagef("invalid value %q for --public-url: %s", d.PublicURL, err)
		}
	}
	if (d.CertFile == "") != (d.KeyFile == "") {
		return roles.Usagef("--tls-cert and --tls-key go together")
	}
	return nil
}

// fleetDevices is what a gate has to know of a fleet.
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

// openGate makes the gate of a fleet, and keeps it up with what changes until the fleet is closed. Followed is closed when
// that has ended.
func openGate(
	ctx context.Context, rules *fleet.Fleet, tokens access.Store, door Door,
) (gate *access.Gate, followed <-chan struct{}, err error) {
	nonces, _ := tokens.(access.Nonces) // of a store that several servers share
	gate, err = access.New(access.Options{
		Devices: fleetDevices{rules}, Tokens: tokens, Nonces: nonces,
		AllowUnsigned: door.AllowUnsigned, Enrolment: door.Enrolment, PublicURL: door.PublicURL,
	})
	if err != nil {
		return nil, nil, err
	}
	changes, err := rules.Events(context.WithoutCancel(ctx)) // those who are answered at the end are asked, too
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

// mayListen refuses to listen for other machines while nobody could tell an operator from anybody else.
func mayListen(ctx context.Context, listener net.Listener, tokens access.Store, config Config) error {
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
	if config.Door.CertFile == "" && !strings.HasPrefix(config.Door.PublicURL, "https://") {
		config.Log.Warn("operators' tokens go over the network in the clear; serve HTTPS with --tls-cert and --tls-key",
			"address", listener.Addr().String())
	}
	return nil
}

// storeHint names the store to those who make a token for it. An address may have a password, and is not repeated.
func storeHint(config Config) string {
	if config.Database != "" {
		return " (with this server's --database or $" + databaseVariable + ")"
	}
	return " (with --state " + config.State + ")"
}

// howToListen says how a person chooses the loopback.
func howToListen(chosen string) string {
	const loopback = "127.0.0.1:8000"
	way, inSnap := strings.CutSuffix(cmp.Or(chosen, "--listen"), "HOST:PORT")
	if inSnap {
		return way + loopback
	}
	return way + " " + loopback
}

// A doorway is where a server listens.
type doorway struct {
	listener net.Listener
	cert     *certificate // nil for plain HTTP
}

// openDoorway begins to listen, if the server may.
func openDoorway(ctx context.Context, tokens access.Store, config Config) (*doorway, error) {
	opened := &doorway{}
	var err error
	if config.Door.CertFile != "" {
		if opened.cert, err = loadCertificate(config.Door.CertFile, config.Door.KeyFile, config.Log); err != nil {
			return nil, err
		}
	}
	if opened.listener = config.Listener; opened.listener == nil {
		if opened.listener, err = listen(config.Listen, config.Chosen); err != nil {
			return nil, err
		}
	}
	if err := mayListen(ctx, opened.listener, tokens, config); err != nil {
		return nil, errors.Join(err, opened.listener.Close())
	}
	opened.listener = &schemeListener{Listener: opened.listener, https: opened.cert != nil, log: config.Log}
	if opened.cert != nil {
		opened.listener = tls.NewListener(opened.listener, opened.cert.config())
	}
	return opened, nil
}

// url returns an address for this machine's browser.
func (d *doorway) url() string {
	scheme := "http://"
	if d.cert != nil {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(d.listener.Addr().String())
	if err != nil {
		return scheme + d.listener.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + net.JoinHostPort(host, port)
}

// transport is for the server's talk to itself.
func (d *doorway) transport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if d.cert != nil {
		transport.TLSClientConfig = d.cert.own()
	}
	return transport
}
