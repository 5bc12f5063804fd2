package release_test

import (
	"fmt"
	"testing"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/uuid"
)

// A fleet is devices, as the rules of admission see them.
type fleet []release.Candidate

func newFleet(of int64, n int) fleet {
	var list fleet
	for i := range n {
		id := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i, of))
		list = append(list, release.Candidate{Seen: true, Device: release.Device{ID: id, Place: release.Place(of, id),
			Labels: map[string]string{"site": fmt.Sprint("s", i%3), "ring": fmt.Sprint(i % 10)}}})
	}
	return list
}

func stageOf(d release.Device, so release.Admitted) int {
	return so.Stage(d, func(selector string) bool { return "ring="+d.Labels["ring"] == selector })
}

// begin begins a stage.
func (f fleet) begin(stage release.Stage, so release.Admitted) release.Admitted {
	for i := range f {
		f[i].Admitted = stageOf(f[i].Device, so) > 0
	}
	return append(so, stage.Admission(f))
}

func (f fleet) admitted(so release.Admitted, label string) (n int, of map[string]int) {
	of = map[string]int{}
	for _, d := range f {
		if stageOf(d.Device, so) > 0 {
			n++
			of[d.Labels[label]]++
		}
	}
	return n, of
}

// TestAdmissionIsExact begins the stages of plans one after the other, and counts who is admitted.
func TestAdmissionIsExact(t *testing.T) {
	devices := newFleet(7, 9000)
	for text, want := range map[string][]int{
		`{"stages":[{"devices":1},{"percent":1},{"percent":10},{"percent":100}]}`:  {1, 90, 900, 9000},
		`{"stages":[{"selector":"ring=3"},{"percent":5},{"percent":20}]}`:          {900, 900, 1800, 9000},
		`{"stages":[{"devices":2,"spread":"site"},{"percent":1,"spread":"site"}]}`: {6, 90, 9000},
		`{"stages":[{"percent":0.01}]}`:                                            {1, 9000},
	} {
		plan := parse(t, text)
		var so release.Admitted
		stages := map[int]int{}
		for number, stage := range plan.Stages {
			so = devices.begin(stage, so)
			got, of := devices.admitted(so, "site")
			if got != want[number] {
				t.Errorf("%s: stage %d has %d devices, want %d", text, number+1, got, want[number])
			}
			if stage.Spread != "" && (of["s0"] != of["s1"] || of["s1"] != of["s2"]) {
				t.Errorf("%s: stage %d has %v of the sites", text, number+1, of)
			}
			for i, d := range devices { // who is in stays in, in the same stage
				now := stageOf(d.Device, so)
				if was := stages[i]; was > 0 && now != was {
					t.Fatalf("%s: a device of stage %d is of stage %d then", text, was, now)
				}
				stages[i] = now
			}
		}
	}
}

// TestAdmissionOfLaterDevices judges devices that registered after the stage began.
func TestAdmissionOfLaterDevices(t *testing.T) {
	devices, later := newFleet(7, 9000), newFleet(8, 9000)
	for text, want := range map[string][2]int{
		`{"stages":[{"percent":10}]}`:                  {800, 1000},
		`{"stages":[{"percent":10,"spread":"place"}]}`: {800, 1000},
		`{"stages":[{"percent":100}]}`:                 {9000, 9000},
	} {
		stage := parse(t, text).Stages[0]
		so := devices.begin(stage, nil)
		for i := range later {
			later[i].Labels["place"] = "new"
		}
		if got, _ := later.admitted(so, ""); got < want[0] || got > want[1] {
			t.Errorf("%s admits %d of 9000 later ones", text, got)
		}
	}
	stage := release.Stage{Devices: 1, Spread: "place"}
	if got, _ := later.admitted(devices.begin(stage, nil), ""); got != 0 {
		t.Errorf("%d devices of a new place are admitted", got)
	}
}

// TestAdmissionOfSilentDevices has most devices silent.
func TestAdmissionOfSilentDevices(t *testing.T) {
	for text, want := range map[string][2]int{ // admitted, and of these seen
		`{"stages":[{"devices":3}]}`:                 {3, 3},
		`{"stages":[{"devices":30}]}`:                {10, 10},
		`{"stages":[{"percent":0.01}]}`:              {2, 1}, // one more, so that there is one that answers
		`{"stages":[{"devices":1,"spread":"site"}]}`: {3, 3},
	} {
		devices := newFleet(7, 9000)
		last := uint64(0)
		for i := range devices {
			devices[i].Seen = i < 10
			last = max(last, devices[i].Place)
		}
		so := devices.begin(parse(t, text).Stages[0], nil)
		all, seen := 0, 0
		for _, d := range devices {
			if stageOf(d.Device, so) > 0 {
				all++
				if d.Seen {
					seen++
				}
			}
		}
		if all != want[0] || seen != want[1] {
			t.Errorf("%s admits %d, of which %d were seen, want %v", text, all, seen, want)
		}
	}
	devices := newFleet(7, 100)
	for i := range devices {
		devices[i].Seen = false
	}
	if n, _ := devices.admitted(devices.begin(parse(t, `{"stages":[{"percent":10}]}`).Stages[0], nil), ""); n != 10 {
		t.Errorf("%d of 100 silent ones are admitted", n)
	}
}

func TestPlaceIsFixed(t *testing.T) {
	id := uuid.MustParse("b3f1f5d0-7c2a-4f0e-9a51-0d6a6f5c1e11")
	if got := release.Place(12, id); got != 0x4c1c7fe05ebfd116 {
		t.Errorf("the place is %#x: stored admissions would mean other devices", got)
	}
	if release.Place(12, id) == release.Place(13, id) {
		t.Error("a device has the same place in each release")
	}
}
