package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"aspects-poc/registry"
	"aspects-poc/roles/control/state"
	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// mostCalls is how many exchanges may follow each other between two counts: a registration, a poll and a report of
// the applied target, and the same again after another registration or for another server.
const mostCalls = 6

// converse starts an exchange if one is due and none is running.
func (a *agent) converse(ctx context.Context, hub *attach.Hub) error {
	if a.busy && a.holding && hub.Watching {
		if err := a.hangUp(ctx); err != nil {
			return err
		}
	}
	if a.busy || !a.call && time.Now().Before(a.pollAt) {
		return nil
	}
	if attempt := a.journal.Attempt; attempt != nil && a.journal.ours() && attempt.Phase != unconfirmed {
		return nil // the state to report is not known yet
	}
	if err := a.identify(ctx, hub); err != nil {
		return err
	}
	next := time.Now().Add(a.jitteredInterval())
	if err := a.connect(ctx, hub); err != nil || a.server == nil {
		a.call, a.pollAt = false, next
		return err
	}
	documents, err := a.documents(ctx)
	if err != nil {
		return err
	}
	exchange := exchange{dir: a.dir, server: a.server, base: a.base, device: a.uuid, lost: a.lost, enrolment: enrolment{labels: a.Labels, token: a.Token},
		config: serverapi.Config{}, confirms: a.confirming(), started: time.Now(), next: next}
	if a.uuid == a.lost {
		exchange.device = uuid.Nil
	}
	for view, document := range documents {
		if view != network.ControlDeviceView {
			exchange.config[view] = document
		}
	}
	exchange.report = a.report(exchange.config, documents)
	exchange.wait = a.patience(exchange)
	if a.call {
		a.calls++
	}
	a.call, a.busy, a.holding = false, true, exchange.wait > 0
	ctx, a.cut = context.WithCancelCause(ctx)
	a.exchanges.Go(func() {
		result := exchange.run(ctx)
		if errors.Is(context.Cause(ctx), errHungUp) {
			result.err = errHungUp
		}
		a.results <- result
		a.wake()
	})
	return nil
}

// errHungUp is the cause that ends a poll that is no longer needed.
var errHungUp = errors.New("hung up")

// hangUp ends a held poll of a server that the device no longer uses.
func (a *agent) hangUp(ctx context.Context) error {
	var device network.ControlDevice
	if err := a.device.Read(ctx, &device); err != nil && !errors.Is(err, registry.ErrNoData) {
		return err
	}
	if normal, err := serverapi.ParseURL(device.ServerURL); err != nil || a.server == nil || normal != a.server.URL() {
		a.cut(errHungUp)
	}
	return nil
}

// connect makes the client for the server in the registry. a.server is nil if there is no usable one.
func (a *agent) connect(ctx context.Context, hub *attach.Hub) error {
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
	a.lost, a.holds, a.longest = uuid.Nil, false, serverapi.MaxWait*time.Second
	return a.turnTo(ctx, hub, normal)
}

// turnTo restores the device's registration with a server that it used before.
func (a *agent) turnTo(ctx context.Context, hub *attach.Hub, server string) error {
	if a.registration == nil || a.registration.Server == server || a.registration.UUID != a.uuid {
		return nil
	}
	device, err := a.dir.Device()
	if err != nil || device.FormerAt(server) == nil {
		return nil //nolint:nilerr // identify has told
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err = a.dir.Change(ctx, func(device *state.Device) {
		if known := device.FormerAt(server); known != nil {
			device.Register(*known)
		}
		a.registration = device.Registration
	})
	if err != nil {
		a.trouble.note(ofState, err)
		return nil
	}
	a.lost = a.uuid // makes identify replace the registry's UUID
	if err := a.identify(ctx, hub); err != nil {
		return err
	}
	a.lost = uuid.Nil
	return nil
}

// documents returns the documents of the control views by name, without views that show nothing. Do not modify them.
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

// collect handles the result of an exchange, if there is one.
func (a *agent) collect(ctx context.Context, hub *attach.Hub) error {
	select {
	case result := <-a.results:
		return a.take(ctx, hub, result)
	default:
		return nil
	}
}

// take handles the result of an exchange. It returns errors of the registry.
func (a *agent) take(ctx context.Context, hub *attach.Hub, result outcome) error {
	a.busy = false
	a.cut(nil) // releases its context
	a.pollAt = result.next
	if result.registration != nil {
		a.registration, a.asked = result.registration, true
	}
	switch {
	case ctx.Err() != nil && result.err != nil:
		return result.err
	case errors.Is(result.err, errHungUp):
		a.call = true
		return nil
	case serverapi.IsNotRegistered(result.err) || serverapi.IsProblem(result.err, serverapi.ProblemUnknownKey):
		a.forgotten(result)
		return nil
	case result.err != nil && result.registration == nil:
		if !a.brokenOff(result) {
			a.failed(result.err)
		}
		return nil
	}
	if a.trouble.over(ofServer) {
		a.log.Info("server reached again", "server", result.server.URL(), "tries", a.retry.Failures())
	}
	if result.device == uuid.Nil {
		a.soon() // poll now that the server knows the device
		if result.err != nil {
			a.trouble.note(ofState, result.err)
		} else {
			a.trouble.over(ofState)
		}
		return a.identify(ctx, hub)
	}
	a.retry.Reset()
	a.lost = uuid.Nil
	a.obey(result)
	if later := result.answer.Later; later > 0 && a.journal.ours() {
		if err := a.journal.overtaken(later); err != nil {
			a.trouble.note(ofJournal, err)
		}
		a.soon()
	}
	if attempt := a.confirming(); attempt != nil && attempt == result.confirms {
		a.confirm()
	}
	if result.answer.Offer == nil {
		a.inStep()
		return nil
	}
	return a.consider(ctx, hub, result.answer.Offer)
}

// forgotten handles a server that does not know the device: the device registers again, at once the first time.
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

// failed schedules the next exchange after an error. The pauses grow.
func (a *agent) failed(err error) {
	pause := a.hastened(a.retry.Next())
	var refused *serverapi.Error
	if errors.As(err, &refused) && refused.RetryAfter > 0 {
		// Many devices may have been told the same time.
		pause = refused.RetryAfter + time.Duration(a.random()*float64(refused.RetryAfter))
		a.extend(refused.RetryAfter)
	}
	a.call, a.pollAt = false, time.Now().Add(pause)
	about := ofServer
	if own := (*state.Error)(nil); errors.As(err, &own) {
		about, err = ofState, own.Err // the server was not reached
	}
	a.trouble.note(about, err, "next-try", pause.Round(time.Millisecond))
}

// brokenOff reports whether a held poll was cut off, as some proxies do to idle connections. The next poll waits less
// long. It is only trouble if that one fails as well.
func (a *agent) brokenOff(result outcome) bool {
	held := time.Since(result.started)
	var refused *serverapi.Error
	byServer := errors.As(result.err, &refused) &&
		refused.Status != http.StatusBadGateway && refused.Status != http.StatusGatewayTimeout
	if held < shortestHold || result.wait < held || byServer || errors.Is(result.err, context.DeadlineExceeded) {
		return false
	}
	a.longest = max(held*3/4, shortestHold)
	pause := a.retry.Next()
	a.pollAt = time.Now().Add(pause)
	a.log.Debug("a held poll was cut off", "after", held, "error", result.err, "next-try", pause)
	return true
}
