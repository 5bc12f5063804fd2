package signed_test

import (
	"strings"
	"testing"

	"aspects-poc/roles/serverapi/signed"

	"github.com/google/uuid"
)

// planned returns the targets of two devices, the second with the label site=berlin.
func planned(layers ...signed.Layer) ([]string, error) {
	manifest := signed.Manifest{Layers: layers, Devices: []signed.Device{
		{Key: strings.Repeat("a", 43), UUID: uuid.NewSHA1(uuid.Nil, []byte{1})},
		{Key: strings.Repeat("b", 43), UUID: uuid.NewSHA1(uuid.Nil, []byte{2}), Labels: map[string]string{"site": "berlin"}},
	}}
	if err := manifest.Plan(); err != nil {
		return nil, err
	}
	return []string{manifest.Devices[0].Targets[0], manifest.Devices[1].Targets[0]}, nil
}

// TestOrderOfServer does not believe a server in which order it puts layers one above the other.
func TestOrderOfServer(t *testing.T) {
	of := func(rate int) map[string]any {
		return map[string]any{"control-telemetry": map[string]any{"sample-rate": rate}}
	}
	list := []signed.Layer{
		{Layer: "everyone", Config: of(1)},
		{Layer: "labels/a", Selector: "site", Priority: 2, Config: of(2)},
		{Layer: "labels/b", Selector: "site=berlin", Priority: 1, Config: of(3)},
		{Layer: "labels/c", Selector: "site=berlin", Priority: 2, Config: of(4)},
	}
	want, err := planned(list[3])
	if err != nil {
		t.Fatal(err)
	}
	for turn := range list {
		turned := append(append([]signed.Layer{}, list[turn:]...), list[:turn]...)
		if got, err := planned(turned...); err != nil || got[1] != want[1] {
			t.Errorf("turned by %d, the device gets another target: %v, %v", turn, got, err)
		}
	}
	own := signed.Layer{Layer: "devices/" + uuid.NewSHA1(uuid.Nil, []byte{2}).String(), Config: of(9)}
	last, err := planned(signed.Layer{Layer: "labels/c", Selector: "site", Config: of(9)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := planned(append([]signed.Layer{own}, list...)...); err != nil || got[1] != last[1] {
		t.Errorf("the device's own layer is not above the others: %v, %v", got, err)
	}
}

// TestLayersOfServer refuses layers that no fleet can have.
func TestLayersOfServer(t *testing.T) {
	id := uuid.NewSHA1(uuid.Nil, []byte{2}).String()
	for name, test := range map[string]struct {
		layers []signed.Layer
		want   string
	}{
		"selector of labels":   {[]signed.Layer{{Layer: "labels/berlin"}}, "must name labels"},
		"blank selector":       {[]signed.Layer{{Layer: "labels/berlin", Selector: " "}}, "must name labels"},
		"selector of everyone": {[]signed.Layer{{Layer: "everyone", Selector: "site"}}, "belongs to layers of labels"},
		"selector of a device": {[]signed.Layer{{Layer: "devices/" + id, Selector: "site"}}, "belongs to layers of labels"},
		"priority of everyone": {[]signed.Layer{{Layer: "everyone", Priority: 1}}, "belongs to layers of labels"},
		"twice":                {[]signed.Layer{{Layer: "everyone"}, {Layer: "everyone"}}, "is there twice"},
		"a device twice":       {[]signed.Layer{{Layer: "devices/" + id}, {Layer: "devices/" + id}}, "is there twice"},
		"another letter":       {[]signed.Layer{{Layer: "dev\u0456ces/" + id[:13]}}, "a layer is"},
		"a short device":       {[]signed.Layer{{Layer: "devices/" + id[:13]}}, "a layer is"},
		"capitals":             {[]signed.Layer{{Layer: "devices/" + strings.ToUpper(id)}}, "a layer is"},
		"a slash":              {[]signed.Layer{{Layer: "labels/a/b", Selector: "site"}}, "slash"},
		"no name":              {[]signed.Layer{{Layer: ""}}, "a layer is"},
		"a secret":             {[]signed.Layer{{Layer: "secrets/vpn"}}, "a layer is"},
	} {
		for i := range test.layers {
			test.layers[i].Config = map[string]any{}
		}
		if _, err := planned(test.layers...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	manifest := signed.Manifest{Devices: []signed.Device{{Key: deviceKey(1)}, {Key: deviceKey(2)}}}
	if err := manifest.Plan(); err == nil {
		t.Error("two devices have one UUID")
	}
}
