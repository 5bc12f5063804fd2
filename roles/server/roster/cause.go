package roster

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/roles/server/fleet"
)

// A Cause is why some devices are in a state: a reason without the parts that differ between devices.
type Cause struct {
	State   fleet.State
	Cause   string // see CauseOf
	Example string // the reason of one device
	Devices int
}

var (
	quoted    = regexp.MustCompile("\"[^\"]*\"|`[^`]*`")
	pathLike  = regexp.MustCompile(`^[a-z][a-z-]*([.\[\]{}a-z-]+)*$`)
	uuidLike  = regexp.MustCompile(`\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b`)
	hashLike  = regexp.MustCompile(`\b[0-9a-fA-F]{12,}\b`)
	numberish = regexp.MustCompile(`[0-9]+([.:,][0-9]+)*`)
)

// longestCause is the number of bytes of a reason that make its cause.
const longestCause = 1000

// CauseOf returns a reason without the parts that vary: quoted values that are no paths become "…", and IDs and numbers
// become "#".
func CauseOf(reason string) string {
	if len(reason) > longestCause {
		reason = strings.ToValidUTF8(reason[:longestCause], "")
	}
	reason = quoted.ReplaceAllStringFunc(reason, func(text string) string {
		if inside := text[1 : len(text)-1]; len(inside) < 200 && pathLike.MatchString(inside) {
			return text
		}
		return text[:1] + "…" + text[:1]
	})
	for _, varying := range []*regexp.Regexp{uuidLike, hashLike, numberish} {
		reason = varying.ReplaceAllString(reason, "#")
	}
	return reason
}

// Causes counts the devices that refused their targets or failed by cause, the most frequent first. Later calls return
// the same counts.
func (r *Roll) Causes() []Cause {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.causes != nil {
		return r.causes
	}
	type key struct {
		state fleet.State
		cause string
	}
	at := map[key]int{}
	list := []Cause{}
	for i := range r.rows {
		row := &r.rows[i]
		if row.State != fleet.StateRefused && row.State != fleet.StateFailed {
			continue
		}
		of := key{row.State, row.Cause}
		index, known := at[of]
		if !known {
			index = len(list)
			at[of] = index
			list = append(list, Cause{State: row.State, Cause: row.Cause, Example: row.Reason})
		}
		list[index].Devices++
	}
	slices.SortStableFunc(list, func(a, b Cause) int { return cmp.Compare(b.Devices, a.Devices) })
	r.causes = list
	return list
}

// Running counts the devices whose target has at least this revision, and those of them that run their target.
func (r *Roll) Running(revision int64) (running, all int) {
	for i := range r.rows {
		switch row := &r.rows[i]; {
		case row.Target < revision || row.State == fleet.StatePending || row.State == fleet.StateRevoked:
		case row.State == fleet.StateInSync:
			running++
			all++
		default:
			all++
		}
	}
	return running, all
}

// Matching counts the devices that each selector chooses.
func (r *Roll) Matching(selectors []fleet.Selector) []int {
	counts := make([]int, len(selectors))
	known := map[string][]bool{} // by labels, because few sets have many devices
	for i := range r.rows {
		labels := r.rows[i].Labels
		text := labels.String()
		matches, there := known[text]
		if !there {
			matches = make([]bool, len(selectors))
			for n, selector := range selectors {
				matches[n] = selector.Matches(labels)
			}
			known[text] = matches
		}
		for n, is := range matches {
			if is {
				counts[n]++
			}
		}
	}
	return counts
}

// Unsigned counts the devices that wait because nobody has signed their target.
func (r *Roll) Unsigned() (n int) {
	for i := range r.rows {
		if r.rows[i].Unsigned {
			n++
		}
	}
	return n
}

// Well counts the devices that run their targets and are neither silent nor cloned.
func (r *Roll) Well() (n int) {
	for i := range r.rows {
		if row := &r.rows[i]; row.State == fleet.StateInSync && !row.Silent && !row.Cloned {
			n++
		}
	}
	return n
}
