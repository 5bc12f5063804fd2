package page_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"aspects-poc/roles/server/fleet"
)

// TestVisible: what a device says shows all its characters, wherever a page has it; forms send back what was typed.
func TestVisible(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.register(fleet.Labels{"site": "berlin"})
	const value, shown = "ok \u202egpj\u2066\u2069 \u200f\x1b", `ok \u202egpj\u2066\u2069 \u200f\x1b`
	w.set("eve \u202enna", fleet.Everyone, "", `{"v":{"a":"`+strings.ReplaceAll(value, "\x1b", `\u001b`)+`","b\u202ec":1}}`)
	w.poll(fleet.Poll{Config: w.config(`{"v":{"a":"<` + strings.ReplaceAll(value, "\x1b", "") + `>"}}`), Report: true, Sequence: 1,
		Attempted: fleet.Attempted{Revision: 1, Outcome: fleet.Refused, Reason: value}})
	for path, want := range map[string][]string{
		"/page/devices/": {shown},
		"/page/devices/?" + url.Values{"cause": {value}}.Encode():  {`<q dir="auto">` + shown, `<input type="hidden" name="cause" value="` + value + `">`},
		"/page/devices/?" + url.Values{"q": {"\u202epq"}}.Encode(): {"value=\"\u202epq\""},
		"/page/devices/" + id.String() + "/":                       {shown, `eve \u202enna`, `v.b\u202ec</th>`, "&lt;ok \\u202e"},
		"/page/layers/everyone/":                                   {`\u202e`},
		"/page/layers/everyone/edit/":                              {`<textarea id="config"`},
		"/page/history/":                                           {`eve \u202enna`},
		"/":                                                        {shown},
	} {
		answer := get(w, path)
		body := answer.Body.String()
		for _, part := range want {
			if answer.Code != http.StatusOK || !strings.Contains(body, part) {
				t.Errorf("%s: %d, it has no %q", path, answer.Code, part)
			}
		}
		for body != "" { // between tags there is nothing that hides
			text, rest, _ := strings.Cut(body, "<")
			if strings.ContainsAny(text, "\u202e\u2066\u2069\u200f\x1b") {
				t.Errorf("%s: %q", path, text)
			}
			if strings.HasPrefix(rest, "textarea") {
				_, rest, _ = strings.Cut(rest, "</textarea")
			}
			_, body, _ = strings.Cut(rest, ">")
		}
	}
}
