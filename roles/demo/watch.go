package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"aspects-poc/roles/internal/poll"
	"aspects-poc/roles/serverapi"
)

// watch prints the devices whose state has changed, until ctx ends. It misses a state that ends before the next read.
func (s *stage) watch(ctx context.Context) {
	told, seen := map[string]string{}, map[string]string{}
	for poll.Sleep(ctx, s.interval) == nil {
		list, err := s.devices(ctx)
		if err != nil {
			continue // the server logs its own trouble
		}
		changed := map[string][]string{}
		for _, device := range list {
			name, is := nameOf(device), strings.ReplaceAll(device.State, "-", " ")
			if device.Attempted != nil && slices.Contains([]string{serverapi.StateRefused, serverapi.StateFailed}, device.State) {
				is += " (" + device.Attempted.Reason + ")"
			}
			if seen[name] == is && told[name] != is {
				changed[is] = append(changed[is], name)
				told[name] = is
			}
			seen[name] = is
		}
		for _, is := range slices.Sorted(maps.Keys(changed)) {
			s.out.say("Devices: %s: %s.", is, strings.Join(changed[is], ", "))
		}
	}
}

// awaitTarget waits until control's device reports that it runs a target. It gives up after some cycles.
func (s *stage) awaitTarget(ctx context.Context) error {
	const tries = 50
	for range tries {
		list, err := s.devices(ctx)
		if err == nil && slices.ContainsFunc(list, func(device serverapi.Device) bool {
			return nameOf(device) == deviceOfControl && device.Running != nil
		}) {
			return nil
		}
		if err := poll.Sleep(ctx, s.interval); err != nil {
			return err
		}
	}
	return nil
}

// deviceOfControl is the printed name of a device without the label "device.name".
const deviceOfControl = "the one of control"

// nameOf returns a device's printed name.
func nameOf(device serverapi.Device) string {
	if name := device.Labels["device.name"]; name != "" {
		return name + " in " + device.Labels["device.site"]
	}
	return deviceOfControl
}

// devices reads the devices from the server.
func (s *stage) devices(ctx context.Context) ([]serverapi.Device, error) {
	var page serverapi.DevicePage
	err := s.ask(ctx, http.MethodGet, "/devices/?limit=1000", nil, &page)
	return page.Devices, err
}

// ask sends a request to the server, as curl would.
func (s *stage) ask(ctx context.Context, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url()+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s%s: %s", method, s.url(), path, response.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
