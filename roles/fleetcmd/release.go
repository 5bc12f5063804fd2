package fleetcmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/plain"
	"aspects-poc/internal/yamljson"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"

	"github.com/urfave/cli/v2"
)

func release(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "release", Usage: "see and steer changes that devices get in stages",
		Description: "fleet edit --release FILE releases a change of a layer in the stages of the file. The server then moves the " +
			"release from stage to stage by itself, and stops it if devices fail. Without the number of a RELEASE the commands " +
			"take the active one.",
		UsageText: "aspects-poc fleet release status",
		Subcommands: []*cli.Command{
			releaseList(env), releaseStatus(env), releaseWatch(env),
			releaseSay(env, "go", "continue a release", "Begins the stage that waits for a person, ends a hold early, or continues a halted "+
				"release. Devices that fail or are silent now do not stop it again."),
			releaseSay(env, "halt", "stop a release", "No further stage begins. Devices of the stages that have begun keep the "+
				"change, or get it with their next poll. Only undo takes it back."),
			releaseSay(env, "undo", "undo a release", "The layers become what they were before the release, under new revisions. Devices that "+
				"have the change go back with their next poll."),
		},
	}
}

// readPlan reads the stages of a release: YAML or JSON. The server checks them.
func readPlan(env *roles.Env, file string) (json.RawMessage, error) {
	text, err := readDocument(env, file)
	var value any
	empty := false
	if err == nil {
		value, empty, err = yamljson.Decode(text)
	}
	if err == nil && empty {
		err = errors.New("it is empty: want stages")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the stages in %s: %w", file, err)
	}
	return jsonvalue.Encode(value)
}

// release returns the release of the argument. Without an argument it returns the active release, or else the last one.
func (s *session) release(args []string) (serverapi.Release, error) {
	if len(args) > 0 {
		id, err := strconv.ParseInt(strings.TrimPrefix(args[0], "releases/"), 10, 64)
		if err != nil || id < 1 {
			return serverapi.Release{}, roles.Usagef("%q is no number of a release; %s fleet release list shows them", args[0], roles.Program)
		}
		return s.client.Release(s, id)
	}
	for last, err := range s.client.Releases(s, 1) {
		if err != nil || !last.Active {
			return last, err
		}
		return s.client.Release(s, last.ID)
	}
	return serverapi.Release{}, fmt.Errorf("nothing was ever released; %s fleet edit LAYER --release FILE does", roles.Program)
}

// printStages prints the stages of a dry run.
func (p *printer) printStages(stages []serverapi.PlannedStage) {
	for i, stage := range stages {
		p.line("  stage %d, %s: %s", i+1, stage.Stage, devicesOf(stage.Devices))
	}
}

func releaseList(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "list", Usage: "list releases, the newest first",
		UsageText: "aspects-poc fleet release list --limit 5",
		Flags:     []cli.Flag{&cli.IntFlag{Name: "limit", Value: 50, Usage: "list this `NUMBER` of releases at most; 0: all"}},
	}, 0, 0, func(s *session, _ []string) error {
		limit, err := s.limit()
		if err != nil {
			return err
		}
		page := limit
		if page == 0 {
			page = 500
		}
		columns := []column[serverapi.Release]{
			{head: "Release", cell: func(r serverapi.Release) word { return word{text: revision(r.ID)} }},
			{head: "Age", cell: func(r serverapi.Release) word { return word{text: age(r.At)} }},
			{head: "Author", cell: func(r serverapi.Release) word { return word{text: r.Author} }},
			{head: "Phase", cell: phaseOf},
			{head: "Stage", cell: func(r serverapi.Release) word { return word{text: fmt.Sprintf("%d of %d", r.Stage, len(r.Stages))} }},
			{head: "Changes", cell: func(r serverapi.Release) word { return word{text: layersOf(r)} }},
			{head: "Why", cell: func(r serverapi.Release) word { return word{text: r.Why} }},
		}
		return printList(s.out, "releases", columns, func(r serverapi.Release) string { return revision(r.ID) },
			first(s.client.Releases(s, page), limit))
	})
}

func phaseOf(r serverapi.Release) word {
	return word{r.Phase, map[string]tone{serverapi.ReleaseDone: good, serverapi.ReleaseUndone: bad, serverapi.ReleaseHalted: bad,
		serverapi.ReleaseAwaiting: warn}[r.Phase]}
}

func layersOf(r serverapi.Release) string {
	var names []string
	for _, layer := range r.Layers {
		names = append(names, shortLayer(layer))
	}
	return strings.Join(names, ", ")
}

func releaseStatus(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "status", Usage: "show a release: its stages, what it waits for, and why devices fail", ArgsUsage: "[RELEASE]",
		UsageText: "aspects-poc fleet release status",
	}, 0, 1, func(s *session, args []string) error {
		shown, err := s.release(args)
		if err != nil {
			return err
		}
		return s.out.printOne(shown, revision(shown.ID), func() error { return s.printRelease(shown) })
	})
}

func releaseSay(env *roles.Env, word, usage, description string) *cli.Command {
	return remote(env, &cli.Command{
		Name: word, Usage: usage, ArgsUsage: "[RELEASE]", Description: description,
		UsageText: "aspects-poc fleet release " + word,
	}, 0, 1, func(s *session, args []string) error {
		of, err := s.release(args)
		if err != nil {
			return err
		}
		moved, err := s.client.SayToRelease(s, of.ID, word)
		if err != nil {
			return err
		}
		return s.out.printOne(moved, revision(moved.ID), func() error { return s.printRelease(moved) })
	})
}

// printRelease prints a release for people.
func (s *session) printRelease(r serverapi.Release) error {
	for _, line := range s.releaseLines(r) {
		if _, err := io.WriteString(s.out.w, line+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// barWidth is the length of the bar of a stage.
const barWidth = 24

// releaseLines returns the printed lines of a release.
func (s *session) releaseLines(r serverapi.Release) (lines []string) {
	out := s.out
	add := func(text string, look tone) { lines = append(lines, out.painted(plain.Line(text), look)) }
	head := fmt.Sprintf("Release %d of %s by %s: %s", r.ID, layersOf(r), by(r.Author, r.At), r.Phase)
	if !r.Active {
		head += " " + age(r.Since) + " ago"
	}
	if r.Why != "" {
		head += ", because " + r.Why
	}
	add(head, phaseOf(r).tone)
	if r.Waits != "" {
		add("It waits: "+r.Waits, map[bool]tone{true: warn}[r.NeedsWord])
	}
	widest := 0
	for _, stage := range r.Stages {
		widest = max(widest, utf8.RuneCountInString(stage.Stage))
	}
	for i, stage := range r.Stages {
		lines = append(lines, fmt.Sprintf("%2d  %-*s  %s  %s", i+1, widest, plain.Line(stage.Stage), s.bar(stage), countsOf(stage, r.Active)))
	}
	for _, held := range r.HeldBy {
		text, lists := "Yet to apply it: ", "--state behind, or new,"
		if held.Outcome == "absent" {
			text, lists = "Silent since before: ", "--silent"
		}
		text += out.some(held.Some, held.Names, held.Devices)
		if held.Devices > len(held.Some) {
			text += fmt.Sprintf("; %s fleet devices %s lists them", roles.Program, lists)
		}
		add(text, usual)
	}
	for i, cause := range r.Causes {
		if i == 0 {
			add("Why:", bold)
		}
		text := "  " + devicesOf(cause.Devices) + " " + cause.Outcome
		if cause.Path != "" {
			text += " " + cause.Path
		}
		if cause.Reason != "" {
			text += ": " + cause.Reason
		}
		add(text+" ("+out.some(cause.Some, cause.Names, cause.Devices)+")", bad)
	}
	return lines
}

// countsOf describes the states of a stage's devices.
func countsOf(stage serverapi.ReleaseCounts, active bool) string {
	if stage.Begun == 0 && !active {
		return "has not begun"
	}
	if stage.Begun == 0 {
		return devicesOf(stage.Devices) + " to come"
	}
	var list []string
	for _, one := range []struct {
		number int
		what   string
	}{{stage.InSync, "in sync"}, {stage.Failing, "failing"}, {stage.Silent, "silent"}, {stage.Waiting, "to go"}, {stage.Absent, "absent"}} {
		if one.number > 0 {
			list = append(list, fmt.Sprint(one.number, " ", one.what))
		}
	}
	if list == nil {
		return "no device"
	}
	return strings.Join(list, ", ")
}

// bar returns a bar of a stage's devices: those in sync, those that fail or are silent, and the others.
func (s *session) bar(stage serverapi.ReleaseCounts) string {
	if stage.Begun == 0 || stage.Devices == 0 {
		return "[" + strings.Repeat(" ", barWidth) + "]"
	}
	part := func(number int) int {
		cells := number * barWidth / stage.Devices
		if number > 0 && cells == 0 {
			cells = 1
		}
		return cells
	}
	bads := part(stage.Failing + stage.Silent)
	goods := min(part(stage.InSync), barWidth-bads)
	return "[" + s.out.painted(strings.Repeat("#", goods), good) + s.out.painted(strings.Repeat("x", bads), bad) +
		strings.Repeat(".", barWidth-goods-bads) + "]"
}

func releaseWatch(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "watch", Usage: "follow a release until it ends", ArgsUsage: "[RELEASE]",
		Description: "Shows the stages of a release as bars that move, on a terminal; elsewhere a line for each change. It ends when the " +
			"release has ended. With --wait it exits with 3 unless the release is done within that time: also if it is undone, " +
			"or if it is halted.",
		UsageText: "aspects-poc fleet release watch\n" +
			"aspects-poc fleet release watch --wait 30m",
		Flags: []cli.Flag{&cli.DurationFlag{Name: flagWait, Usage: "longest `DURATION` to wait until the release is done"}},
	}, 0, 1, func(s *session, args []string) error {
		if s.c.Duration(flagWait) < 0 {
			return roles.Usagef("invalid value %q for --%s: must not be negative", s.c.Duration(flagWait), flagWait)
		}
		if s.out.form == "yaml" {
			return roles.Usagef("watch prints lines: want table, wide, json or name for --%s", flagOutput)
		}
		shown, err := s.release(args)
		if err != nil {
			return err
		}
		return s.watchRelease(shown)
	})
}

// watchStep is the time between two requests for a release.
const watchStep = time.Second

func (s *session) watchRelease(shown serverapi.Release) error {
	begun, waits, drawn, last := time.Now(), s.c.IsSet(flagWait), 0, ""
	for {
		var err error
		if drawn, last, err = s.showRelease(shown, drawn, last); err != nil {
			return err
		}
		late := waits && time.Since(begun) >= s.c.Duration(flagWait)
		switch {
		case shown.Phase == serverapi.ReleaseDone || !waits && !shown.Active:
			return nil
		case waits && (late || shown.Phase == serverapi.ReleaseHalted || !shown.Active):
			return fmt.Errorf("release %d is %s: %w", shown.ID, shown.Phase, roles.ErrNotYet)
		}
		select {
		case <-s.Done():
			return nil // the user has interrupted
		case <-time.After(watchStep):
		}
		next, err := s.client.Release(s, shown.ID)
		switch {
		case err == nil:
			shown = next
		case s.Err() != nil:
			return nil
		case !passes(err):
			return err
		}
	}
}

// showRelease prints a release. On a terminal it overwrites the lines that it has drawn before. Elsewhere it prints a
// line that differs from the last one.
func (s *session) showRelease(shown serverapi.Release, drawn int, last string) (int, string, error) {
	var text string
	switch {
	case s.out.form == "json":
		encoded, err := jsonvalue.Encode(shown)
		if err != nil {
			return 0, "", err
		}
		text = s.out.shown(string(encoded), plain.JSON)
	case s.out.form == "name":
		text = shown.Phase
	case s.out.terminal:
		lines := s.releaseLines(shown)
		if text = strings.Join(lines, "\n"); text == last {
			return drawn, last, nil
		}
		if drawn > 0 {
			fmt.Fprintf(s.env.Stdout, "\x1b[%dA\x1b[J", drawn) //nolint:errcheck // the next write returns the error
		}
		_, err := fmt.Fprintln(s.env.Stdout, text)
		return rows(lines, s.out.width), text, err
	default:
		text = fmt.Sprintf("release %d %s", shown.ID, shown.Phase)
		if shown.Stage > 0 {
			text += fmt.Sprintf(", stage %d of %d: %s", shown.Stage, len(shown.Stages), countsOf(shown.Stages[shown.Stage-1], true))
		}
		if shown.Why != "" {
			text += "; " + shown.Why
		}
		text = plain.Line(text)
	}
	if text == last {
		return 0, last, nil
	}
	stamp := ""
	if s.out.isTable() {
		stamp = now().Format(time.TimeOnly) + " "
	}
	_, err := fmt.Fprintln(s.env.Stdout, stamp+text)
	return 0, text, err
}

// rows returns the number of terminal rows that the lines need.
func rows(lines []string, width int) int {
	count := len(lines)
	for _, line := range lines {
		if length := utf8.RuneCountInString(uncoloured(line)); width > 0 && length > width {
			count += (length - 1) / width
		}
	}
	return count
}

// uncoloured returns a line without its colour codes.
func uncoloured(line string) string {
	var text strings.Builder
	for line != "" {
		before, rest, found := strings.Cut(line, "\x1b[")
		text.WriteString(before)
		if !found {
			break
		}
		_, line, _ = strings.Cut(rest, "m")
	}
	return text.String()
}

// printStanding prints the place of a device in the active release. It prints nothing for a device outside of it.
func (s *session) printStanding(of *serverapi.DeviceRelease) {
	switch {
	case of == nil:
	case of.Stage > 0:
		s.out.fact("Release", word{text: fmt.Sprintf("%d, since stage %d of %d", of.ID, of.Stage, of.Stages)})
	case of.WaitsFor > 0:
		s.out.fact("Release", word{fmt.Sprintf("waits for stage %d of %d of release %d", of.WaitsFor, of.Stages, of.ID), note})
	default:
		s.out.fact("Release", word{fmt.Sprintf("waits for a later stage of release %d", of.ID), note})
	}
}
