package fleet

// judge derives a device's state from its report:
//
//   - in-sync: it runs this revision with this hash, or an earlier one since which operators have only signed, and shows no
//     value that contradicts it. A client that does not say what it runs is in sync when it shows all that the target asks for;
//   - drifted: it runs it, but shows a value that contradicts it;
//   - refused, failed: that became of its last attempt, which was at this revision;
//   - behind: all else.
func (t Target) judge(report Report) (Verdict, error) {
	verdict := Verdict{State: StateBehind, Revision: t.Revision}
	runs := report.Running.Revision >= t.Since && report.Running.Revision <= t.Revision && report.Running.Hash == t.Hash
	unsaid := report.Mute()
	tried := report.Attempted.Outcome != None && report.Attempted.Revision == t.Revision
	if runs {
		verdict.Revision = report.Running.Revision
	}
	if runs || unsaid && !tried {
		shown, err := report.Config.Tree()
		switch {
		case err != nil:
			return Verdict{}, err
		case runs && contradictions(t.tree, shown) == nil, unsaid && InStep(t.tree, shown):
			verdict.State = StateInSync
		case runs:
			verdict.State = StateDrifted
		}
		return verdict, nil
	}
	switch {
	case tried && report.Attempted.Outcome == Refused:
		verdict.State = StateRefused
	case tried && report.Attempted.Outcome == Failed:
		verdict.State = StateFailed
	}
	return verdict, nil
}

// offersTo reports whether the target must be offered to a device. It need not if the device is in sync and has the
// last signatures, and must not if the device has refused the target.
func (t Target) offersTo(v Verdict) bool {
	if v.State == StateInSync {
		return v.Revision != t.Revision
	}
	return v.State != StateRefused
}

// offered reports whether the target may be offered at all: in a fleet with statements, only if an operator has signed
// it for the device.
func (t Target) offered() bool { return !t.Signing.Needed || t.Signing.Evidence != nil }

// contradictions lists the values that a device shows and that differ from its target. A value that the device does not
// show is no contradiction, because some values cannot be read.
func contradictions(target, shown map[string]any) []Difference {
	var list []Difference
	for _, difference := range compare(target, shown) {
		switch {
		case difference.Kind == "added": // by the device, beside the target
		case difference.Kind == "removed": // not shown
		case difference.After == nil: // null counts as not shown
		default:
			object, isObject := difference.Before.(map[string]any)
			if isObject && InStep(object, nil) {
				continue // below a value that is no object it only demands absence
			}
			list = append(list, difference)
		}
	}
	return list
}
