package scaffold

import (
	"fmt"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/kit/keep"
)

// word returns a text as a word of a test script, in quotes.
func word(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// broken has a text for each format that no parser accepts.
var broken = map[keep.Format]string{keep.YAML: "a: b: c\n", keep.JSON: "{\n", keep.INI: "[\n", keep.TOML: "a =\n"}

// inScript reports whether a text can be a file in a test script.
func inScript(text string) bool {
	return strings.HasSuffix(text, "\n") && !strings.HasPrefix(text, "-- ") && !strings.Contains(text, "\n-- ") && !strings.Contains(text, "\r")
}

// tests returns test scripts for the project, by their names.
func (w *Wrapped) tests() map[string]string {
	start := fmt.Sprintf("schema %[1]s.yaml\ninstall custodian\ninstall observer\nconnect %[1]s-custodian %[1]s-observer\n", w.Name)
	file := fmt.Sprintf("var/snap/%s-custodian/common/%s", w.Name, w.File)
	tests := map[string]string{}

	var shown strings.Builder
	fmt.Fprintf(&shown, "# The view shows what is in the file.\n%sexpect %s-state %s\n", start, w.Name, word(w.shown()))
	if w.Secrets() {
		for _, f := range w.Fields {
			if f.Secret && f.Entry.Kind == keep.String {
				fmt.Fprintf(&shown, `
# A secret can be written, and only the custodian and root read it. The file is for its owner only.
set %[1]s-admin %[2]s
grep 'not-for-all' %[3]s
! get %[1]s-admin %[4]s
stderr 'no matching rule'
expect %[1]s-secrets-state %[2]s
`, w.Name, word(f.Request+`="not-for-all"`), file, f.Request)
				break
			}
		}
	}
	tests["show.txtar"] = shown.String()
	s := w.sample
	if s == nil {
		return tests
	}
	var write strings.Builder
	fmt.Fprintf(&write, "# A write changes the file where the value is, and nowhere else. Whoever uses the value is told. The confdb-schema has to\n# accept the value, such as a pattern that you add: if it does not, write another one here, below \"want\", and in hand.txtar.\n%s", start)
	fmt.Fprintf(&write, "set %s-admin %s\n", w.Name, word(s.Request+"="+s.New))
	if inScript(s.after) {
		fmt.Fprintf(&write, "cmp %s want\n", file)
	}
	fmt.Fprintf(&write, "expect %[1]s-state %[2]s\nran %[1]s-observer observe-view-%[1]s-%[1]s-state\nsnapctl-as %[1]s-observer get --view :%[1]s-%[1]s-state %[3]s\nstdout .\n",
		w.Name, word(s.Request+"="+s.New), s.Request)
	fmt.Fprintf(&write, "\n# What is not of its type is refused, and the file stays as it is.\nfail 'cannot accept' set %s-admin %s\n", w.Name, word(s.Request+"="+s.Wrong))
	if inScript(s.after) {
		fmt.Fprintf(&write, "cmp %s want\n", file)
	}
	fmt.Fprintf(&write, "\n# The observer only reads.\n! snapctl-as %[1]s-observer set --view :%[1]s-%[1]s-state %[2]s\nstderr 'no matching rule'\n", w.Name, word(s.Request+"="+s.Old))
	if inScript(s.after) {
		fmt.Fprintf(&write, "-- want --\n%s", s.after)
	}
	tests["write.txtar"] = write.String()
	tests["hand.txtar"] = w.byHand(start, file)
	return tests
}

// byHand returns the test script about a file that somebody changes, removes or breaks by hand.
func (w *Wrapped) byHand(start, file string) string {
	s, other := w.sample, w.find(1)
	var out strings.Builder
	fmt.Fprintf(&out, "# What somebody changes by hand is shown.\n%s", start)
	var files strings.Builder
	if inScript(s.after) {
		fmt.Fprintf(&out, "cp changed %s\nexpect %s-state %s\n", file, w.Name, word(s.Request+"="+s.New))
		fmt.Fprintf(&files, "-- changed --\n%s", s.after)
		if other != nil {
			both, err := keep.Edit(w.Format, s.after, []keep.Change{{Path: w.pathOf(other.Request), Value: decoded(other.New)}})
			if err == nil {
				fmt.Fprintf(&out, "\n# It stays when something else is written.\nset %s-admin %s\ncmp %s both\n", w.Name, word(other.Request+"="+other.New), file)
				fmt.Fprintf(&files, "-- both --\n%s", both)
			}
		}
	}
	fmt.Fprintf(&out, `
# A broken file is no reason to lose it: reads and writes say what to do.
cp broken %[1]s
fail 'line 1: .*correct the file' get %[2]s-admin
fail 'line 1: .*correct the file' set %[2]s-admin %[3]s
cmp %[1]s broken
rm %[1]s
fail 'does not exist: put the file there again' get %[2]s-admin
fail 'does not exist: put the file there again' set %[2]s-admin %[3]s
! exists %[1]s
-- broken --
%[4]s%[5]s`, file, w.Name, word(s.Request+"="+s.Old), broken[w.Format], files.String())
	return out.String()
}

func (w *Wrapped) pathOf(request string) []string {
	for _, f := range w.Fields {
		if f.Request == request {
			return f.Entry.Path
		}
	}
	return nil
}

// decoded returns a value of keep from JSON that jsonOf wrote.
func decoded(text string) any {
	var value any
	if jsonvalue.Decode([]byte(text), &value) != nil {
		return nil
	}
	return value
}

// shown returns what the view …-state shows of the copy of the file, as JSON.
func (w *Wrapped) shown() string {
	tree := map[string]any{}
	for _, f := range w.Fields {
		list, isList := f.Entry.Value.([]any)
		if f.Secret || f.Entry.Kind == keep.Null || isList && len(list) == 0 {
			continue
		}
		at := tree
		names := strings.Split(f.Request, ".")
		for _, name := range names[:len(names)-1] {
			below, is := at[name].(map[string]any)
			if !is {
				below = map[string]any{}
				at[name] = below
			}
			at = below
		}
		at[names[len(names)-1]] = f.Entry.Value
	}
	return jsonOf(tree)
}
