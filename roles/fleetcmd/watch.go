package fleetcmd

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

// The pauses before a broken stream is opened again.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// follow calls do for each event until do returns false or an error, or the user interrupts. It continues after a
// broken connection: it then calls do with an event "lost".
func (s *session) follow(do func(serverapi.Event) (more bool, err error)) error {
	pause, more := firstPause, true
	for again := false; ; again = true {
		var failed error
		connected := func() bool {
			s.say("following %s", s.client.URL())
			if pause = firstPause; again {
				more, failed = do(serverapi.Event{Kind: "lost"})
			}
			return more && failed == nil
		}
		for event, err := range s.client.Events(s, connected) {
			if s.Err() != nil {
				return nil // the user has interrupted
			}
			if err != nil {
				if !passes(err) {
					return err
				}
				s.say("interrupted, still trying: %s", err)
				break
			}
			if more, failed = do(event); failed != nil || !more {
				break
			}
		}
		if failed != nil || !more {
			return failed
		}
		select {
		case <-s.Done():
			return nil
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		}
	}
}

// passes reports whether a failure may pass by itself. A refusal of the request does not.
func passes(err error) bool {
	var refused *serverapi.Error
	return !errors.As(err, &refused) || refused.Temporary() || refused.Status == http.StatusServiceUnavailable
}

func countFlag(of string) cli.Flag {
	return &cli.IntFlag{Name: "count", Usage: "end after this `NUMBER` of " + of + "; 0: never"}
}

func events(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "events", Usage: "print the server's events, for programs",
		Description: "Prints each event of the server when it comes: target with the revision and the layer; device with the ID of " +
			"a device that has changed or reported; release with the number of a release that has moved; lost if events are missing, so that " +
			"anything may have changed. It runs until it is interrupted, and connects again when the connection breaks.",
		UsageText: "aspects-poc fleet events --format json",
		Flags:     []cli.Flag{&cli.StringFlag{Name: "format", Value: "text", Usage: "print lines of `text|json`"}, countFlag("events")},
	}, 0, 0, func(s *session, _ []string) error {
		form := s.c.String("format")
		if form != "text" && form != "json" {
			return roles.Usagef("invalid value %q for --format: want text or json", form)
		}
		printed := 0
		return s.follow(func(event serverapi.Event) (bool, error) {
			text := fmt.Sprintf("%s %s%s", event.Kind, event.UUID, event.Layer)
			if event.Release != 0 {
				text += strconv.FormatInt(event.Release, 10)
			}
			if event.Revision != 0 {
				text += fmt.Sprintf(" revision %d", event.Revision)
			}
			if form == "json" || s.out.form == "json" {
				encoded, err := jsonvalue.Encode(event)
				if err != nil {
					return false, err
				}
				text = string(encoded)
			}
			_, err := fmt.Fprintln(env.Stdout, plain.Line(text))
			printed++
			return printed != s.c.Int("count"), err
		})
	})
}

// A changeShape is a line of watch.
type changeShape struct {
	At      int64              `json:"at"`
	Device  *serverapi.Device  `json:"device,omitempty"`
	Target  *serverapi.Event   `json:"target,omitempty"`
	Release *serverapi.Release `json:"release,omitempty"`
	Lost    bool               `json:"lost,omitempty"` // changes are missing
}

func watch(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "watch", Usage: "print changes as they come",
		Description: "Prints a line when a layer changes, when a release moves, and when a device's state, revision, name, labels or reason changes. Reports " +
			"without such a change print no line. It runs until it is interrupted, and connects again when the " +
			"connection breaks. With -o json each line is a JSON document.",
		UsageText: "aspects-poc fleet watch",
		Flags:     []cli.Flag{countFlag("changes")},
	}, 0, 0, func(s *session, _ []string) error {
		if s.out.form == "yaml" {
			return roles.Usagef("watch prints lines: want table, wide, json or name for --%s", flagOutput)
		}
		w := &watcher{session: s, last: map[uuid.UUID]string{}}
		return s.follow(w.event)
	})
}

// A watcher prints events for people.
//
// It has many methods because it has those of the session, which follows the events.
type watcher struct {
	*session
	last    map[uuid.UUID]string // the last printed text of a device
	release string               // the last printed text of a release
	printed int
}

// event prints a line for an event. It prints none that would repeat the device's last one.
func (w *watcher) event(event serverapi.Event) (more bool, err error) {
	shape := changeShape{At: now().Unix()}
	var text, name string
	look := usual
	switch id, invalid := uuid.Parse(event.UUID); {
	case event.Kind == "target":
		shape.Target = &event
		text, name, look = fmt.Sprintf("%s is now revision %d", shortLayer(event.Layer), event.Revision), event.Layer, note
	case event.Kind == "release":
		moved, err := w.client.Release(w, event.Release)
		if err != nil {
			return passes(err), nilIf(passes(err), err)
		}
		shape.Release = &moved
		text, name, look = fmt.Sprintf("release %d is %s, stage %d of %d", moved.ID, moved.Phase, moved.Stage, len(moved.Stages)),
			"releases/"+revision(moved.ID), phaseOf(moved).tone
		if moved.Why != "" {
			text += ": " + moved.Why
		}
		if w.release == text { // an earlier event has already printed the text
			return true, nil
		}
		w.release = text
	case event.Kind == "lost":
		shape.Lost = true
		text, name, look = "changes are missing here", "lost", warn
	case event.Kind == "device" && invalid == nil:
		device, err := w.client.Device(w, id)
		if isMissing(err) {
			return true, nil // the device was deleted
		}
		if err != nil {
			return passes(err), nilIf(passes(err), err)
		}
		device.Config, device.Differs = nil, nil // as in lists
		shape.Device, name = &device, id.String()
		state := stateOf(device)
		look = state.tone
		text = fmt.Sprintf("%s %s, runs revision %s of %s", w.out.called(id, device.Name), state.text, runs(device), revision(device.Desired.Revision))
		if why := reason(device.Attempted); why != "" && device.State != serverapi.StateInSync {
			text += ": " + why
		}
		if w.out.form == "wide" {
			text += " [" + labelsOf(device.Labels) + "]"
		}
		key := text + labelsOf(device.Labels)
		if w.last[id] == key {
			return true, nil
		}
		w.last[id] = key
	default:
		return true, nil // an event of a later server
	}
	switch w.out.form {
	case "json":
		encoded, err := jsonvalue.Encode(shape)
		if err != nil {
			return false, err
		}
		text = w.out.shown(string(encoded), plain.JSON)
	case "name":
		text = plain.Line(name)
	default:
		text = time.Unix(shape.At, 0).Format(time.TimeOnly) + " " + w.out.painted(plain.Line(text), look)
	}
	_, err = fmt.Fprintln(w.env.Stdout, text)
	w.printed++
	return w.printed != w.c.Int("count"), err
}

// nilIf returns nil if ignore is true, and else the error.
func nilIf(ignore bool, err error) error {
	if ignore {
		return nil
	}
	return err
}
