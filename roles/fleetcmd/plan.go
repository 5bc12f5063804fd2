package fleetcmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/internal/regular"
	"aspects-poc/roles"
	"aspects-poc/roles/fleetcmd/folder"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/urfave/cli/v2"
)

// statusChanges is the exit code of a plan that has changes.
const statusChanges = 2

func plan(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "plan", Usage: "say what a folder of YAML would change", ArgsUsage: "DIR",
		Description: "Compares the layers in a folder with those of the server, and says what fleet apply would do: which layers " +
			"it creates and changes, and what it changes on devices, in groups of devices with the same changes. For each device the " +
			"server checks the result against its confdb-schema and the device's report. The command changes nothing. Exit status: 0 nothing to do, " +
			"2 there are changes (also if a release is active that refuses them for now), 1 the folder has a fault or devices would refuse their target. Wrong usage ends with 2, too, but it " +
			"prints nothing to standard output, and writes no --out FILE.",
		UsageText: "aspects-poc fleet plan fleet\naspects-poc fleet plan fleet --prune --out plan.json",
		Flags: []cli.Flag{pruneFlag(),
			&cli.BoolFlag{Name: "full", Usage: "name all devices of each group"},
			&cli.StringFlag{Name: "out", Usage: "write the plan to a `FILE` for fleet apply --plan; only you can read it"}},
	}, 1, 1, func(s *session, args []string) error {
		plan, err := s.planFolder(args[0])
		if err != nil {
			return err
		}
		if file := s.c.String("out"); file != "" {
			text, err := jsonvalue.Encode(plan.saved)
			if err == nil {
				err = durable.Write(file, text, 0o600)
			}
			if err != nil {
				return fmt.Errorf("cannot write the plan: %w", err)
			}
		}
		if err := s.printPlan(plan); err != nil {
			return err
		}
		switch {
		case plan.saved.Plan.Refusing > 0:
			return roles.Status(roles.ExitFailed)
		case !plan.changes():
			return nil
		}
		return roles.Status(statusChanges)
	})
}

func pruneFlag() cli.Flag {
	return &cli.BoolFlag{Name: "prune", Usage: "remove the layers that the folder does not have"}
}

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

// mostPlans is how often a plan is made again. Each plan may be too late while others change the fleet.
const mostPlans = 20

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

// A savedPlan is the content of a plan's file.
type savedPlan struct {
	Server string         `json:"server"`
	Batch  operator.Batch `json:"batch"`
	Plan   serverapi.Plan `json:"plan"`
	// Left has the layers that the batch does not change: name -> layerDigest.
	Left map[string]string `json:"left,omitempty"`
}

// A folderPlan is a plan with the folder and the layers from which it was made.
type folderPlan struct {
	saved  savedPlan
	folder *folder.Folder // nil for a plan from a file
	layers []folder.Layer // in the order of the batch's first changes; nil for a plan from a file
	left   []string       // layers of the server that the folder does not have and that stay
}

func (p folderPlan) changes() bool {
	for _, layer := range p.saved.Plan.Layers {
		if layer.Action != "unchanged" {
			return true
		}
	}
	return false
}

// planFolder reads a folder and asks the server to plan it.
func (s *session) planFolder(dir string) (plan folderPlan, err error) {
	for range mostPlans {
		if plan, err = s.planOnce(dir); !isStale(err) {
			break
		}
	}
	return plan, err
}

// planOnce is planFolder without repetition. The error is stale (isStale) if somebody else changes a layer meanwhile.
func (s *session) planOnce(dir string) (plan folderPlan, err error) {
	read, err := readFolder(dir)
	if err != nil {
		return plan, err
	}
	plan.folder = read
	found := s.busy("reading the devices and layers of the server")
	defer found()
	if plan.layers, err = read.Layers(s.folderDevice); err != nil {
		return plan, inFolder(dir, err)
	}
	if read.Release != nil {
		plan.saved.Batch.Release = read.Release.JSON()
	}
	present, digests := map[string]int64{}, map[string]string{}
	var order []string
	for layer, err := range s.client.Layers(s) {
		if err != nil {
			return plan, err
		}
		present[layer.Layer] = layer.Revision
		if order = append(order, layer.Layer); layer.Revision > 0 {
			digests[layer.Layer] = layerDigest(signedLayer(layer))
		}
	}
	plan.saved.Server = s.client.URL()
	plan.saved.Batch.Changes = []serverapi.BatchChange{}
	for _, layer := range plan.layers {
		plan.saved.Batch.Changes = append(plan.saved.Batch.Changes, serverapi.BatchChange{Layer: layer.Name, Revision: new(present[layer.Name]),
			Selector: layer.Selector, Priority: layer.Priority, Config: layer.Config})
		delete(present, layer.Name)
	}
	left := map[string]string{}
	for _, name := range order {
		revision, stays := present[name]
		switch {
		case !stays:
		case s.c.Bool("prune"):
			plan.saved.Batch.Changes = append(plan.saved.Batch.Changes, serverapi.BatchChange{Layer: name, Revision: &revision, Remove: true})
		default:
			if plan.left = append(plan.left, name); revision > 0 {
				left[name] = digests[name]
			}
		}
	}
	plan.saved.Left = left
	found()
	done := s.busy("the server plans what the devices would do")
	plan.saved.Plan, err = s.client.Plan(s, plan.saved.Batch)
	done()
	if isStale(err) {
		return plan, fmt.Errorf("somebody else changes layers at this moment; try again: %w", err)
	}
	return plan, inFolder(dir, plan.explain(err))
}

// readFolder reads a folder. Its error words the faults for people.
func readFolder(dir string) (*folder.Folder, error) {
	read, err := folder.Read(dir)
	return read, inFolder(dir, err)
}

// inFolder words the faults of a folder for people.
func inFolder(dir string, err error) error {
	var faults folder.Faults
	if !errors.As(err, &faults) {
		return err
	}
	many := "1 fault"
	if len(faults) > 1 {
		many = strconv.Itoa(len(faults)) + " faults"
	}
	return fmt.Errorf("the folder %s has %s:\n%w", dir, many, faults)
}

// folderDevice returns the device with this name or ID, for variables.
func (s *session) folderDevice(named string) (folder.Device, error) {
	id, err := s.device(named)
	if err != nil {
		return folder.Device{}, err
	}
	device, err := s.client.Device(s, id)
	return folder.Device{ID: device.UUID.String(), Name: device.Name, Labels: device.Labels}, err
}

var faultyChange = regexp.MustCompile(`^changes\[(\d+)\](?:\.([a-z]+)(?:\.(.*))?)?$`)

// explain adds to a server's refusal the file and the place that caused it.
func (p folderPlan) explain(err error) error {
	var refused *serverapi.Error
	if !errors.As(err, &refused) {
		return err
	}
	var faults folder.Faults
	for _, field := range refused.Problem.Errors {
		if member, is := strings.CutPrefix(field.Field, "release"); is && p.folder != nil {
			member = strings.TrimPrefix(member, ".")
			text := strings.TrimSpace(member + " " + field.Message)
			faults = append(faults, folder.Fault{File: folder.ReleaseFile, At: p.folder.InRelease(member), Text: text})
			continue
		}
		found := faultyChange.FindStringSubmatch(field.Field)
		if found == nil {
			return err
		}
		i, _ := strconv.Atoi(found[1]) // the expression matches only digits, and a number that is too large is no layer
		if i >= len(p.layers) {
			return err
		}
		layer := p.layers[i]
		at := layer.File.Key(found[2])
		if found[2] == "config" {
			at = layer.File.At(found[3])
		}
		_, text, _ := strings.Cut(field.Message, "layer "+layer.Name+": ")
		if text == "" {
			text = field.Message
		}
		faults = append(faults, folder.Fault{File: layer.File.Path, At: at, Text: text})
	}
	if len(faults) == 0 {
		return err
	}
	return faults
}

// printPlan prints a plan. With --full it reads the groups with all their devices from the server, page by page.
func (s *session) printPlan(plan folderPlan) error {
	shape := struct {
		serverapi.Plan
		Left []string `json:"left"` // layers that the folder does not have, and that stay
	}{plan.saved.Plan, plan.left}
	if shape.Left == nil {
		shape.Left = []string{}
	}
	groups := all(shape.Groups)
	if s.c.Bool("full") && plan.changes() {
		batch := plan.saved.Batch
		batch.Revision = &shape.Revision
		groups = s.client.Groups(s, batch)
	}
	if !s.out.isTable() {
		shape.Groups = []serverapi.PlanGroup{}
		return printWith(s.out, shape, revision(shape.Revision), "groups", groups)
	}
	s.out.printLayers(plan)
	for group, err := range groups {
		if err != nil {
			return err
		}
		s.out.printGroup(group)
	}
	s.out.printSum(plan)
	return s.out.w.Flush()
}

func (p *printer) printLayers(plan folderPlan) {
	for _, layer := range plan.saved.Plan.Layers {
		if layer.Action == "unchanged" {
			continue
		}
		text, look := layerOf(layer.Layer, layer.Device)+" is "+layer.Action, note
		switch layer.Action {
		case "created":
			look = good
		case "removed":
			look = bad
		}
		if after, before := layer.After, layer.Before; after != nil && (before == nil || *before != *after) {
			text += fmt.Sprintf(": for %s, priority %d", after.Selector, after.Priority)
			if before != nil {
				text += fmt.Sprintf(" (before: for %s, priority %d)", before.Selector, before.Priority)
			}
		}
		p.printIndented("", text, look)
		if len(layer.Changes) > 0 {
			p.printChanges(layer.Changes)
		}
	}
	for _, name := range plan.left {
		p.line("%s is not in the folder and stays; --prune removes it", shortLayer(name))
	}
}

func (p *printer) printIndented(indent, text string, look tone) {
	fmt.Fprintln(p.w, indent+p.painted(plain.Line(text), look)) //nolint:errcheck // Flush returns the error
}

// printGroup prints what a group of devices would do.
func (p *printer) printGroup(group serverapi.PlanGroup) {
	p.line("%s (%s):", devicesOf(group.Devices), p.some(group.UUIDs, group.Names, group.Devices))
	written := map[string]bool{}
	for _, write := range group.Writes {
		written[write.Path] = true
	}
	switch {
	case group.Mute:
		p.printIndented("  ", "they have never reported; their target changes so:", faint)
		p.printChanges(group.Changes)
	default:
		if len(group.Writes) > 0 {
			p.printChanges(group.Writes)
		}
		for _, change := range group.Changes {
			switch {
			case written[change.Path]:
			case change.Kind == "removed":
				p.printIndented("  ", ". "+change.Path+": no layer sets it any more; they go back to their own value", faint)
			default:
				p.printIndented("  ", ". "+change.Path+": "+literal(change.After)+" is there already", faint)
			}
		}
	}
	p.printRefusal(group.Refusal)
}

// printRefusal prints why devices would refuse their target. It prints nothing if they would not.
func (p *printer) printRefusal(refusal *serverapi.Refusal) {
	if refusal == nil {
		return
	}
	text := "they refuse it: " + refusal.Reason
	if refusal.Known {
		text += " (as their present target)"
	}
	p.printIndented("  ! ", text, bad)
}

func (p *printer) printSum(plan folderPlan) {
	counts := map[string]int{}
	for _, layer := range plan.saved.Plan.Layers {
		counts[layer.Action]++
	}
	if !plan.changes() {
		p.line("Nothing to do: the server has what the folder has.")
		return
	}
	p.printStages(plan.saved.Plan.Stages)
	text := fmt.Sprintf("Layers: %d created, %d changed, %d removed. The target changes for %s", counts["created"], counts["changed"],
		counts["removed"], devicesOf(plan.saved.Plan.Devices))
	if refusing := plan.saved.Plan.Refusing; refusing > 0 {
		text += fmt.Sprintf(", of which %d refuse it", refusing)
	}
	p.line("%s.", text)
	p.printConflict(plan.saved.Plan)
}

// printConflict prints the active release that prevents a plan now. It prints nothing without one.
func (p *printer) printConflict(plan serverapi.Plan) {
	if plan.Conflict != "" {
		p.printIndented("", "It cannot be applied now: "+plan.Conflict+". The plan is as if the release were done.", warn)
	}
}

func pull(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "pull", Usage: "write the server's layers into a folder of YAML", ArgsUsage: "DIR",
		Description: "Makes the files of a folder have what the server has. In a file that exists only the values that differ are " +
			"changed: comments, order and variables stay. Secrets are written as markers, with which fleet apply keeps them. Files " +
			"of layers that the server does not have stay, unless --prune is given.",
		UsageText: "aspects-poc fleet pull fleet",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "prune", Usage: "delete the files of layers that the server does not have"}},
	}, 1, 1, func(s *session, args []string) error {
		return s.pull(args[0])
	})
}

func schema(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "schema", Usage: "print a JSON Schema of the files of a folder", ArgsUsage: " ",
		Description: "Prints the JSON Schema of the files that fleet plan reads, made from the server's confdb-schema, so that an editor " +
			"completes and checks views and values. The server may still refuse a value that fits.",
		UsageText: "aspects-poc fleet schema > fleet/" + folder.SchemaFile,
	}, 0, 0, func(s *session, _ []string) error {
		described, err := s.client.Schema(s)
		if err != nil {
			return err
		}
		text, err := json.MarshalIndent(folder.Schema(described), "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(s.env.Stdout, "%s\n", text)
		}
		return err
	})
}
