package control

import (
	"context"
	"errors"
	"time"

	"aspects-poc/roles/internal/attach"
	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
)

// send starts an exchange if one is due and none is running: a poll with the report, or a registration.
func (a *agent) send(ctx context.Context, hub *attach.Hub) error {
	if a.talk.busy && a.talk.holding && hub.Watching {
		url, err := a.views.serverURL(ctx)
		if err != nil {
			return err
		}
		a.talk.hangUp(url)
	}
	if a.talk.busy || !a.talk.due() || !a.targets.reportable() {
		return nil
	}
	if err := a.identity.determine(ctx, hub); err != nil {
		return err
	}
	now := a.targets.standing()
	next := a.talk.next(now.interval)
	if err := a.connect(ctx, hub); err != nil || a.talk.server == nil {
		a.talk.atOnce, a.talk.at = false, next
		return err
	}
	documents, err := a.views.documents(ctx)
	if err != nil {
		return err
	}
	exchange := &exchange{device: a.identity.polling(), lost: a.identity.lost, config: serverapi.Config{}, confirms: now.confirms,
		started: time.Now(), next: next}
	for view, document := range documents {
		if view != network.ControlDeviceView {
			exchange.config[view] = document
		}
	}
	exchange.report = a.targets.report(exchange.config, a.talk.dir.Instance())
	exchange.report.Stats = a.counting.stats(documents)
	exchange.wait = a.talk.patience(exchange, now.retryAt)
	exchange.named = a.targets.withholds(a.talk.server.URL())
	a.talk.start(ctx, exchange)
	return nil
}

// connect connects to the server of the registry. If the device has used that server before, connect restores its
// registration there.
func (a *agent) connect(ctx context.Context, hub *attach.Hub) error {
	url, err := a.views.serverURL(ctx)
	if err != nil || !a.talk.connect(url) {
		return err
	}
	return a.identity.returnTo(ctx, hub, a.talk.server.URL())
}

// receive handles the result of an exchange. It returns errors of the registry.
func (a *agent) receive(ctx context.Context, hub *attach.Hub, result *outcome) error {
	a.talk.finish(result)
	if result.registration != nil {
		a.identity.registered(result.registration)
	}
	switch err := result.err; {
	case ctx.Err() != nil && err != nil:
		return err
	case errors.Is(err, errHungUp):
		a.talk.atOnce = true
		return nil
	case serverapi.IsNotRegistered(err) || serverapi.IsProblem(err, serverapi.ProblemUnknownKey) || a.talk.keyless(err):
		a.identity.lost = result.device
		return a.failed(ctx, hub, a.talk.forgotten(result))
	case err != nil && result.registration == nil:
		if a.talk.brokenOff(result) {
			return nil
		}
		return a.failed(ctx, hub, err)
	}
	a.talk.reached(result.server.URL())
	if result.device == uuid.Nil {
		a.talk.soon() // poll now that the server knows the device
		if result.err != nil {
			a.trouble.report(ofState, result.err)
		} else {
			a.trouble.clear(ofState)
		}
		return a.identity.determine(ctx, hub)
	}
	a.talk.retry.Reset()
	a.identity.lost = uuid.Nil
	if interval := a.talk.adopt(result, a.targets.standing().interval); interval > 0 {
		a.targets.pollEvery(interval)
	}
	if later := result.answer.Later; later > 0 && a.targets.journal.Held() {
		a.targets.overtaken(later)
		a.talk.soon()
	}
	return a.targets.answered(ctx, hub, result)
}

// failed schedules the next exchange after a failed one. It does nothing if err is nil.
func (a *agent) failed(ctx context.Context, hub *attach.Hub, err error) error {
	if err == nil {
		return nil
	}
	if busy := a.talk.failed(err, a.targets.standing()); busy > 0 {
		return a.targets.busy(ctx, hub, busy)
	}
	return nil
}
