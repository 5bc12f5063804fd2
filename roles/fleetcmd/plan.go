package fleetcmd

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
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

// mostPlans is how often a plan is made again. Each plan may be too late while others change the fleet.
const mostPlans = 20

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
