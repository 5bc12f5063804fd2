package release_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"aspects-poc/roles/server/fleet/release"

	"github.com/google/go-cmp/cmp"
)

const within = 2 * time.Minute

func selector(text string) error {
	if strings.Contains(text, " ") {
		return errors.New("has a space")
	}
	return nil
}

func parse(t *testing.T, text string) release.Plan {
	t.Helper()
	plan, err := release.Parse([]byte(text), within, selector)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestParse(t *testing.T) {
	plan := parse(t, `{"stages":[{"devices":1},{"selector":"ring=canary"},{"percent":"10%","spread":"site","hold":"30m"},{"percent":12.5}],
		"stop-when":{"failing":"2%","silent":0.5,"within":"1h10m"},"on-stop":"undo","approve":[5,2,2]}`)
	want := `{"stages":[{"devices":1},{"selector":"ring=canary"},{"percent":10,"spread":"site","hold":"30m"},{"percent":12.5},{"percent":100}],` +
		`"stop-when":{"failing":2,"silent":0.5,"within":"1h10m"},"on-stop":"undo","approve":[2,5]}`
	if difference := cmp.Diff(want, plan.String()); difference != "" {
		t.Error(difference)
	}
	again, err := release.Load([]byte(plan.String()))
	if difference := cmp.Diff(plan, again); err != nil || difference != "" {
		t.Error(err, difference)
	}
	plan = parse(t, `{"stages":[{"percent":100}]}`)
	if want := `{"stages":[{"percent":100}],"stop-when":{"failing":2,"silent":5,"within":"2m"},"on-stop":"halt"}`; plan.String() != want {
		t.Errorf("the defaults are %s", plan)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                                                     "must be an object with the members approve, on-stop, stages, stop-when",
		`null`:                                                   "must be an object",
		`{}`:                                                     "release.stages must be a list of 1 to 20 stages",
		`{"stages":[]}`:                                          "release.stages must be a list of 1 to 20 stages",
		`{"stages":{}}`:                                          "release.stages must be a list, not {}",
		`{"stages":null}`:                                        "release.stages must be a list, not null",
		`{"stages":[{"devices":1}],"on":1}`:                      "release.on is no member here; there are approve, on-stop, stages, stop-when",
		`{"stages":[{}]}`:                                        "release.stages.1 must have one of devices, percent and selector",
		`{"stages":[7]}`:                                         "release.stages.1 must be an object",
		`{"stages":[{"devices":1,"percent":5}]}`:                 "release.stages.1 must have one of",
		`{"stages":[{"devices":0}]}`:                             "release.stages.1.devices must be 1 to 1000, not 0; percent is for more",
		`{"stages":[{"devices":1.5}]}`:                           "release.stages.1.devices must be a whole number, not 1.5",
		`{"stages":[{"percent":0}]}`:                             "release.stages.1.percent must be a share between 0.01 and 100 percent",
		`{"stages":[{"percent":"101%"}]}`:                        "release.stages.1.percent must be a share",
		`{"stages":[{"percent":"ten"}]}`:                         "release.stages.1.percent must be a share",
		`{"stages":[{"percent":0.001}]}`:                         "release.stages.1.percent must be a share",
		`{"stages":[{"selector":""}]}`:                           "release.stages.1.selector must name labels",
		`{"stages":[{"selector":"a b"}]}`:                        "release.stages.1.selector cannot be read: has a space",
		`{"stages":[{"selector":"a","spread":"b"}]}`:             "release.stages.1.spread belongs to devices or percent",
		`{"stages":[{"devices":1,"spread":""}]}`:                 "release.stages.1.spread must be the name of a label",
		`{"stages":[{"devices":1,"hold":"soon"}]}`:               "release.stages.1.hold must be a time",
		`{"stages":[{"devices":1,"hold":"-1m"}]}`:                "release.stages.1.hold must be a time",
		`{"stages":[{"percent":10},{"percent":5}]}`:              "release.stages.2.percent must be more than the 10% of stage 1",
		`{"stages":[{"devices":10},{"devices":10}]}`:             "release.stages.2.devices must be more than the 10 of stage 1",
		`{"stages":[{"percent":100},{"devices":10}]}`:            "release.stages.2 cannot follow: stage 1 has all devices already",
		`{"stages":[{"devices":1}],"approve":[3]}`:               "release.approve names stage 3, and there are the stages 1 to 2",
		`{"stages":[{"devices":1}],"approve":[0]}`:               "release.approve names stage 0",
		`{"stages":[{"devices":1}],"approve":"2"}`:               `release.approve must be a list of numbers of stages, such as [2], not "2"`,
		`{"stages":[{"devices":1}],"on-stop":"stop"}`:            `release.on-stop must be halt or undo, not "stop"`,
		`{"stages":[{"devices":1}],"stop-when":{"within":"1s"}}`: "release.stop-when.within must be at least 2m, which is one and a half poll intervals",
		`{"stages":[{"devices":1}],"stop-when":{"failed":"1%"}}`: "release.stop-when.failed is no member here",
		`{"stages":[{"devices":1}],"stop-when":7}`:               "release.stop-when must be an object",
	} {
		_, err := release.Parse([]byte(text), within, selector)
		if err == nil || !strings.HasPrefix(strings.TrimPrefix(err.Error(), "release. "), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	many := `{"stages":[` + strings.Repeat(`{"selector":"a"},`, release.MostStages) + `{"selector":"a"}]}`
	if _, err := release.Parse([]byte(many), within, selector); err == nil {
		t.Error("so many stages were taken")
	}
}
