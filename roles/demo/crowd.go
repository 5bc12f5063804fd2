package demo

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

// keyBits is the size of the extras' keys, in bits.
const keyBits = 2048

// An extra is a simulated device. The extras make the fleet larger than the one device of the control role. An extra
// signs, polls, applies and reports as control does, and stores its configuration in memory.
type extra struct {
	name, site, arch, address string
	// lacks is an interface that the device does not have. The device refuses a target that configures it.
	lacks string
	// stubborn is a sample rate that somebody on the device sets again after each target; 0 means nobody does.
	stubborn int

	client *serverapi.Client
	id     uuid.UUID
	config serverapi.Config
	report serverapi.Report
	sent   uint64
}

// newInterface is the interface that a target of the story configures. One of the extras lacks it.
const newInterface = "wwan0"

// crowd returns the extras of the demo. Most apply every target; one refuses one, and one drifts.
func crowd() []*extra {
	return []*extra{
		{name: "door", site: "berlin", arch: "arm64", address: "192.0.2.11"},
		{name: "roof", site: "berlin", arch: "arm64", address: "192.0.2.12", stubborn: 60},
		{name: "pier", site: "oslo", arch: "armhf", address: "192.0.2.21"},
		{name: "crane", site: "oslo", arch: "riscv64", address: "192.0.2.22", lacks: newInterface},
		{name: "store", site: "lisbon", arch: "amd64", address: "192.0.2.31"},
	}
}

// key returns the device's key from a directory. The first call makes the key.
func (e *extra) key(dir string) (*rsa.PrivateKey, error) {
	file := filepath.Join(dir, "extra-"+e.name+".key")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			return nil, err
		}
		return key, os.WriteFile(file, x509.MarshalPKCS1PrivateKey(key), 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS1PrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("cannot use the key in %s: %w; remove the file", file, err)
	}
	return key, nil
}

// register registers the device with the server. The device's key is in dir.
func (e *extra) register(ctx context.Context, url, dir string) error {
	key, err := e.key(dir)
	if err != nil {
		return err
	}
	e.report.Sequence = time.Now().Unix() // above the sequences of an earlier run
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	signer, err := sign.NewSigner(key)
	if err != nil {
		return err
	}
	e.client, err = serverapi.NewClient(url, serverapi.Options{UserAgent: "aspects-poc-demo",
		Transport: sign.NewTransport(signer, sign.Options{})})
	if err != nil {
		return err
	}
	e.config = serverapi.Config{
		network.ControlTelemetryView: map[string]any{"sample-rate": 2, "monitor-peers": true},
		network.ControlTunnelView:    map[string]any{"interface": "eth0"},
	}
	answer, err := e.client.Register(ctx, serverapi.RegisterRequest{
		IPAddress: e.address, Arch: e.arch, Labels: map[string]string{"name": e.name, "site": e.site},
		PublicKeyRSA: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	})
	e.id = answer.UUID
	return err
}

// live polls until ctx ends. A failed poll is repeated.
func (e *extra) live(ctx context.Context, pause time.Duration) error {
	defer e.client.CloseIdleConnections()
	for {
		e.sent += 40
		peers := int64(3)
		e.report.Stats = &serverapi.Stats{Peers: &peers, Packets: map[string]serverapi.Packets{"eth0": {Sent: e.sent, Received: e.sent / 2}}}
		report := e.report
		answer, err := e.client.Poll(ctx, serverapi.PollRequest{UUID: e.id, Config: e.config, Report: &report}, 0)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			// An operator may have removed or revoked the device, or the server may be restarting.
		case answer.Offer != nil:
			if err := e.take(*answer.Offer); err != nil {
				return err
			}
		}
		if poll.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// take applies an offer, or refuses it if the device lacks an interface.
func (e *extra) take(offer serverapi.Offer) error {
	hash, err := offer.Config.Hash()
	if err != nil {
		return err
	}
	e.report.Sequence++
	e.report.Attempted = &serverapi.Attempted{Revision: offer.Revision, Outcome: serverapi.Applied, At: time.Now().Unix()}
	interfaces, _ := offer.Config[network.ControlInterfacesView].(map[string]any)
	wanted, _ := interfaces["config"].(map[string]any)
	if _, there := wanted[e.lacks]; there {
		e.report.Attempted.Outcome = serverapi.Refused
		e.report.Attempted.Path = "interfaces.config." + e.lacks
		e.report.Attempted.Reason = fmt.Sprintf("this device has no interface %s", e.lacks)
		return nil
	}
	e.config = e.config.Merge(offer.Config)
	e.report.Running = &serverapi.Running{Revision: offer.Revision, Hash: hash}
	if e.stubborn != 0 {
		e.config = e.config.Merge(serverapi.Config{network.ControlTelemetryView: map[string]any{"sample-rate": e.stubborn}})
	}
	return nil
}
