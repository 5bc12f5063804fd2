package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles"
	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// run runs all roles until ctx ends or one of them fails.
func (s *stage) run(outer context.Context) error {
	ctx, stop := context.WithCancelCause(outer)
	defer stop(nil)
	var playing sync.WaitGroup
	play := func(name string) {
		playing.Go(func() {
			if err := s.start(ctx, name, append([]string{"run"}, s.flags(name)...)...); err != nil {
				stop(err)
			} else if ctx.Err() == nil {
				stop(fmt.Errorf("%s has ended by itself", name))
			}
		})
	}
	interrupted := func() error {
		<-ctx.Done()
		playing.Wait()
		if outer.Err() == nil {
			return context.Cause(ctx)
		}
		s.out.say("Every role has ended.")
		return nil
	}
	play(serverRole)
	client, err := s.await(ctx)
	if err != nil {
		if ctx.Err() == nil {
			stop(err)
		}
		return interrupted()
	}
	defer client.CloseIdleConnections()
	s.announce(s.out.say)
	if err := s.point(ctx); err != nil {
		stop(err)
		return interrupted()
	}
	extras, err := s.gather(ctx)
	if err != nil {
		stop(err)
		return interrupted()
	}
	for _, one := range extras {
		playing.Go(func() {
			if err := one.live(ctx, s.interval); err != nil {
				stop(err)
			}
		})
	}
	playing.Go(func() { s.watch(ctx) })
	for _, name := range s.others() {
		play(name)
		if name == controlRole {
			if err := s.awaitDevice(ctx); err != nil {
				stop(err)
				return interrupted()
			}
		}
	}
	playing.Go(func() {
		if err := s.story(ctx, client); err != nil && ctx.Err() == nil {
			stop(err)
		}
	})
	return interrupted()
}

// await waits until the server answers. It returns an error after a minute.
func (s *stage) await(ctx context.Context) (*serverapi.Client, error) {
	client, err := serverapi.NewClient(s.url(), serverapi.Options{UserAgent: "aspects-poc-demo"})
	if err != nil {
		return nil, err
	}
	const tries, pause = 600, 100 * time.Millisecond // a minute, for a machine that has much to do
	for range tries {
		if _, err = client.Target(ctx); err == nil {
			return client, nil
		}
		if sleep := poll.Sleep(ctx, pause); sleep != nil {
			return nil, sleep
		}
	}
	return nil, fmt.Errorf("the server did not come up: %w", err)
}

// awaitDevice waits a few cycles until control has registered the device, so that the other roles find it. They also
// work without it.
func (s *stage) awaitDevice(ctx context.Context) error {
	reg, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer reg.Close()
	const tries, pause = 40, 50 * time.Millisecond
	for range tries {
		_, err := reg.View(network.ObserveDeviceView).Get(ctx)
		if !errors.Is(err, registry.ErrNoData) {
			return err
		}
		if err := poll.Sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// announce prints where to look, the page first.
func (s *stage) announce(say func(format string, args ...any)) {
	say("Page:          %s/", s.url())
	say("Documentation: %s/docs", s.url())
	say("Registry:      %s", s.registry)
	if s.moved {
		say("The port asked for is in use: the server has another one.")
	}
}

// gather registers the extras with the server, in parallel because making keys takes time.
func (s *stage) gather(ctx context.Context) ([]*extra, error) {
	extras := crowd()
	failed := make([]error, len(extras))
	var registering sync.WaitGroup
	for i, one := range extras {
		registering.Go(func() { failed[i] = one.register(ctx, s.url(), s.dir) })
	}
	registering.Wait()
	return extras, errors.Join(failed...)
}

// open opens the demo's registry.
func (s *stage) open(ctx context.Context) (*registry.Registry, error) {
	return s.env.Open(ctx, s.registry, registry.Options{Account: s.account, Schema: network.Name,
		Schemas: roles.NetworkSchema(s.account), Getenv: s.getenv})
}

// point writes the demo's server to the registry, if it is not the default that control writes.
func (s *stage) point(ctx context.Context) error {
	reg, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer reg.Close()
	return reg.View(network.ControlDeviceView).Update(ctx, []string{"server-url"},
		func(current map[string]any) (map[string]any, error) {
			if current["server-url"] == s.url() {
				return nil, nil
			}
			return map[string]any{"server-url": s.url()}, nil
		})
}

// The times of the demo's story, in cycles.
const (
	cyclesBefore = 3 // before the target is set on the server
	cyclesPinned = 3 // before each later step
)

// story sets targets on the server, prints what it does, and then prints what to try.
func (s *stage) story(ctx context.Context, client *serverapi.Client) error {
	if err := poll.Sleep(ctx, cyclesBefore*s.interval); err != nil {
		return err
	}
	target, err := s.target(ctx)
	if err != nil {
		return err
	}
	if _, err := client.SetTarget(ctx, target); err != nil {
		return err
	}
	s.out.say("Target put on the server: sample-rate %d, wlan0 at %s, one more peer. Watch it arrive.", newRate, newAddress)
	if err := s.awaitTarget(ctx); err != nil {
		return err
	}
	if err := poll.Sleep(ctx, cyclesPinned*s.interval); err != nil {
		return err
	}
	delete(target, network.ControlTunnelView)
	if _, err := client.SetTarget(ctx, target); err != nil {
		return err
	}
	s.out.say("The target leaves the peers to the vpn role again.")
	layer := serverapi.LayerRequest{Selector: "device.site=oslo", Config: serverapi.Config{network.ControlInterfacesView: map[string]any{
		"config": map[string]any{newInterface: map[string]any{"interface-type": "wifi", "ip-address": "192.168.0.107"}}}}}
	if err := s.ask(ctx, http.MethodPut, "/targets/labels/oslo/", layer, nil); err != nil {
		return err
	}
	s.out.say("Devices of site oslo get one more interface, %s. One of them has none.", newInterface)
	if err := poll.Sleep(ctx, cyclesPinned*s.interval); err != nil {
		return err
	}
	s.invite()
	return nil
}

// invite prints what a person can look at and try.
func (s *stage) invite() {
	for _, line := range []string{
		"That was all: from here on, a line comes when something happens. To look into it, in another terminal:",
		"  the fleet, the worst first      " + s.url() + "/",
		"  who refused, and why            curl '" + s.url() + "/devices/?state=refused'",
		"  who set what, and when          curl " + s.url() + "/history/",
		"  what control's device runs      aspects-poc registry get --registry " + s.registry + " \\",
		"                                    " + s.account + "/" + network.Name + "/" + network.ControlTelemetryView + " -d",
		"  mend the refusal                curl -X DELETE " + s.url() + "/targets/labels/oslo/",
		"  another target for all          curl -X PUT -H 'Content-Type: application/json' " + s.url() + "/target-config/ \\",
		"                                    -d '{\"config\":{\"" + network.ControlTelemetryView + "\":{\"sample-rate\":5}}}'",
		"End it with Ctrl-C.",
	} {
		s.out.say("%s", line)
	}
}

// The values of the target.
const (
	newRate    = 6
	newAddress = "192.168.0.105"
	newPeer    = "192.168.99.1"
)

// target returns the target of the story: the present peers, and one more.
func (s *stage) target(ctx context.Context) (serverapi.Config, error) {
	reg, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer reg.Close()
	var tunnel network.ObserveTunnel
	if err := reg.View(network.ObserveTunnelView).Read(ctx, &tunnel); err != nil && !errors.Is(err, registry.ErrNoData) {
		return nil, err
	}
	peers := []any{}
	for _, peer := range tunnel.Peers {
		if peer != newPeer {
			peers = append(peers, peer)
		}
	}
	return serverapi.Config{
		network.ControlTelemetryView: map[string]any{"sample-rate": newRate},
		network.ControlInterfacesView: map[string]any{
			"config": map[string]any{"wlan0": map[string]any{"ip-address": newAddress}},
		},
		network.ControlTunnelView: map[string]any{"peers": append(peers, newPeer)},
	}, nil
}
