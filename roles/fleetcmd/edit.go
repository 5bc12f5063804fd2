package fleetcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/internal/yamljson"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"
)

// maxDocument is the largest size of a layer's text, in bytes. The server has its own limit.
const maxDocument = 16 << 20

func edit(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "edit", Usage: "change a layer in an editor", ArgsUsage: "LAYER",
		Description: "Opens a layer as YAML in $VISUAL or $EDITOR; a layer that does not exist is empty. The server then checks " +
			"the text against its confdb-schema and says what would change; only a text that it accepts is set, and only if " +
			"nobody else has changed the layer meanwhile. It sets nothing if devices would refuse their target, unless --allow-refusals " +
			"is given. A refused text stays in a file. On a terminal the editor opens " +
			"again, with the reason. With --file there is no editor. With --release devices get the change in stages, which fleet " +
			"release watch shows; without it all get it at once.",
		UsageText: "aspects-poc fleet edit everyone\n" +
			"aspects-poc fleet edit labels/berlin --file berlin.yaml --dry-run\n" +
			"aspects-poc fleet edit everyone --release release.yaml",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "set the layer to the text of this `FILE`; -: standard input"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would change, and change nothing"},
			allowRefusalsFlag(),
			&cli.StringFlag{Name: "release", Usage: "release the change in the stages of this `FILE`; -: standard input"},
		},
	}, 1, 1, func(s *session, args []string) error {
		name, err := s.layer(args[0])
		if err != nil {
			return err
		}
		layer, err := s.client.Layer(s, name)
		switch {
		case isMissing(err):
			layer = serverapi.Layer{Layer: name, Config: serverapi.Config{}}
		case err != nil:
			return err
		}
		if plan := s.c.String("release"); plan != "" {
			if plan == "-" && s.c.String("file") == "-" {
				return roles.Usagef("--file and --release cannot both be standard input")
			}
			if s.plan, err = readPlan(env, plan); err != nil {
				return err
			}
		}
		if file := s.c.String("file"); file != "" {
			text, err := readDocument(env, file)
			if err != nil {
				return err
			}
			return s.setLayer(layer, text)
		}
		return s.editLayer(layer)
	})
}

func readDocument(env *roles.Env, file string) ([]byte, error) {
	in := env.Stdin
	if file != "-" {
		open, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the layer: %w", err)
		}
		defer func() { _ = open.Close() }() // only read
		in = open
	}
	text, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("it is larger than %d bytes", maxDocument)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the layer: %w", err)
	}
	return text, nil
}

// A document is a layer in the form in which people edit it.
type document struct {
	Selector *string          `json:"selector,omitempty"`
	Priority *int64           `json:"priority,omitempty"`
	Config   serverapi.Config `json:"config"`
}

// layerText returns the text for the editor.
func layerText(layer serverapi.Layer) ([]byte, error) {
	shape := document{Config: layer.Config}
	head := fmt.Sprintf("# The layer %s, revision %d. null unsets a value on the devices.\n", layer.Layer, layer.Revision)
	if strings.HasPrefix(layer.Layer, "labels/") {
		shape.Selector, shape.Priority = &layer.Selector, &layer.Priority
		head += "# selector: devices with all of these labels, such as site=berlin,stage!=test. priority: higher ones override lower ones.\n"
	}
	text, err := jsonvalue.Encode(shape)
	if err == nil {
		text, err = yamljson.Encode(text)
	}
	return append([]byte(head), text...), err
}

// parseLayer parses the text of a layer: YAML or JSON.
func parseLayer(text []byte) (serverapi.LayerRequest, error) {
	value, empty, err := yamljson.Decode(text)
	if err != nil {
		return serverapi.LayerRequest{}, err
	}
	if empty {
		return serverapi.LayerRequest{}, errors.New(`it is empty: want "config", which may be {}`)
	}
	if _, is := value.(map[string]any); !is {
		return serverapi.LayerRequest{}, errors.New(`want a map with "config"`)
	}
	encoded, err := jsonvalue.Encode(value)
	if err != nil {
		return serverapi.LayerRequest{}, err
	}
	var shape document
	if err := jsonvalue.DecodeKnown(encoded, &shape); err != nil {
		text := strings.TrimPrefix(err.Error(), "json: ")
		if object, is := value.(map[string]any); is && object["device"] != nil {
			text = fmt.Sprintf("it names a device, as a file of a folder does: leave \"device\" out and name the layer devices/ID, or set the "+
				"whole folder with %s fleet apply", roles.Program)
		}
		return serverapi.LayerRequest{}, errors.New(text)
	}
	if shape.Config == nil {
		return serverapi.LayerRequest{}, errors.New(`it has no "config"; {} is an empty one`)
	}
	request := serverapi.LayerRequest{Config: shape.Config}
	if shape.Selector != nil {
		request.Selector = *shape.Selector
	}
	if shape.Priority != nil {
		request.Priority = *shape.Priority
	}
	return request, nil
}

// A refusedText is the error for a layer's text that cannot be set.
type refusedText struct{ cause error }

func (r *refusedText) Error() string { return r.cause.Error() }
func (r *refusedText) Unwrap() error { return r.cause }

// setLayer lets the server check a layer's text, and sets the layer unless --dry-run is given. It returns a
// *refusedText if the user can correct the text.
func (s *session) setLayer(layer serverapi.Layer, text []byte) error {
	request, err := parseLayer(text)
	if err != nil {
		return &refusedText{fmt.Errorf("cannot read the text of the layer: %w", err)}
	}
	change := serverapi.BatchChange{Layer: layer.Layer, Revision: &layer.Revision, Selector: request.Selector, Priority: request.Priority,
		Config: request.Config}
	trial, err := s.client.Plan(s, operator.Batch{Batch: serverapi.Batch{Changes: []serverapi.BatchChange{change}}, Release: s.plan})
	if err != nil {
		return refusal(ofLayer(err, layer.Layer))
	}
	if trial.Conflict != "" && !s.c.Bool("dry-run") {
		return fmt.Errorf("nothing is changed: %s", trial.Conflict)
	}
	refuses := trial.Refusing > 0 && !s.c.Bool("allow-refusals")
	if refuses || s.c.Bool("dry-run") {
		err := s.out.printOne(trial, layer.Layer, func() error {
			s.out.line("%s would change the targets of %s", shortLayer(layer.Layer), devicesOf(trial.Devices))
			s.out.printStages(trial.Stages)
			s.out.printTrial(trial)
			return nil
		})
		if err == nil && refuses {
			err = &refusedText{fmt.Errorf("nothing is changed: %s would refuse their target; change it, or set it with --allow-refusals",
				devicesOf(trial.Refusing))}
		}
		return err
	}
	stored, err := s.client.SetLayer(s, operator.LayerChange{Layer: layer.Layer, Revision: layer.Revision, LayerRequest: request, Plan: s.plan})
	if err != nil {
		return refusal(err)
	}
	return s.out.printOne(stored, layer.Layer, func() error {
		if stored.Revision == layer.Revision {
			s.out.line("%s does not differ: it stays at revision %d", shortLayer(layer.Layer), stored.Revision)
			return nil
		}
		if stored.Release > 0 {
			s.out.line("%s is now revision %d; release %d brings it to %s, in %s", shortLayer(layer.Layer), stored.Revision, stored.Release,
				devicesOf(trial.Devices), stagesOf(len(trial.Stages)))
		} else {
			s.out.line("%s is now revision %d; it changes the targets of %s", shortLayer(layer.Layer), stored.Revision, devicesOf(trial.Devices))
		}
		s.out.printTrial(trial)
		return nil
	})
}

// mostGrouped is the number of devices of a group whose names are printed.
const mostGrouped = 5

// printTrial prints how the targets of devices change, in groups with the same changes.
func (p *printer) printTrial(trial serverapi.Plan) {
	var groups []serverapi.PlanGroup
	for _, group := range trial.Groups {
		same := func(other serverapi.PlanGroup) bool {
			return reflect.DeepEqual(group.Changes, other.Changes) && reflect.DeepEqual(group.Refusal, other.Refusal)
		}
		if i := slices.IndexFunc(groups, same); i >= 0 {
			groups[i].Devices += group.Devices
			all := slices.Concat(groups[i].UUIDs, group.UUIDs)
			groups[i].UUIDs = all[:min(len(all), mostGrouped)]
			names := maps.Clone(group.Names)
			if names == nil {
				names = map[uuid.UUID]string{}
			}
			maps.Copy(names, groups[i].Names)
			groups[i].Names = names
			continue
		}
		groups = append(groups, group)
	}
	for _, group := range groups {
		if trial.Devices > 1 {
			p.line("%s (%s):", devicesOf(group.Devices), p.some(group.UUIDs, group.Names, group.Devices))
		}
		p.printChanges(group.Changes)
		p.printRefusal(group.Refusal)
	}
	p.printConflict(trial)
}

// ofLayer rewords the refusal of a batch that has a single layer.
func ofLayer(err error, layer string) error {
	var refused *serverapi.Error
	if !errors.As(err, &refused) {
		return err
	}
	worded := *refused
	worded.Op = "set the layer " + layer
	worded.Problem.Errors = nil
	for _, field := range refused.Problem.Errors {
		field.Field = strings.TrimPrefix(field.Field, "changes[0].")
		field.Message = strings.TrimPrefix(field.Message, "layer "+layer+": ")
		worded.Problem.Errors = append(worded.Problem.Errors, field)
	}
	if len(worded.Problem.Errors) == 1 {
		fault := worded.Problem.Errors[0]
		if worded.Problem.Detail = fault.Message; strings.HasPrefix(fault.Field, "release") { // the message needs its subject
			worded.Problem.Detail = fault.Field + " " + fault.Message
		}
	}
	return &worded
}

// refusal returns err as a *refusedText if another text can avoid it.
func refusal(err error) error {
	var refused *serverapi.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Status {
	case 400, 413, 422:
		return &refusedText{err}
	case 412:
		return &refusedText{fmt.Errorf("somebody else has changed the layer meanwhile: %w; compare, and edit it again", err)}
	}
	return err
}

// editLayer opens the layer in the user's editor, again and again, until the server accepts the text or the user leaves
// the text unchanged.
func (s *session) editLayer(layer serverapi.Layer) (err error) {
	dir, err := os.MkdirTemp(s.env.Getenv("TMPDIR"), "aspects-poc-fleet-") // only the user can read it
	if err != nil {
		return fmt.Errorf("cannot edit the layer: %w", err)
	}
	file := filepath.Join(dir, strings.ReplaceAll(layer.Layer, "/", "-")+".yaml")
	edited := false
	defer func() {
		if err != nil && edited {
			err = fmt.Errorf("%w\nyour text is in %s", err, file)
			return
		}
		_ = os.RemoveAll(dir) // an old temporary folder does no harm
	}()
	first, err := layerText(layer)
	if err != nil {
		return err
	}
	before := first
	for {
		if err := os.WriteFile(file, before, 0o600); err != nil {
			return fmt.Errorf("cannot edit the layer: %w", err)
		}
		if err := s.runEditor(file); err != nil {
			return err
		}
		after, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("cannot read the layer: %w", err)
		}
		if bytes.Equal(withoutReason(after), first) {
			s.say("nothing is changed")
			return nil
		}
		edited = true
		err = s.setLayer(layer, after)
		var refused *refusedText
		if !errors.As(err, &refused) || bytes.Equal(after, before) || !roles.IsTerminal(s.env.Stdin) || isStale(err) {
			return err
		}
		before = append(reasonOf(err), withoutReason(after)...)
	}
}

func isStale(err error) bool { return serverapi.IsProblem(err, serverapi.ProblemStale) }

const reasonMark = "#! "

// reasonOf returns comment lines with the reason of a refusal.
func reasonOf(err error) []byte {
	text := "It is not set: " + plain.Line(err.Error()) + ". Mend it, or leave it as it is to give up."
	return []byte(reasonMark + text + "\n")
}

// withoutReason removes the lines of reasonOf from a text.
func withoutReason(text []byte) []byte {
	for bytes.HasPrefix(text, []byte(reasonMark)) {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return text
}

// runEditor runs the user's editor on a file. The editor's command may have arguments.
func (s *session) runEditor(file string) error {
	editor := ""
	for _, variable := range []string{"VISUAL", "EDITOR"} {
		if editor == "" {
			editor = s.env.Getenv(variable)
		}
	}
	if editor == "" {
		editor = "vi"
	}
	// An interrupt is for the editor only.
	command := exec.CommandContext(context.WithoutCancel(s), "sh", "-c", editor+` "$1"`, "sh", file)
	command.Stdin, command.Stdout, command.Stderr = s.env.Stdin, s.env.Stdout, s.env.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("cannot edit the layer: the editor %q failed: %w; $EDITOR chooses another one", editor, err)
	}
	return nil
}
