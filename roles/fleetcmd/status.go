package fleetcmd

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/urfave/cli/v2"
)

// A statusShape is the output of status.
type statusShape struct {
	Server string `json:"server"`
	serverapi.Summary
	Attention []attention        `json:"attention"`         // what needs a person
	Release   *serverapi.Release `json:"release,omitempty"` // what is being released
}

// An attention is a number of devices that need a person, and why.
type attention struct {
	Reason  string `json:"reason"` // a state, silent, cloned or unsigned
	Devices int    `json:"devices"`
	advice  string
}

// states has all states in the printed order.
var states = []string{serverapi.StateInSync, serverapi.StateBehind, serverapi.StateNew, serverapi.StateRefused,
	serverapi.StateFailed, serverapi.StateDrifted, serverapi.StatePending, serverapi.StateRevoked}

// attentions returns what needs a person. unsigned is the number of devices whose target is not signed.
func attentions(summary serverapi.Summary, unsigned int) []attention {
	list := []attention{}
	for _, one := range []attention{
		{"unsigned", unsigned, "not signed: they get their target when an operator has signed it; fleet sign"},
		{serverapi.StatePending, summary.States[serverapi.StatePending], "pending: approve or revoke them; fleet devices --state pending"},
		{serverapi.StateRefused, summary.States[serverapi.StateRefused], "refused: fleet devices --state refused -o wide says why"},
		{serverapi.StateFailed, summary.States[serverapi.StateFailed], "failed: fleet devices --state failed -o wide says why"},
		{serverapi.StateDrifted, summary.States[serverapi.StateDrifted], "drifted: fleet devices --state drifted, then fleet device ID"},
		{"silent", summary.Silent, "silent, for three poll intervals or more: fleet devices --silent"},
		{"cloned", summary.Cloned, "cloned, two machines with one identity: fleet devices --cloned"},
	} {
		if one.Devices > 0 {
			list = append(list, one)
		}
	}
	return list
}

const flagWait = "wait"

func status(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "status", Usage: "count devices by state, and say what needs a person",
		Description: "Counts the devices in each state, or those of a selector, and says which of them need a person. With --wait " +
			"it first waits until each device runs its target; it does not wait for silent, pending and revoked devices. It " +
			"fails when a device has refused or failed, or if there is no device to wait for, and exits with 3 when the time is over.",
		UsageText: "aspects-poc fleet status\n" +
			"aspects-poc fleet status --wait 5m -l stage=canary",
		Flags: []cli.Flag{
			selectorFlag(),
			&cli.DurationFlag{Name: flagWait, Usage: "longest `DURATION` to wait until all devices run their targets"},
		},
	}, 0, 0, func(s *session, _ []string) error {
		if s.c.Duration(flagWait) < 0 {
			return roles.Usagef("invalid value %q for --%s: must not be negative", s.c.Duration(flagWait), flagWait)
		}
		var waited error
		selector := s.c.String(flagSelector)
		if s.c.IsSet(flagWait) {
			if waited = s.awaitInSync(selector, s.c.Duration(flagWait)); waited != nil && !isVerdict(waited) {
				return waited
			}
		}
		summary, err := s.client.Summary(s)
		if err == nil && (selector != "" || s.c.IsSet(flagWait)) { // the server's counts may be some seconds old
			summary, err = s.count(summary, selector)
		}
		if err != nil {
			return err
		}
		unsigned, err := s.unsigned(summary, selector)
		if err != nil {
			return err
		}
		shape := statusShape{Server: s.client.URL(), Summary: summary, Attention: attentions(summary, unsigned)}
		if shape.Release, err = s.releasing(); err != nil {
			return err
		}
		return errors.Join(s.out.printOne(shape, s.client.URL(), func() error { return s.printStatus(shape) }), waited)
	})
}

// count returns a summary with the present counts of a selector's devices.
func (s *session) count(summary serverapi.Summary, selector string) (serverapi.Summary, error) {
	counted := serverapi.Summary{States: map[string]int{}, Waiting: summary.Waiting, Revision: summary.Revision}
	for _, state := range states {
		counted.States[state] = 0
	}
	for device, err := range s.client.Devices(s, operator.Filter{Selector: selector}) {
		if err != nil {
			return serverapi.Summary{}, err
		}
		counted.Devices++
		counted.States[device.State]++
		if device.Silent {
			counted.Silent++
		}
		if device.Cloned {
			counted.Cloned++
		}
		counted.Revision = max(counted.Revision, device.Desired.Revision)
	}
	return counted, nil
}

// unsigned returns the number of a selector's devices whose target is not signed.
func (s *session) unsigned(summary serverapi.Summary, selector string) (count int, err error) {
	if summary.States[serverapi.StateBehind]+summary.States[serverapi.StateRefused]+summary.States[serverapi.StateFailed] == 0 {
		return 0, nil
	}
	if _, err := s.client.Signature(s, false); err != nil { // most fleets have no signatures and need no list of devices
		if isMissing(err) {
			err = nil
		}
		return 0, err
	}
	for _, state := range []string{serverapi.StateBehind, serverapi.StateRefused, serverapi.StateFailed} {
		for device, err := range s.client.Devices(s, operator.Filter{Selector: selector, State: state}) {
			if err != nil {
				return 0, err
			}
			if isUnsigned(device) {
				count++
			}
		}
	}
	return count, nil
}

// releasing returns the active release; nil without one, or for a server that has no releases.
func (s *session) releasing() (*serverapi.Release, error) {
	for last, err := range s.client.Releases(s, 1) {
		if isMissing(err) || err == nil && !last.Active {
			return nil, nil
		}
		if err == nil {
			last, err = s.client.Release(s, last.ID)
		}
		return &last, err
	}
	return nil, nil
}

func (s *session) printStatus(shape statusShape) error {
	summary := shape.Summary
	counted := ""
	if summary.Age > 0 {
		counted = fmt.Sprintf(", counted %d s ago", summary.Age)
	}
	s.out.line("%s: %s, revision %d%s", s.client.URL(), devicesOf(summary.Devices), summary.Revision, counted)
	for _, state := range states {
		if count := summary.States[state]; count > 0 || state == serverapi.StateInSync {
			shown := stateOf(serverapi.Device{State: state})
			s.out.fact("  "+state, word{strconv.Itoa(count), shown.tone})
		}
	}
	if shape.Release != nil {
		s.out.line("")
		if err := s.printRelease(*shape.Release); err != nil {
			return err
		}
	}
	var advice []string
	if shape.Release != nil && shape.Release.NeedsWord {
		advice = append(advice, fmt.Sprintf("release %d: %s; fleet release go, or fleet release undo", shape.Release.ID, shape.Release.Phase))
	}
	for _, one := range shape.Attention {
		advice = append(advice, fmt.Sprintf("%d %s", one.Devices, one.advice))
	}
	for i, text := range advice {
		if i == 0 {
			s.out.line("")
			s.out.line("Needs a person:")
		}
		s.out.line("  %s", text)
	}
	return nil
}

// errUnsettled means that a device has refused its target, has failed or has drifted, so that a wait cannot succeed.
var errUnsettled = errors.New("not all devices run their targets")

func isVerdict(err error) bool {
	return errors.Is(err, errUnsettled) || errors.Is(err, roles.ErrNotYet)
}

// waitStep is the time between two requests.
const waitStep = time.Second

// awaitInSync waits until each device of a selector runs its target. It ignores silent devices.
func (s *session) awaitInSync(selector string, patience time.Duration) error {
	if err := s.matches(selector); err != nil {
		return err
	}
	over := time.Now().Add(patience)
	for {
		waiting, err := s.some(selector, serverapi.StateBehind, serverapi.StateNew)
		if err != nil {
			return err
		}
		if waiting == "" {
			break
		}
		left := time.Until(over)
		if left <= 0 {
			return fmt.Errorf("device %s does not run its target after %s: %w", waiting, patience, roles.ErrNotYet)
		}
		select {
		case <-s.Done():
			return s.Err()
		case <-time.After(min(waitStep, left)):
		}
	}
	unsettled, err := s.some(selector, serverapi.StateRefused, serverapi.StateFailed, serverapi.StateDrifted)
	if err == nil && unsettled != "" {
		err = fmt.Errorf("%w: device %s", errUnsettled, unsettled)
	}
	return err
}

// matches returns an error if a selector has no device.
func (s *session) matches(selector string) error {
	for _, err := range s.client.Devices(s, operator.Filter{Selector: selector, Page: 1}) {
		return err
	}
	return errNoDevice(selector)
}

// some returns a device that is in one of the states, and its state; "" if there is none.
func (s *session) some(selector string, states ...string) (string, error) {
	for _, state := range states {
		for device, err := range s.client.Devices(s, operator.Filter{Selector: selector, State: state, Silent: new(false), Page: 1}) {
			if err != nil {
				return "", err
			}
			return called(device.UUID, device.Name) + " (" + state + ")", nil
		}
	}
	return "", nil
}
