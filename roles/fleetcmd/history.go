package fleetcmd

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"aspects-poc/internal/plain"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"

	"github.com/urfave/cli/v2"
)

func history(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "history", Usage: "list changes of layers, labels and names, the newest first", ArgsUsage: "[LAYER]",
		Description: "Lists the changes of all layers and of devices' labels and names, or of one LAYER. The layer devices/ID has the " +
			"changes of the device's labels and name, too; secrets/NAME has those of a named secret, releases/ID the steps of a release, " +
			"and signature what operators have signed.",
		UsageText: "aspects-poc fleet history --limit 20\naspects-poc fleet history labels/berlin",
		Flags: []cli.Flag{
			roles.SpanFlag("since", "only changes that are younger than `DURATION`, such as 24h or 7d"),
			&cli.StringFlag{Name: "author", Usage: "only changes by the token or person `AUTHOR`"},
			&cli.IntFlag{Name: "limit", Value: 50, Usage: "list this `NUMBER` of changes at most; 0: all"}},
	}, 0, 1, func(s *session, args []string) error {
		limit, err := s.limit()
		if err != nil {
			return err
		}
		layer := ""
		switch {
		case len(args) == 0:
		case strings.HasPrefix(args[0], "secrets/"), strings.HasPrefix(args[0], "releases/"), args[0] == "signature":
			layer = args[0]
		default:
			if layer, err = s.layer(args[0]); err != nil {
				return err
			}
		}
		page := limit + 1 // one more entry shows whether the list continues
		if limit == 0 || s.c.IsSet("author") {
			page = 1000
		}
		more := false
		list := capped(chosen(s.client.History(s, layer, page), roles.SpanOf(s.c, "since"), s.c.String("author")), limit, &more)
		err = printList(s.out, "changes", historyColumns(), func(e serverapi.HistoryEntry) string { return revision(e.Revision) }, list)
		if err == nil && more && s.out.isTable() {
			s.say("There are more than these %d; --limit 0 lists all, and --since and --author choose some.", limit)
		}
		return err
	})
}

// chosen returns the entries of a history that are younger than since (0 means all) and have this author ("" means
// anybody).
func chosen(list iter.Seq2[serverapi.HistoryEntry, error], since time.Duration, author string) iter.Seq2[serverapi.HistoryEntry, error] {
	return func(yield func(serverapi.HistoryEntry, error) bool) {
		for entry, err := range list {
			if err == nil && since > 0 && time.Unix(entry.At, 0).Before(now().Add(-since)) {
				return // the later ones are older still
			}
			person, token, _ := strings.Cut(entry.Author, " (") // of a proxy
			fits := author == "" || slices.Contains([]string{entry.Author, person, strings.TrimSuffix(token, ")")}, author)
			if (err != nil || fits) && !yield(entry, err) {
				return
			}
		}
	}
}

// capped is first with a result: it sets more if there are further elements.
func capped[T any](list iter.Seq2[T, error], number int, more *bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		count := 0
		for element, err := range list {
			if *more = number > 0 && count == number && err == nil; *more || !yield(element, err) {
				return
			}
			count++
		}
	}
}

func historyColumns() []column[serverapi.HistoryEntry] {
	return []column[serverapi.HistoryEntry]{
		{head: "Revision", cell: func(e serverapi.HistoryEntry) word { return word{text: revision(e.Revision)} }},
		{head: "Age", cell: func(e serverapi.HistoryEntry) word { return word{text: age(e.At)} }},
		{head: "Author", cell: func(e serverapi.HistoryEntry) word { return word{text: e.Author} }},
		{head: "Layer", cell: func(e serverapi.HistoryEntry) word { return word{text: layerOf(e.Layer, e.Device)} }},
		{head: "Change", cell: changeOf},
	}
}

// changeOf returns what an entry of the history changed.
func changeOf(e serverapi.HistoryEntry) word {
	text := e.Action
	if e.Action == "labels" {
		text = "labels: " + labelsOf(e.Labels)
	}
	if e.Action == "name" {
		text = "name: " + cmp.Or(e.Name, "none")
	}
	if e.Step != "" {
		text = e.Step
	}
	if e.Selector != "" {
		text += " for " + e.Selector
	}
	if e.Restores != 0 {
		text += ", as in revision " + revision(e.Restores)
	}
	return word{text, map[string]tone{"removed": warn}[e.Action]}
}

// parseRevision parses a revision. It returns an error for one below least.
func parseRevision(typed string, least int64) (int64, error) {
	number, err := strconv.ParseInt(strings.TrimPrefix(typed, "#"), 10, 64)
	if err != nil || number < least {
		return 0, roles.Usagef("%q is no revision: want a number from %d on; %s fleet history lists them", typed, least, roles.Program)
	}
	return number, nil
}

func diff(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "diff", Usage: "show what a revision changed in its layer", ArgsUsage: "[REVISION [AGAINST]]",
		Description: "Shows what a revision changed in its layer, or of a device's labels or name: + a new value, - one that is gone, ~ another value. " +
			"Without a REVISION it takes the last change of a layer. With AGAINST, an earlier revision, it shows how the " +
			"layer differs from what it was then.",
		UsageText: "aspects-poc fleet diff\naspects-poc fleet diff 7 3",
	}, 0, 2, func(s *session, args []string) error {
		var numbers []int64
		for i, arg := range args {
			number, err := parseRevision(arg, int64(1-i))
			if err != nil {
				return err
			}
			numbers = append(numbers, number)
		}
		if len(numbers) == 0 {
			last, err := s.lastSet()
			if err != nil {
				return err
			}
			numbers = append(numbers, last)
		}
		var against *int64
		if len(numbers) > 1 {
			against = &numbers[1]
		}
		entry, err := s.client.Entry(s, numbers[0])
		if err != nil {
			return err
		}
		var found serverapi.Diff
		if entry.Action == "labels" || entry.Action == "name" {
			found, err = s.diffDevice(entry, against)
		} else {
			found, err = s.client.Diff(s, numbers[0], against)
		}
		if err != nil {
			return err
		}
		return s.out.printOne(found, found.Layer, func() error {
			if found.Against == 0 && entry.Action == "labels" {
				s.out.line("%s: revision %d has all of these; the history has no earlier labels of the device", shortLayer(found.Layer), found.Revision)
			} else {
				s.out.line("%s: revision %d against %d", shortLayer(found.Layer), found.Revision, found.Against)
			}
			s.out.printChanges(found.Changes)
			return nil
		})
	})
}

// diffDevice returns how a change of a device's labels or name changed them. With against it returns how they differ
// from their state at that revision.
func (s *session) diffDevice(entry serverapi.HistoryEntry, against *int64) (serverapi.Diff, error) {
	found := serverapi.Diff{Layer: entry.Layer, Revision: entry.Revision, Changes: []serverapi.Change{}}
	bound := entry.Revision - 1
	if against != nil {
		bound = *against
	}
	before := serverapi.HistoryEntry{}
	for earlier, err := range s.client.History(s, entry.Layer, 1000) {
		if err != nil {
			return found, err
		}
		if earlier.Revision <= bound && earlier.Action == entry.Action {
			before, found.Against = earlier, earlier.Revision
			break
		}
	}
	values := func(of serverapi.HistoryEntry) map[string]string {
		list := map[string]string{}
		for label, value := range of.Labels {
			list["labels."+label] = value
		}
		if of.Name != "" {
			list["name"] = of.Name
		}
		return list
	}
	was, is := values(before), values(entry)
	paths := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		old, there := was[path]
		now, stays := is[path]
		switch {
		case !there:
			found.Changes = append(found.Changes, serverapi.Change{Path: path, Kind: "added", After: now})
		case !stays:
			found.Changes = append(found.Changes, serverapi.Change{Path: path, Kind: "removed", Before: old})
		case old != now:
			found.Changes = append(found.Changes, serverapi.Change{Path: path, Kind: "changed", Before: old, After: now})
		}
	}
	return found, nil
}

// lastSet returns the revision of the last change of a layer. It returns an error if there is none.
func (s *session) lastSet() (int64, error) {
	for entry, err := range s.client.History(s, "", 20) {
		if err != nil {
			return 0, err
		}
		if entry.Action != "labels" && entry.Action != "name" && entry.Action != "release" && !strings.HasPrefix(entry.Layer, "secrets/") {
			return entry.Revision, nil
		}
	}
	return 0, fmt.Errorf("no layer was ever set; %s fleet edit everyone sets one", roles.Program)
}

// printChanges prints differences for people.
func (p *printer) printChanges(changes []serverapi.Change) {
	if len(changes) == 0 {
		p.line("  no difference")
	}
	for _, change := range changes {
		look := note
		switch change.Kind {
		case "added":
			look = good
		case "removed":
			look = bad
		}
		fmt.Fprintln(p.w, "  "+p.painted(plain.Line(changeLine(change)), look)) //nolint:errcheck // Flush returns the error
	}
}

// affected returns how many targets the restore of a layer changes, as text. It returns "" for labels and names, and if
// the server returns an error: the restore itself then reports it.
func (s *session) affected(number int64) string {
	entry, err := s.client.Entry(s, number)
	if err != nil || entry.Action != "set" && entry.Action != "removed" {
		return ""
	}
	change := serverapi.BatchChange{Layer: entry.Layer, Remove: entry.Action == "removed"}
	if !change.Remove {
		change.Selector, change.Priority, change.Config = entry.Selector, entry.Priority, entry.After
	}
	trial, err := s.client.Plan(s, operator.Batch{Batch: serverapi.Batch{Changes: []serverapi.BatchChange{change}}})
	if err != nil {
		return ""
	}
	return "; it changes the targets of " + devicesOf(trial.Devices)
}

func restore(env *roles.Env) *cli.Command {
	return remote(env, &cli.Command{
		Name: "restore", Usage: "set a layer, labels or a name to what they were at a revision", ArgsUsage: "REVISION",
		Description: "Sets the layer of a revision, or the device's labels or name, to what they were at that revision. This makes a " +
			"new revision, unless nothing differs. The server checks the target against its confdb-schema again.",
		UsageText: "aspects-poc fleet restore 7",
	}, 1, 1, func(s *session, args []string) error {
		number, err := parseRevision(args[0], 1)
		if err != nil {
			return err
		}
		affected := s.affected(number)
		made, err := s.client.Restore(s, number)
		if err != nil {
			return err
		}
		return s.out.printOne(made, revision(made.Revision), func() error {
			switch {
			case made.Restores == number && made.Action == "removed":
				s.out.line("%s is removed, as in revision %d: revision %d%s", shortLayer(made.Layer), number, made.Revision, affected)
			case made.Restores == number:
				s.out.line("%s is as in revision %d again: revision %d%s", shortLayer(made.Layer), number, made.Revision, affected)
			case made.Action == "removed":
				s.out.line("there is no layer %s, as in revision %d; nothing is changed", shortLayer(made.Layer), number)
			case made.Action == "labels", made.Action == "name": // does not tell whether the change is new
				s.out.line("%s: %s, as in revision %d; its last change is revision %d", shortLayer(made.Layer), changeOf(made).text, number,
					made.Revision)
			default:
				s.out.line("%s is as in revision %d already; its last change is revision %d", shortLayer(made.Layer), number, made.Revision)
			}
			return nil
		})
	})
}
