package fleetcmd

import (
	"fmt"
	"slices"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/regular"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

func allowRefusalsFlag() cli.Flag {
	return &cli.BoolFlag{Name: "allow-refusals", Usage: "go on although devices would refuse their target"}
}

func apply(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "apply", Usage: "set the layers to what a folder of YAML has", ArgsUsage: "[DIR]",
		Description: "Does what fleet plan says, all of it or nothing, and only if nothing in the fleet has been changed since the plan: " +
			"no layer, no label, no named secret. If something has, it makes the plan again, and continues if the new plan is the same as " +
			"the printed one. It does not make a saved plan again. If the layers are like the folder already, it writes nothing. Layers that the " +
			"folder does not have stay, unless --prune is given. It changes nothing if devices would refuse their target, unless --allow-refusals is given. " +
			"With --plan it does what a saved plan says, and takes no DIR. If the folder has a release.yaml, devices get the changes in " +
			"its stages, which fleet release watch shows; without it all get them at once.",
		UsageText: "aspects-poc fleet apply fleet\naspects-poc fleet apply --plan plan.json\n" +
			"aspects-poc fleet apply fleet --sign --key ~/.ssh/id_ed25519",
		Flags: append([]cli.Flag{pruneFlag(),
			&cli.BoolFlag{Name: "sign", Usage: "afterwards sign the targets of all devices, as fleet sign does, if the server has the layers as they were applied"},
			&cli.StringFlag{Name: "plan", Usage: "the `FILE` that fleet plan --out has written"},
			allowRefusalsFlag()}, signingFlags()...),
	}, 0, 1, func(s *session, args []string) error {
		if s.c.Bool("sign") && s.c.String("key") == "" {
			return errNoKey()
		}
		if s.c.Bool("sign") && !s.c.Bool("yes") && !roles.IsTerminal(env.Stdin) {
			return errNobody() // before the layers are set
		}
		plan, err := s.chosenPlan(args)
		if err != nil {
			return err
		}
		if err := s.printPlan(plan); err != nil {
			return err
		}
		switch {
		case !plan.changes():
			return signApplied(s, plan.saved)
		case plan.saved.Plan.Conflict != "":
			return fmt.Errorf("nothing is changed: %s", plan.saved.Plan.Conflict)
		case plan.saved.Plan.Refusing > 0 && !s.c.Bool("allow-refusals"):
			return fmt.Errorf("nothing is changed: %s would refuse their target; change it, or apply with --allow-refusals",
				devicesOf(plan.saved.Plan.Refusing))
		}
		if err := canSign(s); err != nil {
			return fmt.Errorf("nothing is changed: %w", err)
		}
		done, err := s.applyPlan(&plan, args)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("applied: revision %d", done.Revision)
		if done.Release > 0 {
			text += fmt.Sprintf("; release %d brings it to the devices in %s", done.Release, stagesOf(len(plan.saved.Plan.Stages)))
		}
		s.say("%s", text)
		return signApplied(s, plan.saved)
	})
}

// applyPlan applies a plan. If the fleet has changed since, it makes the plan of the folder again, and continues if the
// new plan is the same as the shown one. Otherwise it returns an error.
func (s *session) applyPlan(plan *folderPlan, args []string) (serverapi.Targets, error) {
	for plans := 0; ; plans++ {
		batch := plan.saved.Batch
		batch.Revision = &plan.saved.Plan.Revision
		shown := s.busy("the server sets the layers")
		done, err := s.client.ChangeTargets(s, batch)
		shown()
		late := "nothing is changed, because somebody else has changed the fleet since the plan"
		switch {
		case !isStale(err):
			return done, plan.explain(err)
		case plan.folder == nil:
			return done, fmt.Errorf("%s: %w", late, err)
		case plans == mostPlans:
			return done, fmt.Errorf("%s, and since each of %d further plans, which are the same; try again when fewer changes are made: %w",
				late, plans, err)
		}
		again, failed := s.planFolder(args[0])
		if failed != nil {
			return done, fmt.Errorf("%s, and it cannot be made again: %w", late, failed)
		}
		if !again.same(*plan) {
			return done, fmt.Errorf("%s, and now there is another plan; see it, and apply the folder again: %w", late, err)
		}
		*plan = again
	}
}

// same reports whether two plans have the same changes and effects. They may differ in revisions.
func (p folderPlan) same(other folderPlan) bool {
	var texts [2]string
	for i, plan := range []folderPlan{p, other} {
		saved := plan.saved
		saved.Plan.Revision = 0
		saved.Plan.Layers, saved.Batch.Changes = slices.Clone(saved.Plan.Layers), slices.Clone(saved.Batch.Changes)
		for i := range saved.Plan.Layers {
			saved.Plan.Layers[i].Revision = 0
		}
		for i := range saved.Batch.Changes {
			saved.Batch.Changes[i].Revision = nil
		}
		text, err := jsonvalue.Encode(saved)
		if err != nil {
			return false
		}
		texts[i] = string(text)
	}
	return texts[0] == texts[1]
}

// chosenPlan returns the plan of a folder, or the saved plan of --plan.
func (s *session) chosenPlan(args []string) (folderPlan, error) {
	file := s.c.String("plan")
	switch {
	case file == "" && len(args) == 0:
		return folderPlan{}, roles.Usagef("apply wants a DIR, or --plan FILE")
	case file == "":
		return s.planFolder(args[0])
	case len(args) > 0 || s.c.Bool("prune"):
		return folderPlan{}, roles.Usagef("--plan takes neither a DIR nor --prune: the plan has both")
	}
	text, err := regular.Read(file)
	if err != nil {
		return folderPlan{}, fmt.Errorf("cannot read the plan: %w", err)
	}
	var plan folderPlan
	if err := jsonvalue.DecodeFirst(text, &plan.saved); err != nil || plan.saved.Server == "" {
		return folderPlan{}, fmt.Errorf("cannot read the plan: %s is no plan that %s fleet plan --out has written", file, roles.Program)
	}
	if plan.saved.Server != s.client.URL() {
		return folderPlan{}, fmt.Errorf("the plan is for the server %s, and not for %s", plan.saved.Server, s.client.URL())
	}
	return plan, nil
}
