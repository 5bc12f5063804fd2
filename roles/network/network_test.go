package network_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
	"aspects-poc/registry/registrytest/testschema"
	"aspects-poc/roles/network"

	"github.com/google/go-cmp/cmp"
)

// structs are the typed forms of the views.
var structs = map[string]any{
	network.ControlDeviceView:     network.ControlDevice{},
	network.ObserveDeviceView:     network.ObserveDevice{},
	network.ControlInterfacesView: network.ControlInterfaces{},
	network.ObserveInterfacesView: network.ObserveInterfaces{},
	network.ControlTunnelView:     network.ControlTunnel{},
	network.ObserveTunnelView:     network.ObserveTunnel{},
	network.ControlTelemetryView:  network.ControlTelemetry{},
}

type rule struct {
	Request string
	Access  string
}

func rules(t *testing.T) map[string][]rule {
	t.Helper()
	var document struct {
		Views map[string]struct{ Rules []rule }
	}
	if err := json.Unmarshal(network.Document(""), &document); err != nil {
		t.Fatal(err)
	}
	views := map[string][]rule{}
	for name, view := range document.Views {
		views[name] = view.Rules
	}
	return views
}

// A view's struct has a field for the first name of each of its rules' requests, and no other.
func TestStructsAndDocumentAgree(t *testing.T) {
	views := rules(t)
	for name, typed := range structs {
		var fields, requests []string
		for _, field := range reflect.VisibleFields(reflect.TypeOf(typed)) {
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			fields = append(fields, tag)
		}
		for _, rule := range views[name] {
			first, _, _ := strings.Cut(rule.Request, ".")
			requests = append(requests, first)
		}
		slices.Sort(fields)
		slices.Sort(requests)
		if diff := cmp.Diff(slices.Compact(requests), fields); diff != "" {
			t.Errorf("%s: document and struct (-document +struct):\n%s", name, diff)
		}
	}
	if len(views) != len(structs) {
		t.Errorf("%d views in the document, %d structs", len(views), len(structs))
	}
}

func ptr[T any](value T) *T { return &value }

// What the structs write, the schema takes; what was written comes back through the structs.
func TestRoundTrip(t *testing.T) {
	schema, err := confdb.ParseDocument(network.Document(""))
	if err != nil {
		t.Fatal(err)
	}
	stats := map[string]network.InterfaceStats{"eth0": {NSent: 130, NReceived: 127}, "wlan0": {}}
	config := map[string]network.InterfaceConfig{
		"eth0": {InterfaceType: "ethernet", IPAddress: "172.16.0.3"}, "wlan0": {InterfaceType: "wifi", IPAddress: "192.168.0.104"},
	}
	peers := []string{"192.168.21.3", "192.168.151.225", "192.168.21.7"}
	const id = "ca155b32-2472-4650-afb0-c6f967328afe"
	telemetry := network.ControlTelemetry{SampleRate: ptr(0), MonitorPacketsSent: ptr(true),
		MonitorPacketsReceived: ptr(false), MonitorPeers: ptr(true)}

	tx := schema.Begin(databag.Bag{})
	for view, typed := range map[string]any{
		network.ControlDeviceView:     network.ControlDevice{ID: id, Registered: network.Unix(1719407517), ServerURL: "http://127.0.0.1:8000"},
		network.ControlInterfacesView: network.ControlInterfaces{Config: config, Stats: stats},
		network.ControlTunnelView:     network.ControlTunnel{Interface: "eth0", SecretKey: "s3cr3t", Peers: peers},
		network.ControlTelemetryView:  telemetry,
	} {
		if err := tx.Write(view, values(t, typed)); err != nil {
			t.Fatal(err)
		}
	}
	for view, want := range map[string]any{
		network.ControlDeviceView:     network.ControlDevice{ServerURL: "http://127.0.0.1:8000"},
		network.ObserveDeviceView:     network.ObserveDevice{UUID: id, Registered: "1719407517"},
		network.ControlInterfacesView: network.ControlInterfaces{Config: config, Stats: stats},
		network.ObserveInterfacesView: network.ObserveInterfaces{
			PacketsSent:     map[string]uint64{"eth0": 130, "wlan0": 0},
			PacketsReceived: map[string]uint64{"eth0": 127, "wlan0": 0},
			Eth0:            &network.Interface{Config: ptr(config["eth0"]), Stats: ptr(stats["eth0"])},
			Wlan0:           &network.Interface{Config: ptr(config["wlan0"]), Stats: ptr(stats["wlan0"])},
		},
		network.ControlTunnelView:    network.ControlTunnel{Interface: "eth0", Peers: peers},
		network.ObserveTunnelView:    network.ObserveTunnel{Peers: peers},
		network.ControlTelemetryView: telemetry,
	} {
		document, err := schema.Read(tx.Bag(), view, nil, confdb.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(want))
		text, _ := json.Marshal(document)
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(got.Interface()); err != nil {
			t.Fatalf("%s: %v", view, err)
		}
		if diff := cmp.Diff(want, got.Elem().Interface()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", view, diff)
		}
	}
}

func values(t *testing.T, typed any) map[string]any {
	t.Helper()
	text, err := json.Marshal(typed)
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestTimestamp(t *testing.T) {
	for text, want := range map[string]network.Timestamp{
		`1719407517`: "1719407517", `"2024-06-26 13:11:57"`: "2024-06-26 13:11:57", `null`: "",
	} {
		var got network.Timestamp
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
		if again, _ := json.Marshal(got); want != "" && string(again) != text {
			t.Errorf("%s became %s", text, again)
		}
	}
	for _, text := range []string{`true`, `1.5`, `{}`, `["x"]`} {
		var got network.Timestamp
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s was taken as %q", text, got)
		}
	}
}

// The contract suite of the registry's backends is run on a real snapd where the roles' confdb-schema is acknowledged, and
// recordings were made with it.
func TestContractSuiteHasTheSame(t *testing.T) {
	if diff := cmp.Diff(string(network.Document(testschema.AccountID)), string(testschema.Document())); diff != "" {
		t.Errorf("(-roles +suite):\n%s", diff)
	}
}

// The account ID of a build is in the document, in both headers, and in no other place of the sources.
func TestAccountID(t *testing.T) {
	for _, account := range []string{"", "Zk3VtPq9LmNw8RxYbC5dFgH2jS7aUeT4"} {
		var headers map[string]any
		if err := json.Unmarshal(network.Document(account), &headers); err != nil {
			t.Fatal(err)
		}
		if account == "" {
			account = network.AccountID
		}
		if headers["account-id"] != account || headers["authority-id"] != account || headers["name"] != network.Name {
			t.Errorf("headers %v %v %v, want account %s", headers["account-id"], headers["authority-id"], headers["name"], account)
		}
	}
}

func TestAccountIDStandsOnce(t *testing.T) {
	root := filepath.Join("..", "..")
	var found []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") ||
			strings.Contains(path, "registrytest") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), network.AccountID) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(root, "roles", "network", "network.go")}; !slices.Equal(found, want) {
		t.Errorf("the account ID stands in %q, want only %q", found, want)
	}
}

// The body has the layout that snapd checks: what encoding/json prints with an indent of two spaces.
func TestBodyLayout(t *testing.T) {
	var headers struct{ Body string }
	if err := json.Unmarshal(network.Document(""), &headers); err != nil {
		t.Fatal(err)
	}
	var body any
	if err := json.Unmarshal([]byte(headers.Body), &body); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(body, "", "  ")
	if err != nil || string(again) != headers.Body {
		t.Errorf("body is laid out otherwise: %v\n%s", err, headers.Body)
	}
}
