package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"aspects-poc/roles/network"
	"aspects-poc/roles/serverapi"
)

// An Act is something that happens to the fleet. It names devices, layers and servers by numbers, which are taken
// modulo what there is. Thus any part of a list of acts is a valid list.
type Act struct {
	Do       string            `json:"do"`
	Device   int               `json:"device,omitempty"`
	Server   int               `json:"server,omitempty"`
	Layer    string            `json:"layer,omitempty"` // "everyone", "labels/NAME", or "device" for that device's own
	Selector string            `json:"selector,omitempty"`
	Priority int64             `json:"priority,omitempty"`
	Config   serverapi.Config  `json:"config,omitzero"`
	Spelled  string            `json:"spelled,omitempty"` // what stands before the names of views, as they are sent
	Labels   map[string]string `json:"labels,omitempty"`
	Mood     string            `json:"mood,omitempty"`
	Name     string            `json:"name,omitempty"`
	Back     int               `json:"back,omitempty"`  // how far back: in the history, in a device's reports; of a release the number of its plan
	Pause    int               `json:"pause,omitempty"` // hundredths of an interval until the next act; 0: two intervals, and a look
}

// deeds are the acts, and how often each is drawn.
var deeds = []struct {
	do     string
	weight int
	fill   func(*Act, *rand.Rand)
}{
	{"set", 26, func(a *Act, r *rand.Rand) {
		a.Layer = pick(r, everyone, everyone, "labels/one", "labels/two", "labels/three", "device", "device")
		a.Config = configuration(r)
		if len(a.Layer) > 7 && a.Layer[:7] == "labels/" {
			a.Selector, a.Priority = pick(r, "device.site=a", "site=a", "site=b", "device.site!=a", "stage", "!stage", "site=a,stage=x"), int64(r.IntN(3))
		}
		a.Spelled = pick(r, "", "", network.Name+"/", network.AccountID+"/"+network.Name+"/")
	}},
	{"release", 9, func(a *Act, r *rand.Rand) {
		a.Layer = pick(r, everyone, everyone, everyone, "labels/one", "labels/two", "device")
		if a.Config = configuration(r); len(a.Layer) > 7 && a.Layer[:7] == "labels/" {
			a.Selector, a.Priority = pick(r, "device.site=a", "site=a", "!stage"), int64(r.IntN(3))
		}
		a.Back = r.IntN(len(plans))
	}},
	{"go", 8, nil},
	{"halt", 2, nil},
	{"undo", 2, nil},
	{"name", 3, func(a *Act, r *rand.Rand) { a.Name = pick(r, "lobby", "hall", "") }},
	{"remove", 7, func(a *Act, r *rand.Rand) {
		a.Layer = pick(r, everyone, "labels/one", "labels/two", "labels/three", "device")
	}},
	{"restore", 6, func(a *Act, r *rand.Rand) { a.Back = r.IntN(12) }},
	{"labels", 8, func(a *Act, r *rand.Rand) {
		a.Labels = map[string]string{}
		for name, values := range map[string][]string{"site": {"a", "b"}, "stage": {"x", "y"}} {
			if i := r.IntN(3); i < 2 {
				a.Labels[name] = values[i]
			}
		}
	}},
	{"mood", 14, func(a *Act, r *rand.Rand) { a.Mood = pick(r, obeys, obeys, obeys, refuses, fails, strays) }},
	{"drift", 7, func(a *Act, r *rand.Rand) { a.Config = configuration(r) }},
	{"reboot", 5, nil},
	{"leave", 4, nil},
	{"return", 8, nil},
	{"register", 3, nil},
	{"join", 2, func(a *Act, r *rand.Rand) { a.Mood = pick(r, "", "fresh") }},
	{"delete", 2, nil},
	{"revoke", 2, nil},
	{"approve", 4, nil},
	{"overtaken", 4, nil},
	{"repeat", 3, nil},
	{"stop", 3, func(a *Act, r *rand.Rand) { a.Back = r.IntN(120) }},
	{"kill", 4, func(a *Act, r *rand.Rand) { a.Back = r.IntN(120) }},
	{"backup", 2, nil},
	{"rollback", 2, nil},
	{"nothing", 3, nil},
}

func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }

// Acts draws a number of acts. Equal seeds draw equal acts.
func Acts(seed uint64, number int) []Act {
	r := rand.New(rand.NewPCG(seed, 0))
	sum := 0
	for _, deed := range deeds {
		sum += deed.weight
	}
	var list []Act
	for range number {
		n, i := r.IntN(sum), 0
		for ; n >= deeds[i].weight; i++ {
			n -= deeds[i].weight
		}
		a := Act{Do: deeds[i].do, Device: r.IntN(1000), Server: r.IntN(1000)}
		if deeds[i].fill != nil {
			deeds[i].fill(&a, r)
		}
		if r.IntN(2) == 0 {
			a.Pause = 1 + r.IntN(60)
		}
		list = append(list, a)
	}
	return list
}

// configuration draws a configuration that the confdb-schema permits.
func configuration(r *rand.Rand) serverapi.Config {
	config := serverapi.Config{}
	if r.IntN(4) > 0 {
		telemetry := map[string]any{}
		if r.IntN(5) > 0 {
			telemetry["sample-rate"] = json.Number(pick(r, "1", "2", "3", "4", "5"))
		}
		if r.IntN(3) == 0 {
			telemetry["monitor-peers"] = r.IntN(2) == 0
		}
		config["control-telemetry"] = telemetry
	}
	if r.IntN(3) == 0 {
		tunnel := map[string]any{}
		switch r.IntN(3) {
		case 0:
			tunnel["interface"] = nil
		case 1:
			tunnel["interface"] = pick(r, "eth0", "eth1")
		}
		if r.IntN(2) == 0 {
			tunnel["peers"] = []any{pick(r, "10.0.0.1", "10.0.0.2")}
		}
		config["control-tunnel"] = tunnel
	}
	return config
}

// Parse reads acts, one a line, in their printed form.
func Parse(content []byte) ([]Act, error) {
	var acts []Act
	for decoder := json.NewDecoder(bytes.NewReader(content)); decoder.More(); {
		var a Act
		decoder.UseNumber()
		if err := decoder.Decode(&a); err != nil {
			return nil, fmt.Errorf("cannot read act %d: %w", len(acts), err)
		}
		acts = append(acts, a)
	}
	return acts, nil
}
