package api_test

import (
	"strings"
	"testing"
)

// TestBatches sends batches of layers: a plan, its application, and each kind of refusal, which names the faulty change.
func TestBatches(t *testing.T) {
	base, _ := checking(t)
	device := registered(t, base, `{"site":"berlin"}`)
	const rate = `"config":{"control-telemetry":{"sample-rate":7}}`
	first := `{"revision":0,"changes":[{"layer":"everyone","revision":0,` + rate + `},` +
		`{"layer":"labels/b","selector":"device.site=berlin","config":{"control-telemetry":{"monitor-peers":true}}}]}`
	for _, step := range []struct {
		query, body string
		status      int
		want        []string
	}{
		{"?dry-run", first, 200, []string{`"revision":0`, `"action":"created"`, `"devices":1,"refusing":0`, `"selector":"device.site=berlin"`,
			`"writes":[{"path":"control-telemetry.monitor-peers","after":true,"kind":"added"}`, `"uuids":["` + device + `"]`}},
		{"?dry-run&full&after=", first, 200, []string{`"uuids":["` + device + `"]`}},
		{"?dry-run&full&after=nowhere", first, 422, []string{"after"}},
		{"?dry-run&full", first, 200, []string{`"uuids":["` + device + `"]`}},
		{"", first, 200, []string{`"revision":2`, `"layer":"everyone"`, `"layer":"labels/b"`}},
		{"", first, 412, []string{`"type":"urn:aspects-poc:problem:stale"`, "the fleet has revision 2 by now; make the plan again"}},
		{"", `{"changes":[{"layer":"everyone",` + rate + `}]}`, 200, []string{`"revision":1`}},
		{"?dry-run", `{"changes":[{"layer":"everyone","revision":0,` + rate + `},{"layer":"labels/b","remove":true,"revision":9}]}`, 412,
			[]string{`"field":"changes[0].revision"`, `"field":"changes[1].revision"`}},
		{"", `{"changes":[{"layer":"everyone","config":{"control-telemetry":{"sample-rate":"x"}}},` +
			`{"layer":"labels/c","config":{}},{"layer":"labels/d","selector":"a","config":{"nothing":{"x":1}}}]}`, 422,
			[]string{`"field":"changes[0].config.control-telemetry.sample-rate"`, `"field":"changes[1].selector"`, `"field":"changes[2].config.nothing`}},
		{"", `{"changes":[{"layer":"everyone",` + rate + `},{"layer":"everyone","remove":true}]}`, 422, []string{"twice"}},
		{"", `{"changes":[{"layer":"labels/none","remove":true}]}`, 422, []string{`"field":"changes[0].layer"`, "there is no such layer"}},
		{"", `{"changes":[{"layer":"devices/ca155b32-2472-4650-afb0-c6f967328afe",` + rate + `}]}`, 422, []string{"no such device"}},
		{"", `{"changes":[{"layer":"secrets/a",` + rate + `},{"layer":"x"},7,{"layer":"everyone","remove":1,"configg":{}}],"y":1}`, 422, []string{"y is not known here"}},
		{"", `{"changes":[{"layer":"secrets/a",` + rate + `},{"layer":"x"},7,{"layer":"everyone","remove":1,"configg":{}}]}`, 422,
			[]string{"changes[0].layer cannot be used: it is the name of a secret", "changes[1].layer", "changes[1].config is missing",
				"changes[2] must be an object, not a number", "changes[3].remove must be true or false", "did you mean config"}},
		{"", `{"changes":{}}`, 422, []string{"changes must be an array, not an object"}},
		{"?dry-run", `{"changes":[]}`, 200, []string{`"layers":[],"devices":0`}},
		{"?full=maybe", `{"changes":[]}`, 422, []string{"full"}},
	} {
		got := call(t, base, "POST", "/targets/"+step.query, step.body)
		if got.status != step.status {
			t.Errorf("%s %s: %d %s", step.query, step.body, got.status, got.body)
			continue
		}
		for _, want := range step.want {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s %s: %s lacks %s", step.query, step.body, got.body, want)
			}
		}
	}
	if got := call(t, base, "GET", "/targets/", ""); !strings.HasPrefix(got.body, `{"revision":2,`) {
		t.Error("a refused batch has changed something: " + got.body)
	}
	if got := call(t, base, "PUT", "/devices/"+device+"/name/", `{"name":"lobby"}`); got.status != 200 {
		t.Fatal(got)
	}
	named := call(t, base, "POST", "/targets/?dry-run", `{"changes":[{"layer":"devices/`+device+`","config":{"control-telemetry":{"sample-rate":9}}}]}`)
	for _, want := range []string{`"device-name":"lobby"`, `"names":{"` + device + `":"lobby"}`} {
		if !strings.Contains(named.body, want) {
			t.Errorf("%s lacks %s", named.body, want)
		}
	}
	if got := call(t, base, "GET", "/schema/", ""); got.status != 200 || !strings.Contains(got.body, `"control-telemetry"`) {
		t.Error(got)
	}
}
