package older

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
	"aspects-poc/registry/confdb/databag"
)

// Main serves requests on snapd's main socket.
func (l *Layer) Main(w http.ResponseWriter, r *http.Request) {
	v := l.current()
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
	switch {
	case first == "system-info":
		l.systemInfo(w, r, v)
	case !v.before(newest):
		l.main.ServeHTTP(w, r)
	case first == "confdb" && v.before(68):
		refusal(http.StatusNotFound, "", "not found").send(w)
	case first == "confdb" && strings.Count(rest, "/") == 2 && (r.Method == http.MethodGet || r.Method == http.MethodPut):
		names := strings.Split(rest, "/")
		a := access{l, v, r, backend.ViewID{Account: names[0], Schema: names[1], View: names[2]}}
		if names[0] == builtin {
			a.worded(refusal(http.StatusBadRequest, facts.KindAssertionNotFound,
				fmt.Sprintf("confdb-schema (%s; account-id:%s) not found", names[1], builtin))).send(w)
		} else if r.Method == http.MethodGet {
			a.get().send(w)
		} else {
			a.put().send(w)
		}
	case first == "changes":
		l.showChange(w, r, v)
	case first == "assertions" && r.URL.Query().Has("json"):
		l.showAssertions(w, r, v, rest)
	default:
		l.main.ServeHTTP(w, r)
	}
}

func (l *Layer) systemInfo(w http.ResponseWriter, r *http.Request, v release) {
	a := ask(l.main, r, r.URL.Query(), nil)
	if a.refused() == "" {
		a.result()["version"] = v.text
		features := a.result()["features"].(map[string]any)
		own := features["confdb"]
		delete(features, "confdb")
		if !v.before(68) {
			features[v.flag()] = own
		}
	}
	a.send(w)
}

// builtin is the account of the confdb-schemas that snapd 2.77 contains.
const builtin = "system"

// showAssertions serves assertions. In 2.68 those of confdb-schemas have another type.
func (l *Layer) showAssertions(w http.ResponseWriter, r *http.Request, v release, kind string) {
	const newer = "confdb-schema"
	own := newer
	if v.before(69) {
		own = "confdb"
	}
	switch kind {
	case own:
		r = r.Clone(r.Context())
		r.URL.Path = "/v2/assertions/" + newer
	case newer:
		refusal(http.StatusBadRequest, "", fmt.Sprintf("invalid assert type: %q", kind)).send(w)
		return
	}
	a := ask(l.main, r, r.URL.Query(), nil)
	if list, ok := a.body["result"].([]any); ok && kind == own {
		a.body["result"] = slices.DeleteFunc(list, func(found any) bool {
			headers := found.(map[string]any)["headers"].(map[string]any)
			headers["type"] = own
			return headers["account-id"] == builtin
		})
	}
	a.send(w)
}

func (l *Layer) showChange(w http.ResponseWriter, r *http.Request, v release) {
	body, _ := io.ReadAll(r.Body)
	a := ask(l.main, r, r.URL.Query(), body)
	change := a.result()
	kind, _ := change["kind"].(string)
	summary, _ := change["summary"].(string)
	if data, ok := change["data"].(map[string]any); ok && kind == "get-confdb" && v.before(71) {
		change["data"] = olderData(data)
	}
	if kind == "set-confdb" && v.before(69) {
		change["kind"] = "modify-confdb"
		change["summary"] = summary[:strings.LastIndex(summary, "/")] + `"`
		change["summary"] = strings.Replace(change["summary"].(string), "Set confdb through", "Modify confdb", 1)
	}
	l.mu.Lock()
	if shown := l.shown[r.URL.Path[len("/v2/changes/"):]]; shown != nil {
		delete(change, "tasks")
		maps.Copy(change, shown)
	}
	l.mu.Unlock()
	a.send(w)
}

// olderData renames the data of a read's change as in 2.69 and 2.70.
func olderData(data map[string]any) map[string]any {
	if values, found := data["values"]; found {
		return map[string]any{"confdb-data": values}
	}
	return map[string]any{"confdb-error": data["error"].(map[string]any)["message"]}
}

// An access is a request to a view.
type access struct {
	*Layer
	v  release
	r  *http.Request
	id backend.ViewID
}

// busy reports whether an answer says that others held the confdb all the time.
func (a access) busy(got answer) bool {
	return strings.HasSuffix(got.refused(), ": timed out waiting for access")
}

func (a access) get() answer {
	query := a.r.URL.Query()
	keys := query.Get("keys")
	if a.v.before(71) {
		keys = query.Get("fields")
	}
	asked := url.Values{"keys": {keys}}
	if constraints := query.Get("constraints"); constraints != "" && !a.v.before(74) {
		if refused := notText(constraints); refused != "" && a.v.before(75) {
			return refusal(http.StatusBadRequest, "", refused)
		}
		asked.Set("constraints", constraints)
	}
	if a.v.before(76) {
		asked.Set("access-timeout", "0s")
	} else if timeout := query.Get("access-timeout"); timeout != "" {
		asked.Set("access-timeout", timeout)
	}
	if !a.v.before(71) {
		return a.worded(ask(a.main, a.r, asked, nil))
	}
	// Up to 2.70 the answer to several requests leaves out those without a rule.
	requests := slices.DeleteFunc(strings.Split(keys, ","), func(key string) bool { return key == "" })
	ruled := requests
	schema := a.schema()
	if schema != nil && len(requests) > 1 {
		ruled = slices.DeleteFunc(slices.Clone(requests), func(key string) bool {
			_, err := schema.ReadsEphemeral(a.id.View, []string{key}, confdb.ReadOptions{})
			return isKind(err, confdb.NoMatch)
		})
		if len(ruled) == 0 {
			ruled = requests[:1]
		}
	}
	if a.v.before(69) {
		return a.readStored(schema, ruled)
	}
	asked.Set("keys", strings.Join(ruled, ","))
	got := ask(a.main, a.r, asked, nil)
	noRule := got.result()["kind"] == facts.KindOptionNotAvailable && !strings.HasPrefix(got.refused(), "cannot find view ")
	if !noRule && !(a.busy(got) && a.v.before(70)) {
		return a.worded(got)
	}
	// The change reports a missing rule, and 2.69 does not wait for writes.
	data := map[string]any{}
	values, err := schema.Read(a.stored(), a.id.View, ruled, confdb.ReadOptions{})
	if data["confdb-data"] = values; err != nil {
		data = map[string]any{"confdb-error": err.Error()}
	}
	return a.carry("get-confdb", fmt.Sprintf("Get confdb through %q", a.id), data)
}

// notText returns the message of 2.74 for constraints that are not strings, or "".
func notText(text string) string {
	var constraints map[string]any
	if json.Unmarshal([]byte(text), &constraints) != nil {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(constraints)) {
		switch constraints[name].(type) {
		case float64, bool:
			return fmt.Sprintf("constraint value must be non-null scalar but parameter %q has non-string constraint", name)
		}
	}
	return ""
}

func isKind(err error, kind confdb.Kind) bool {
	refused := (*confdb.Error)(nil)
	return errors.As(err, &refused) && refused.Kind == kind
}

// find returns the confdb-schema of a view, or nil if either does not exist.
func (l *Layer) find(id backend.ViewID) *confdb.Schema {
	for _, schema := range l.world.Facts.Now().Schemas() {
		if schema.ID() == id.Account+"/"+id.Schema && slices.Contains(schema.Parsed.Views(), id.View) {
			return schema.Parsed
		}
	}
	return nil
}

func (a access) schema() *confdb.Schema { return a.find(a.id) }

func (l *Layer) bag(id backend.ViewID) databag.Bag {
	bag, err := databag.Parse([]byte(l.world.Facts.Now().Stored(id.Account, id.Schema)))
	if err != nil {
		panic(err) // the machine stored it
	}
	return bag
}

func (a access) stored() databag.Bag { return a.bag(a.id) }

// readStored reads as 2.68 does: without a change, a custodian or a wait for others.
func (a access) readStored(schema *confdb.Schema, requests []string) answer {
	// 2.77 makes the checks that come before that for the custodian. It makes no change for an impossible request.
	got := ask(a.main, a.r, url.Values{"keys": {"Not-A-Key"}, "access-timeout": {"0s"}}, nil)
	if schema == nil || got.status == http.StatusUnauthorized || strings.HasPrefix(got.refused(), "feature flag ") {
		return a.worded(got)
	}
	values, err := schema.Read(a.stored(), a.id.View, requests, confdb.ReadOptions{})
	switch refused := (*confdb.Error)(nil); {
	case err == nil:
		return sync200(values)
	case !errors.As(err, &refused) || refused.Kind == confdb.Other:
		return refusal(http.StatusInternalServerError, "", err.Error())
	case refused.Kind == confdb.BadRequest:
		return refusal(http.StatusBadRequest, "", err.Error())
	default:
		return refusal(http.StatusNotFound, "", strings.Replace(err.Error(), ": no data", ": no view data", 1))
	}
}

func (a access) put() answer {
	body, _ := io.ReadAll(a.r.Body)
	var given map[string]any
	if err := jsonvalue.DecodeFirst(body, &given); err != nil {
		return a.worded(ask(a.main, a.r, nil, body))
	}
	if a.v.before(73) {
		given = map[string]any{"values": given}
	}
	values, _ := given["values"].(map[string]any)
	if a.v.before(76) {
		given["options"] = map[string]any{"access-timeout": "0s"}
	}
	body, err := json.Marshal(given)
	if err != nil {
		panic(err) // it was JSON before
	}
	got := ask(a.main, a.r, nil, body)
	switch {
	case a.v.before(73) && strings.HasSuffix(got.refused(), "request body contains no values"):
		return a.carry("set-confdb", fmt.Sprintf("Set confdb through %q", a.id), nil)
	case a.v.before(70) && a.busy(got):
		return a.writeLate(values)
	}
	return a.worded(got)
}

// writeLate refuses a write of 2.68 or 2.69 during another one. Its change exists already and is carried out.
func (a access) writeLate(values map[string]any) answer {
	a.late.Go(func() {
		_, _ = a.world.Changes.Set(context.Background(), a.id, values, changes.Access{}) // ends at the latest when the machine is closed
	})
	name := a.id.Account + "/" + a.id.Schema
	if !a.v.before(69) {
		return refusal(http.StatusInternalServerError, "", fmt.Sprintf("cannot write confdb (%s): a write transaction is ongoing", name))
	}
	task := 0
	for _, change := range a.world.Changes.Changes() {
		for _, t := range change.Tasks {
			if t.Kind == "commit-confdb-tx" && !change.Ready {
				task, _ = strconv.Atoi(t.ID)
			}
		}
	}
	return refusal(http.StatusInternalServerError, "", fmt.Sprintf("internal error: cannot set task \"%d\" as ongoing commit "+
		"task for confdb %s: already have \"%d\"", task+6, name, task))
}

// carry answers with a change that exists only for its data.
func (a access) carry(kind, summary string, data map[string]any) answer {
	id, err := a.world.Changes.Configure("system", nil)
	if err == nil {
		_, err = a.world.Changes.Wait(a.r.Context(), id)
	}
	if err != nil {
		return refusal(http.StatusInternalServerError, "", err.Error())
	}
	shown := map[string]any{"kind": kind, "summary": summary}
	if kind == "set-confdb" && a.v.before(69) {
		shown = map[string]any{"kind": "modify-confdb", "summary": fmt.Sprintf("Modify confdb %q", a.id.Account+"/"+a.id.Schema)}
	}
	if data != nil {
		shown["data"] = data
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown[id] = shown
	return answer{http.StatusAccepted, map[string]any{"type": "async", "status-code": http.StatusAccepted, "status": "Accepted",
		"result": nil, "change": id}}
}

// worded puts a refusal into the words of the release.
func (a access) worded(got answer) answer {
	message, v := got.refused(), a.v
	kind, _ := got.result()["kind"].(string)
	name, write := a.id.Account+"/"+a.id.Schema, a.r.Method == http.MethodPut
	noView := strings.HasPrefix(message, "cannot find view ")
	switch {
	case message == "":
		return got
	case strings.HasPrefix(message, "feature flag ") && v.before(69):
		return refusal(got.status, "", v.snapctl().Disabled())
	case strings.HasPrefix(message, "cannot write confdb: request body") && v.before(76):
		return refusal(got.status, "", strings.Replace(message, "write", "set", 1))
	case kind == facts.KindAssertionNotFound && v.before(71):
		return refusal(http.StatusNotFound, "", fmt.Sprintf("cannot find confdb %s: assertion not found", name))
	case kind == facts.KindOptionNotAvailable && v.before(71):
		if v.before(69) {
			message = strings.Replace(message, " in confdb schema ", " in confdb ", 1)
		}
		return refusal(http.StatusNotFound, "", message)
	case kind == facts.KindOptionNotAvailable && v.before(72) && noView:
		return refusal(got.status, "confdb-view-not-found", message)
	case kind == facts.KindOptionNotAvailable && v.before(72):
		return refusal(got.status, "confdb-no-matching-rule", message)
	case strings.HasSuffix(message, "no custodian snap connected"), strings.HasSuffix(message, "no custodian snap installed"):
		return refusal(got.status, "", v.snapctl().NoCustodian(a.id.String(), write))
	case a.busy(got) && v.before(76):
		return refusal(got.status, "", tooEarly(a.id.String(), write))
	case strings.Contains(message, "invalid subkey") && v.before(71):
		return refusal(http.StatusBadRequest, "", message)
	default:
		return got
	}
}

// tooEarly returns the message of 2.70 to 2.75 for an access during a write.
func tooEarly(id string, write bool) string {
	if write {
		return fmt.Sprintf("cannot write confdb through view %s: ongoing transaction", id)
	}
	return fmt.Sprintf("cannot access confdb view %s: ongoing write transaction", id)
}
