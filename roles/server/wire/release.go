package wire

import (
	"time"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/serverapi"
)

// Release returns a release.
func Release(view fleet.ReleaseView) serverapi.Release {
	shape := serverapi.Release{ID: view.ID, Layers: []string{}, Author: view.By, At: fleet.Seconds(view.At), Active: view.Active(),
		Phase: string(view.Progress.Phase), Since: fleet.Seconds(view.Progress.Since), Stage: view.Progress.Stage, Waits: view.Waits(),
		Why: view.Progress.Why, NeedsWord: view.NeedsPerson(), Plan: plan(view.Plan), Stages: []serverapi.ReleaseCounts{}}
	for _, layer := range view.Layers {
		shape.Layers = append(shape.Layers, string(layer))
	}
	for i, stage := range view.Plan.Stages {
		counts := serverapi.ReleaseCounts{Stage: stage.String()}
		if i < len(view.Progress.Admit) {
			counts.Begun = fleet.Seconds(view.Progress.Admit[i].At)
		}
		if i < len(view.Outcome.Stages) {
			of := view.Outcome.Stages[i]
			counts.Devices, counts.InSync, counts.Failing, counts.Silent, counts.Waiting = of.All(), of.InSync, of.Failing, of.Silent, of.Waiting
			counts.Absent = of.Absent
		}
		if i < len(view.Sizes) {
			counts.Devices = view.Sizes[i]
		}
		shape.Stages = append(shape.Stages, counts)
	}
	shape.Causes, shape.HeldBy = causes(view.Outcome.Causes), causes(view.HeldBy)
	return shape
}

func causes(of []fleet.Cause) (list []serverapi.ReleaseCause) {
	for _, cause := range of {
		list = append(list, serverapi.ReleaseCause{Outcome: cause.Outcome, Path: cause.Path, Reason: cause.Reason,
			Devices: cause.Devices, Some: cause.Some})
	}
	return list
}

func percent(share release.Percent) float64 { return float64(share) / 100 }

func duration(of release.Duration) string {
	if time.Duration(of) == 0 {
		return ""
	}
	return of.String()
}

func plan(of release.Plan) serverapi.ReleasePlan {
	shape := serverapi.ReleasePlan{OnStop: string(of.OnStop), Approve: of.Approve,
		StopWhen: &serverapi.ReleaseStop{Failing: percent(of.StopWhen.Failing), Silent: percent(of.StopWhen.Silent),
			Within: duration(of.StopWhen.Within)}}
	for _, stage := range of.Stages {
		shape.Stages = append(shape.Stages, serverapi.ReleaseStage{Devices: stage.Devices, Percent: percent(stage.Percent),
			Selector: stage.Selector, Spread: stage.Spread, Hold: duration(stage.Hold)})
	}
	return shape
}

// PlannedStages returns the stages of a plan with the numbers of their devices.
func PlannedStages(of release.Plan, sizes []int) []serverapi.PlannedStage {
	var list []serverapi.PlannedStage
	for i, stage := range of.Stages {
		list = append(list, serverapi.PlannedStage{Stage: stage.String(), Devices: sizes[i]})
	}
	return list
}
