package fleet_test

import (
	"errors"
	"strings"
	"testing"

	"aspects-poc/roles/network"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/storetest"
)

// A view has one name, however it is spelled: by operators, by devices, and in databases of before.
func TestOneNameForAView(t *testing.T) {
	t.Parallel()
	const rate = `"control-telemetry":{"sample-rate":`
	short, middle := `{`+rate+`9}}`, `{"network/control-telemetry":{"sample-rate":6}}`
	long := `{"` + network.AccountID + `/network/control-telemetry":{"sample-rate":6}}`

	t.Run("the later layer wins", func(t *testing.T) {
		w := newWorld(t, schema)
		id := w.device(nil)
		layer := w.set(fleet.Everyone, "", long)
		if got := layer.Config.String(); got != `{`+rate+`6}}` {
			t.Errorf("kept as %s", got)
		}
		preview, err := w.DryRun(t.Context(), w.change(fleet.DeviceLayer(id), "", short), nil, 1)
		if err != nil || preview.Devices != 1 || preview.Changes[0].Changes[0].Kind != "changed" {
			t.Errorf("a dry run tells %+v, %v", preview, err)
		}
		w.set(fleet.DeviceLayer(id), "", short)
		w.polls(id, middle, short)
		w.polls(id, `{"network/control-telemetry":{"sample-rate":9}}`, "")
		view, err := w.Fleet.Device(t.Context(), id)
		if err != nil || view.State != fleet.StateInSync || view.Report.Config.String() != short {
			t.Errorf("%s, reported %s, %v", view.State, view.Report.Config, err)
		}
		origins, err := view.Target.Explain()
		if err != nil || len(origins) != 1 || origins["control-telemetry.sample-rate"].Layer != fleet.DeviceLayer(id) {
			t.Errorf("explained as %v, %v", origins, err)
		}
	})

	t.Run("what is stored already", func(t *testing.T) {
		w := newWorld(t, schema)
		id := w.device(nil)
		for _, change := range []fleet.Change{w.change(fleet.Everyone, "", middle), w.change(fleet.DeviceLayer(id), "", short)} {
			if _, err := storetest.Change(t.Context(), w.store, change); err != nil {
				t.Fatal(err)
			}
		}
		again, err := fleet.Open(t.Context(), w.store, fleet.Options{Schema: network.Document("")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
		answer, err := again.Poll(t.Context(), id, fleet.Poll{Config: parse(t, long)})
		if err != nil || answer.Offer == nil || answer.Offer.Config.String() != short {
			t.Errorf("offered %+v, %v", answer.Offer, err)
		}
		entry, err := again.Entry(t.Context(), 1)
		if err != nil || entry.After.String() != `{`+rate+`6}}` {
			t.Errorf("the history has %s, %v", entry.After, err)
		}
		entries, err := again.Entries(t.Context(), fleet.Everyone, 0, 10)
		if err != nil || len(entries) != 1 || entries[0].After.String() != entry.After.String() {
			t.Errorf("the list of the history has %v, %v", entries, err)
		}
		// One view in two spellings was taken before.
		both := `{"network/control-telemetry":{"sample-rate":6,"monitor-peers":true},` + rate + `7}}`
		if _, err := storetest.Change(t.Context(), w.store, w.change(fleet.Everyone, "", both)); err != nil {
			t.Fatal(err)
		}
		layer, err := again.Layer(t.Context(), fleet.Everyone)
		if err != nil || layer.Config.String() != `{"control-telemetry":{"monitor-peers":true,"sample-rate":7}}` {
			t.Errorf("the layer is %s, %v", layer.Config, err)
		}
	})

	t.Run("refused", func(t *testing.T) {
		w := newWorld(t, schema)
		for _, test := range []struct{ config, path, text string }{
			{`{"network/control-telemetry":{},` + rate + `6}}`, "network/control-telemetry", `the same view as "control-telemetry"`},
			{`{"other/network/control-telemetry":{}}`, "other/network/control-telemetry", "another confdb-schema than " + network.AccountID + "/network"},
			{`{"a/b/c/d":{}}`, "a/b/c/d", "want VIEW, SCHEMA/VIEW or ACCOUNT/SCHEMA/VIEW"},
			{`{"network/control-telemtry":null}`, "control-telemtry", "did you mean control-telemetry?"},
			{`{"control-telemetry":{"sampel-rate":6}}`, "control-telemetry.sampel-rate", "no matching rule; did you mean sample-rate?"},
			{`{"network/control-telemetry":{"sample-rate":"fast"}}`, "control-telemetry.sample-rate", "expected int type"},
			{`{"control-interfaces":{"config":{"eth0":{"ip-address":"here"}}}}`, "control-interfaces.config.eth0.ip-address", ""},
		} {
			_, err := w.Set(t.Context(), w.change(fleet.Everyone, "", test.config))
			var refused *fleet.TargetError
			if !errors.As(err, &refused) || refused.Path != test.path || !strings.Contains(refused.Text, test.text) {
				t.Errorf("%s: %v", test.config, err)
			}
		}
	})
}
