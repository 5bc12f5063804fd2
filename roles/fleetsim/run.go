package fleetsim

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/sign"

	"github.com/google/uuid"
)

const (
	defaultLines   = 64
	defaultTimeout = 10 * time.Second
	// mostAhead is the largest number of requests that are signed ahead, some 2 KB each. aheadTime is the longest time
	// for that: a server accepts a signature for five minutes.
	mostAhead = 1 << 20
	aheadTime = 3 * time.Minute
)

// A fleet is one run.
type fleet struct {
	config  Config
	target  *target
	devices []*device
	tally   tally
	asked   atomic.Int64 // poll interval that the server asks for, in seconds
	// signing has one element for each device that signs at the moment. If all devices signed at once, those that have
	// connected would wait for the processor, and the server closes connections without a request.
	signing chan struct{}
}

// Run registers the devices, and lets them poll until the duration has passed or ctx ends. The summary counts failed
// polls. Run returns an error if the devices cannot register.
func Run(ctx context.Context, config Config) (Summary, error) {
	if err := config.check(); err != nil {
		return Summary{}, err
	}
	if config.Timeout == 0 {
		config.Timeout = defaultTimeout
	}
	if config.Lines == 0 {
		config.Lines = min(defaultLines, config.Devices)
	}
	if config.Progress == nil {
		config.Progress = func(string, int, int) {}
	}
	f := &fleet{config: config, signing: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
	var err error
	if f.target, err = newTarget(config); err != nil {
		return Summary{}, err
	}
	begin := time.Now()
	if err := f.register(ctx); err != nil {
		return Summary{}, err
	}
	f.tally.registration = time.Since(begin)
	if config.Wait > 0 {
		err = f.waitAll(ctx)
	} else {
		err = f.pollAll(ctx)
	}
	if err != nil {
		return Summary{}, err
	}
	return f.tally.summary(config), nil
}

func newTarget(config Config) (*target, error) {
	normal, err := serverapi.ParseURL(config.Server)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(normal)
	if err != nil {
		return nil, err
	}
	t := &target{base: base, authority: sign.Authority(base.Scheme, base.Host)}
	port := base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[base.Scheme]
	}
	t.address = net.JoinHostPort(base.Hostname(), port)
	if base.Scheme == "https" {
		transport, err := serverapi.NewTransport(config.CAFile)
		if err != nil {
			return nil, err
		}
		t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if transport.TLSClientConfig != nil {
			t.tls = transport.TLSClientConfig.Clone()
		}
		t.tls.ServerName = base.Hostname()
		t.tls.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return t, nil
}

func (f *fleet) line() *line { return &line{target: f.target, timeout: f.config.Timeout} }

// inParallel calls do for each device, on several lines in parallel. The first error ends it.
func (f *fleet) inParallel(ctx context.Context, phase string, do func(context.Context, *line, *device) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var workers sync.WaitGroup
	for range f.config.Lines {
		workers.Go(func() {
			line := f.line()
			defer line.close()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(f.devices) {
					return
				}
				if err := do(ctx, line, f.devices[i]); err != nil {
					cancel(err)
					return
				}
				f.config.Progress(phase, int(done.Add(1)), len(f.devices))
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// register registers all devices with the server.
func (f *fleet) register(ctx context.Context) error {
	keys := newRing(f.config.Devices, f.config.Seed)
	f.devices = make([]*device, f.config.Devices)
	for i, kind := range f.config.Odd.kinds(f.config.Devices, f.config.Seed) {
		f.devices[i] = newDevice(i, nil)
		f.devices[i].kind = kind
	}
	err := f.inParallel(ctx, "registered", func(ctx context.Context, line *line, d *device) error {
		key := keys.key(d.number)
		public, err := key.publicPEM()
		if err != nil {
			return err
		}
		if !f.config.Unsigned {
			if d.signer, err = sign.NewSigner(key); err != nil {
				return err
			}
		}
		body, err := d.registration(public, f.config.Token, f.config.Labels, f.config.Names)
		if err != nil {
			return err
		}
		request, err := d.prepare(f.target, "/register/", body, time.Now(), 0)
		if err != nil {
			return err
		}
		response, content, err := line.exchange(ctx, request.text, 0)
		if err != nil {
			return fmt.Errorf("cannot register device %d: %w", d.number, err)
		}
		f.learn(response)
		var answer serverapi.RegisterResponse
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("cannot register device %d: %s answers %s", d.number, f.config.Server, refusal(response, content))
		}
		if err := json.Unmarshal(content, &answer); err != nil || answer.UUID == uuid.Nil {
			return fmt.Errorf("cannot register device %d: the answer of %s is not a fleet server's", d.number, f.config.Server)
		}
		if answer.Status == serverapi.Pending {
			return fmt.Errorf("cannot go on: %s lets devices poll only after an operator's approval; use --enrolment-token",
				f.config.Server)
		}
		d.id = answer.UUID
		return nil
	})
	f.devices = slices.DeleteFunc(f.devices, func(d *device) bool { return d.kind == silent })
	return err
}

// learn records the poll interval of an answer.
func (f *fleet) learn(response *http.Response) {
	if seconds, err := strconv.ParseInt(response.Header.Get(serverapi.PollInterval), 10, 32); err == nil && seconds > 0 {
		f.asked.Store(seconds)
	}
}

// rate returns the number of polls that are due in a second.
func (f *fleet) rate() float64 {
	interval := f.config.Interval
	if interval == 0 {
		interval = time.Duration(max(f.asked.Load(), 1)) * time.Second
		if f.asked.Load() == 0 {
			interval = time.Minute
		}
	}
	if f.config.Rate > 0 {
		return f.config.Rate
	}
	return float64(len(f.devices)) / interval.Seconds()
}

// pollAll makes polls due at a fixed rate, for the devices in turn.
func (f *fleet) pollAll(ctx context.Context) error {
	rate := f.rate()
	total := max(int(rate*f.config.Duration.Seconds()), 1)
	due := func(i int) time.Duration { return time.Duration(float64(i) / rate * float64(time.Second)) }
	ahead, err := f.signAhead(ctx, total, due)
	if err != nil {
		return err
	}
	start := time.Now()
	f.tally.begin(start, rate)
	var next, done atomic.Int64
	var workers sync.WaitGroup
	for range f.config.Lines {
		workers.Go(func() {
			line := f.line()
			defer line.close()
			for {
				i := int(next.Add(1)) - 1
				if i >= total {
					return
				}
				at := start.Add(due(i))
				if !sleepUntil(ctx, at) {
					return
				}
				var made prepared
				if i < len(ahead) {
					made, ahead[i] = ahead[i], prepared{} // lets the memory go
				}
				f.poll(ctx, line, f.devices[i%len(f.devices)], made, at)
				f.config.Progress("polled", int(done.Add(1)), total)
			}
		})
	}
	workers.Wait()
	f.tally.end(time.Now())
	return nil
}

// signAhead signs the requests of polls ahead. It returns nil if a signature would expire before the last poll is due.
func (f *fleet) signAhead(ctx context.Context, total int, due func(int) time.Duration) ([]prepared, error) {
	if f.config.Unsigned || f.config.Changed {
		return nil, nil // the content of a poll is not known yet, or a signature costs nothing
	}
	begin := time.Now()
	ahead := make([]prepared, min(total, mostAhead))
	var next, done atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for ctx.Err() == nil && failed.Load() == nil && time.Since(begin) < aheadTime {
				i := int(next.Add(1)) - 1
				if i >= len(ahead) {
					return
				}
				d := f.devices[i%len(f.devices)]
				d.mu.Lock()
				body, err := d.poll(false)
				if err == nil {
					ahead[i], err = d.prepare(f.target, "/poll/", body, begin.Add(due(i)), 0)
				}
				d.mu.Unlock()
				if err != nil {
					failed.Store(&err)
					return
				}
				f.config.Progress("signed ahead", int(done.Add(1)), len(ahead))
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	f.tally.ahead = time.Since(begin)
	return ahead, ctx.Err()
}

// poll lets a device poll. After the device has applied a target it polls again at once to report, as control does.
func (f *fleet) poll(ctx context.Context, line *line, d *device, made prepared, due time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range 3 {
		body, err := d.poll(f.config.Changed)
		if err == nil && (made.text == nil || !bytes.Equal(made.body, body)) {
			f.signing <- struct{}{}
			made, err = d.prepare(f.target, "/poll/", body, time.Now(), f.config.Wait)
			<-f.signing
		}
		if err != nil {
			f.tally.failed("internal: " + err.Error())
			return
		}
		response, content, err := line.exchange(ctx, made.text, f.config.Wait)
		now := time.Now()
		if err != nil {
			if ctx.Err() == nil {
				f.tally.failed(wordOf(err))
			}
			return
		}
		f.learn(response)
		made = prepared{}
		if f.config.Acknowledged != nil && f.config.Changed && response.StatusCode < 300 {
			f.config.Acknowledged(d.id, d.counted)
		}
		switch response.StatusCode {
		case http.StatusNoContent:
			f.tally.answered(now.Sub(due), false)
			return
		case http.StatusOK:
			f.tally.answered(now.Sub(due), true)
			var offer serverapi.Offer
			if err := jsonvalue.DecodeFirst(content, &offer); err != nil {
				f.tally.failed("an answer that is not a fleet server's")
				return
			}
			news, err := d.apply(offer, now)
			if err != nil {
				f.tally.failed(err.Error())
			}
			if !news {
				return
			}
			due = now
		default:
			f.tally.failed(refusal(response, content))
			return
		}
	}
}

// waitAll lets each device wait for changes on a line of its own, again and again.
func (f *fleet) waitAll(ctx context.Context) error {
	f.tally.begin(time.Now(), 0)
	ctx, cancel := context.WithTimeout(ctx, f.config.Duration)
	defer cancel()
	var done atomic.Int64
	var workers sync.WaitGroup
	spread := min(time.Duration(len(f.devices))*time.Millisecond/2, f.config.Duration/4)
	for i, d := range f.devices {
		workers.Go(func() {
			// A real fleet does not begin in one moment.
			if !sleepUntil(ctx, f.tally.started.Add(spread*time.Duration(i)/time.Duration(len(f.devices)))) {
				return
			}
			line := f.line()
			defer line.close()
			for ctx.Err() == nil {
				before := f.tally.failures()
				f.poll(ctx, line, d, prepared{}, time.Now())
				f.config.Progress("polled", int(done.Add(1)), 0)
				if f.tally.failures() != before && !sleepUntil(ctx, time.Now().Add(time.Second)) {
					return
				}
			}
		})
	}
	workers.Wait()
	f.tally.end(time.Now())
	return nil
}

// sleepUntil waits until at. It reports whether ctx has not ended.
func sleepUntil(ctx context.Context, at time.Time) bool {
	pause := time.Until(at)
	if pause <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// refusal describes an answer that refuses the request.
func refusal(response *http.Response, content []byte) string {
	var problem serverapi.Problem
	if json.Unmarshal(content, &problem) == nil && problem.Detail != "" {
		return fmt.Sprintf("%d: %s", response.StatusCode, problem.Detail)
	}
	return response.Status
}

// wordOf describes a failure without the parts that differ between connections.
func wordOf(err error) string {
	var failed *net.OpError
	if errors.As(err, &failed) {
		err = failed.Err
		if failed.Timeout() {
			return "no answer in time"
		}
	}
	return err.Error()
}
