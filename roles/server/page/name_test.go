package page_test

import (
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
)

// TestNames shows a name wherever a device is shown, and finds the device by it.
func TestNames(t *testing.T) {
	w := example(t)
	if _, err := w.SetName(t.Context(), id, "lobby", "bob"); err != nil {
		t.Fatal(err)
	}
	w.set("bob", fleet.DeviceLayer(id), "", `{"control-telemetry":{"sample-rate":7}}`)
	for path, wants := range map[string][]string{
		"/page/devices/":                         {`<a class="name" href="` + id.String() + `/">lobby</a>`, id.String() + "</div>"},
		"/page/devices/?q=LOBB":                  {">lobby</a>"},
		"/page/devices/?sort=device":             {">lobby</a>"},
		"/page/devices/lobby/":                   {"<title>lobby · fleet</title>", "</span> lobby <span", id.String()},
		"/page/layers/":                          {`/">lobby <span class="small soft">devices/` + id.String()},
		"/page/history/":                         {"name: lobby", `lobby <span class="small soft">devices/` + id.String()},
		"/page/devices/" + id.String()[:5] + "/": {"<title>lobby · fleet</title>"},
	} {
		answer := get(w, path)
		for _, want := range wants {
			if body := answer.Body.String(); answer.Code != 200 || !strings.Contains(body, want) {
				t.Errorf("%s: %d, lacks %s:\n%s", path, answer.Code, want, body)
			}
		}
	}
	if answer := get(w, "/page/devices/lobby/chart/?kind=peers"); answer.Code != 200 {
		t.Errorf("chart: %d", answer.Code)
	}
	for path, want := range map[string]string{"/page/devices/hall/": "No device has the name &#34;hall&#34;.",
		"/page/devices/0000/": "No device has an ID that begins with &#34;0000&#34;."} {
		if answer := get(w, path); answer.Code != 404 || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
	if answer := get(w, "/page/devices/hall/chart/?kind=peers"); answer.Code != 404 {
		t.Errorf("chart: %d", answer.Code)
	}
}
