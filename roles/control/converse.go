package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aspects-poc/registry"
	"aspects-poc/registry/network"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// mostCalls bounds the exchanges that follow one another without a count in between: one to register, one to poll, and
// one to report what was applied; and the same for a device that has to register again.
const mostCalls = 5

// converse starts an exchange if one is due and none is under way.
func (a *agent) converse(ctx context.Context, hub *attach.Hub) error {
	if !a.call || a.busy {
		return nil
	}
	if err := a.identify(ctx, hub); err != nil {
		return err
	}
	if err := a.connect(ctx); err != nil || a.server == nil {
		a.call, a.retryAt = false, time.Time{}
		return err
	}
	documents, err := a.documents(ctx)
	if err != nil {
		return err
	}
	a.call, a.retryAt, a.busy = false, time.Time{}, true
	a.calls++
	next := exchange{state: a.state, server: a.server, device: a.uuid, lost: a.lost, config: serverapi.Config{}}
	if a.uuid == a.lost {
		next.device = uuid.Nil
	}
	for view, document := range documents {
		if view != network.ControlDeviceView {
			next.config[view] = document
		}
	}
	a.exchanges.Go(func() {
		a.results <- next.run(ctx)
		a.wake()
	})
	return nil
}

// connect makes the client of the server that the registry names; a.server is nil if it names none that can be used.
func (a *agent) connect(ctx context.Context) error {
	var device network.ControlDevice
	if err := a.device.Read(ctx, &device); err != nil && !errors.Is(err, registry.ErrNoData) {
		return err
	}
	normal, err := serverapi.ParseURL(device.ServerURL)
	switch {
	case device.ServerURL == "":
		err = errors.New("no server-url is set in control-device")
	case err == nil && a.server != nil && a.server.URL() == normal:
		return nil
	}
	if a.server != nil {
		a.server.CloseIdleConnections()
		a.server = nil
	}
	if err == nil {
		a.server, err = serverapi.NewClient(normal, serverapi.Options{
			UserAgent: "aspects-poc-control", Transport: a.transport,
		})
	}
	if err != nil {
		a.trouble.note(ofServer, err)
		return nil
	}
	a.retry.Reset()
	a.lost = uuid.Nil
	return nil
}

// documents returns what the control views show, by view; those that show nothing are left out. It must not be modified.
func (a *agent) documents(ctx context.Context) (map[string]map[string]any, error) {
	documents := map[string]map[string]any{}
	if len(a.interfaces) > 0 {
		documents[network.ControlInterfacesView] = a.interfaces
	}
	for name, view := range a.keptControls() {
		document, err := view.Get(ctx)
		switch {
		case errors.Is(err, registry.ErrNoData):
		case err != nil:
			return nil, err
		default:
			documents[name] = document
		}
	}
	return documents, nil
}

// collect takes the result of an exchange if there is one.
func (a *agent) collect(ctx context.Context, hub *attach.Hub) error {
	select {
	case result := <-a.results:
		return a.take(ctx, hub, result)
	default:
		return nil
	}
}

// take acts on the result of an exchange. An error is the registry's.
func (a *agent) take(ctx context.Context, hub *attach.Hub, result outcome) error {
	a.busy = false
	if result.registration != nil {
		a.registration, a.asked = result.registration, true
	}
	switch {
	case ctx.Err() != nil && result.err != nil:
		return result.err
	case serverapi.IsNotRegistered(result.err):
		a.forgotten(result)
		return nil
	case result.err != nil && result.registration == nil:
		a.failed(result.err)
		return nil
	}
	if a.trouble.over(ofServer) {
		a.log.Info("server reached again", "server", result.server.URL(), "tries", a.retry.Failures())
	}
	if result.device == uuid.Nil {
		a.call = a.calls < mostCalls // to poll, now that the server knows us
		if result.err != nil {
			a.trouble.note(ofState, result.err)
		} else {
			a.trouble.over(ofState)
		}
		return a.identify(ctx, hub)
	}
	a.retry.Reset()
	a.lost = uuid.Nil
	if result.target == nil {
		a.inStep()
		return nil
	}
	applied, err := a.apply(ctx, hub, result.target)
	a.call = applied && a.calls < mostCalls // to report it
	return err
}

// forgotten answers a server that does not know the device: it registers again, at once the first time.
func (a *agent) forgotten(result outcome) {
	again := a.retry.Failures() > 0
	a.lost = result.device
	if again || a.calls >= mostCalls {
		a.failed(fmt.Errorf("%w, again", result.err))
		return
	}
	a.retry.Next()
	a.call = true
	a.log.Warn("the server does not know this device, registering again", "server", result.server.URL(),
		"uuid", result.device)
}

// failed puts off the next exchange, each time longer.
func (a *agent) failed(err error) {
	pause := a.retry.Next()
	var refused *serverapi.Error
	if errors.As(err, &refused) {
		pause = max(pause, refused.RetryAfter)
	}
	a.call, a.retryAt = false, time.Now().Add(pause)
	about := ofServer
	if own := (*stateError)(nil); errors.As(err, &own) {
		about, err = ofState, own.error // the server was not asked
	}
	a.trouble.note(about, err, "next-try", pause.Round(time.Millisecond))
}
