package api_test

import (
	"fmt"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"

	"github.com/google/uuid"
)

// TestNames gives devices names, and uses names and beginnings of IDs wherever a device is named.
func TestNames(t *testing.T) {
	next := 0
	base, _ := checking(t, func(o *fleet.Options) {
		o.NewID = func() (uuid.UUID, error) {
			next++
			return uuid.Parse(fmt.Sprintf("3f2a%d000-0000-4000-8000-000000000000", next))
		}
	})
	berlin, paris := registered(t, base, `{"name":"lobby"}`), registered(t, base, `{"site":"paris"}`)
	for _, step := range []struct {
		name, method, path, body string
		status                   int
		want                     []string // parts of the answer; {B} and {P} are the devices
	}{
		{"what a device says of itself is no name", "GET", "/devices/lobby/", "", 404, []string{`No device has the name \"lobby\"`}},
		{"a name", "PUT", "/devices/{B}/name/", `{"name":"hall"}`, 200, []string{`"uuid":"{B}"`, `"name":"hall"`, `"device.name":"lobby"`}},
		{"taken", "PUT", "/devices/{P}/name/", `{"name":"hall"}`, 409, []string{"The device {B} has the name hall already"}},
		{"like an ID", "PUT", "/devices/{P}/name/", `{"name":"cafe"}`, 422, []string{`"field":"name"`, "must not look like the beginning of an ID"}},
		{"odd", "PUT", "/devices/{P}/name/", `{"name":"Ha ll"}`, 422, []string{`"field":"name"`, "must be lower-case"}},
		{"no name", "PUT", "/devices/{P}/name/", `{}`, 422, []string{`"field":"name"`}},
		{"empty", "PUT", "/devices/{P}/name/", `{"name":""}`, 422, []string{`"field":"name"`}},
		{"by name", "GET", "/devices/hall/", "", 200, []string{`"uuid":"{B}"`}},
		{"in any case", "GET", "/devices/HALL/", "", 200, []string{`"uuid":"{B}"`}},
		{"by a beginning", "GET", "/devices/{b}/", "", 200, []string{`"uuid":"{B}"`}},
		{"ambiguous", "GET", "/devices/{a}/", "", 409, []string{"Several devices have an ID that begins with", "{B}", "{P}"}},
		{"none begins so", "GET", "/devices/0000/", "", 404, []string{"No device has an ID that begins with"}},
		{"neither", "GET", "/devices/%3Cb%3E/", "", 422, []string{`"field":"uuid"`, "must be the ID of a device"}},
		{"the state", "GET", "/state/hall/", "", 200, []string{`"arch":"amd64"`}},
		{"no state", "GET", "/state/nobody/", "", 400, nil},
		{"labels by name", "PATCH", "/devices/hall/labels/", `{"site":"berlin"}`, 200, []string{`"uuid":"{B}"`}},
		{"a layer by name", "PUT", "/targets/devices/hall/", `{"config":{"control-telemetry":{"sample-rate":4}}}`, 200, []string{`"layer":"devices/{B}"`}},
		{"the layer", "GET", "/targets/devices/{b}/", "", 200, []string{`"layer":"devices/{B}"`}},
		{"the target", "GET", "/devices/hall/target/", "", 200, []string{`"layers":["devices/{B}"]`}},
		{"statistics", "GET", "/devices/hall/stats/", "", 200, []string{`"points":[]`}},
		{"layers", "GET", "/targets/", "", 200, []string{`"layer":"devices/{B}","device-name":"hall"`}},
		{"history", "GET", "/history/?layer=devices/hall", "", 200, []string{`"layer":"devices/{B}","device-name":"hall","action":"name","name":"hall"`}},
		{"no history", "GET", "/history/?layer=devices/nobody", "", 404, nil},
		{"odd history", "GET", "/history/?layer=devices/%3C", "", 422, []string{`"field":"layer"`}},
		{"list by name", "GET", "/devices/?name=hall", "", 200, []string{`"uuid":"{B}"`, `"name":"hall"`}},
		{"list of none", "GET", "/devices/?name=nobody", "", 200, []string{`{"devices":[]}`}},
		{"search", "GET", "/devices/?q=hal", "", 200, []string{`"uuid":"{B}"`}},
		{"approve by name", "POST", "/devices/hall/approve/", "", 200, []string{`"uuid":"{B}"`}},
		{"the name away", "DELETE", "/devices/hall/name/", "", 200, []string{`"uuid":"{B}"`}},
		{"gone", "GET", "/devices/hall/", "", 404, nil},
		{"restored", "POST", "/history/1/restore/", "", 200, []string{`"action":"name","name":"hall"`}},
		{"removed by name", "DELETE", "/devices/hall/", "", 204, nil},
		{"free", "PUT", "/devices/{P}/name/", `{"name":"hall"}`, 200, []string{`"uuid":"{P}"`}},
	} {
		fill := strings.NewReplacer("{B}", berlin, "{P}", paris, "{b}", "3f2a1", "{a}", "3f2a")
		got := call(t, base, step.method, fill.Replace(step.path), step.body)
		if got.status != step.status {
			t.Errorf("%s: %d %s", step.name, got.status, got.body)
		}
		for _, part := range step.want {
			if part = fill.Replace(part); !strings.Contains(got.body, part) {
				t.Errorf("%s: %s lacks %s", step.name, got.body, part)
			}
		}
	}
}
