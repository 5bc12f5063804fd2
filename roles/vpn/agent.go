package vpn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"

	"aspects-poc/internal/plain"
	"aspects-poc/registry"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/internal/kept"
	"aspects-poc/roles/network"
)

// peers is the request path of the tunnel's peers.
const peers = "peers"

// An agent is the running role. One goroutine calls its methods.
type agent struct {
	Config
	once   bool
	out    io.Writer
	log    *slog.Logger
	random *rand.Rand
	pace   attach.Pace
	wake   func()

	tunnel      *kept.View
	reported    []string // the peers of the last report
	hasReported bool     // reported is valid
}

func (a *agent) start(ctx context.Context, hub *attach.Hub) (err error) {
	a.tunnel, err = hub.Keep(ctx, network.ControlTunnelView, a.wake)
	return err
}

func (a *agent) cycle(ctx context.Context, hub *attach.Hub) error {
	// Without announcements, change reads the peers anyway. Another read only to report them would cost too much.
	if hub.Watching || !a.hasReported {
		if err := a.reportOthers(ctx); err != nil {
			return err
		}
	}
	if !a.pace.Due() {
		return nil
	}
	drop, join := a.random.Float64() < a.DropRate, a.random.Float64() < a.JoinRate
	if drop || join {
		if err := a.change(ctx, hub, drop, join); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.out, "No changes to tunnel.")
	}
	a.pace.Done()
	return nil
}

// reportOthers prints the changes that others have made to the peers.
func (a *agent) reportOthers(ctx context.Context) error {
	document, err := a.tunnel.Get(ctx, peers)
	if err != nil && !errors.Is(err, registry.ErrNoData) {
		return err
	}
	list, err := decode(document)
	if err != nil {
		return err
	}
	a.compare(list)
	return nil
}

// compare prints the difference between these peers and the reported ones, and records them as reported.
func (a *agent) compare(found []string) {
	if a.hasReported {
		var changes []string
		for _, peer := range found {
			if !slices.Contains(a.reported, peer) {
				changes = append(changes, plain.Line(peer)+" joined")
			}
		}
		for _, peer := range a.reported {
			if !slices.Contains(found, peer) {
				changes = append(changes, plain.Line(peer)+" dropped")
			}
		}
		if len(changes) > 0 {
			fmt.Fprintf(a.out, "Tunnel changed elsewhere: %s.\n", strings.Join(changes, ", "))
		}
	}
	a.reported, a.hasReported = found, true
}

// change drops and adds a peer, and reports it after the commit.
func (a *agent) change(ctx context.Context, hub *attach.Hub, drop, join bool) error {
	var before, after, lines []string
	// update may run more than once. Only the results of its last run count.
	update := func(current map[string]any) (map[string]any, error) {
		list, err := decode(current)
		if err != nil {
			return nil, err
		}
		before, after, lines = list, slices.Clone(list), nil
		if drop && len(after) > 0 {
			gone := a.random.IntN(len(after))
			lines = append(lines, fmt.Sprintf("Peer node %s dropped.", plain.Line(after[gone])))
			after = slices.Delete(after, gone, gone+1)
		}
		if join {
			// Do not draw the dropped peer: nothing would seem to have happened.
			joined, err := a.Ranges.pick(a.random, before)
			switch {
			case errors.Is(err, errNoRoom):
				lines = append(lines, "No peer joined: "+err.Error()+".")
			case err != nil:
				return nil, err
			default:
				lines = append(lines, fmt.Sprintf("Peer node %s joined.", joined))
				after = append(after, joined.String())
			}
		}
		switch {
		case slices.Equal(before, after):
			return nil, nil
		case len(after) == 0:
			return map[string]any{peers: nil}, nil // confdb stores no empty list
		}
		return map[string]any{peers: after}, nil
	}
	mark := a.tunnel.Mark()
	err := hub.View(network.ControlTunnelView).Update(ctx, []string{peers}, update)
	if errors.Is(err, registry.ErrRejected) && !a.once {
		a.log.Warn("cannot change the peers; they stay as they were", "error", err)
		a.tunnel.Forget()
		return nil
	}
	if err != nil {
		return err
	}
	a.compare(before)
	a.reported = after
	shown := map[string]any{}
	if len(after) > 0 {
		shown[peers] = after
	}
	a.tunnel.Put(mark, shown, peers)
	if len(lines) == 0 {
		lines = []string{"No changes to tunnel."}
	}
	fmt.Fprintln(a.out, strings.Join(lines, "\n"))
	return nil
}

// decode returns the peers in a document. No peers are no error.
func decode(document map[string]any) ([]string, error) {
	var tunnel network.ControlTunnel
	if err := registry.Decode(document, &tunnel); err != nil {
		return nil, err
	}
	return tunnel.Peers, nil
}
