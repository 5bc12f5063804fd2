package fakesnapd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/confdb"
)

// An access is one request to a view.
type access struct {
	w      http.ResponseWriter
	r      *http.Request
	e      era
	id     backend.ViewID
	schema *confdb.Schema
}

func (f *Fake) view(w http.ResponseWriter, r *http.Request, e era) {
	a := &access{w: w, r: r, e: e, id: backend.ViewID{
		Account: r.PathValue("account"), Schema: r.PathValue("schema"), View: r.PathValue("view"),
	}}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPut:
		refuse(w, 405, "", fmt.Sprintf("method %q not allowed", r.Method))
	case f.config.Unauthorized:
		refuse(w, 401, "login-required", "access denied")
	case f.config.FlagOff:
		refuse(w, 400, "", e.flagOff())
	case r.Method == http.MethodGet:
		f.get(a)
	default:
		f.put(a)
	}
}

// find looks up schema and view, and answers if there is none.
func (f *Fake) find(a *access) bool {
	a.schema = f.Data.Schema(a.id.Account, a.id.Schema)
	if a.schema == nil {
		status, kind, message := a.e.noSchema(a.id.Account, a.id.Schema)
		refuse(a.w, status, kind, message)
		return false
	}
	if !HasView(a.schema, a.id.View) {
		status, kind, message := a.e.noView(a.id.Account, a.id.Schema, a.id.View)
		refuse(a.w, status, kind, message)
		return false
	}
	return true
}

// custodian answers if nobody answers for the view.
func (f *Fake) custodian(a *access, write bool) bool {
	if f.config.NoCustodian == nil || !f.config.NoCustodian(a.id.View) {
		return true
	}
	message := a.e.noCustodian(a.id.String(), a.id.Account, a.id.Schema, write)
	if message == "" {
		return true
	}
	refuse(a.w, 500, "", message)
	return false
}

func (f *Fake) get(a *access) {
	query := a.r.URL.Query()
	var options confdb.ReadOptions
	if text := query.Get("constraints"); text != "" && a.e.constraints {
		var refused string
		if options.Constraints, refused = constraints(text, a.e); refused != "" {
			refuse(a.w, 400, "", refused)
			return
		}
	}
	timeout, refused := accessTimeout(query.Get("access-timeout"), "read", a.e)
	if refused != "" {
		refuse(a.w, 400, "", refused)
		return
	}
	// Splitting drops empty entries, and a parameter of another era is not seen at all.
	requests := strings.FieldsFunc(query.Get(a.e.keys), func(r rune) bool { return r == ',' })
	if !f.find(a) || !f.turn(a, timeout, false) || !f.custodian(a, false) {
		return
	}

	values, err := f.read(a, requests, options)
	var refusal *confdb.Error
	switch {
	case err == nil && !a.e.readChange:
		answer(a.w, values)
	case err == nil:
		f.readChange(a, a.e.dataKey, values)
	case !errors.As(err, &refusal):
		refuse(a.w, 500, "", err.Error())
	case a.e.readChange && (refusal.Kind == confdb.NoData || refusal.Kind == confdb.NoMatch && !a.e.kinds):
		var data any = a.e.words(refusal.Message)
		if a.e.kinds {
			data = map[string]any{"kind": "option-not-found", "message": data}
		}
		f.readChange(a, a.e.errorKey, data)
	default:
		status, kind, message := a.status(refusal, len(requests))
		refuse(a.w, status, kind, message)
	}
}

// read reads as the era does where some requests have no rule.
func (f *Fake) read(a *access, requests []string, options confdb.ReadOptions) (any, error) {
	if a.e.minor >= 71 {
		if _, err := a.schema.ReadsEphemeral(a.id.View, requests, options); err != nil {
			return nil, err
		}
		return f.Data.Read(a.schema, a.id.View, requests, options)
	}
	if len(requests) < 2 {
		return f.Data.Read(a.schema, a.id.View, requests, options)
	}
	found := map[string]any{}
	var first error
	for _, request := range requests {
		values, err := f.Data.Read(a.schema, a.id.View, []string{request}, options)
		var refusal *confdb.Error
		switch {
		case err == nil:
			maps.Copy(found, values.(map[string]any))
		case errors.As(err, &refusal) && (refusal.Kind == confdb.NoData || refusal.Kind == confdb.NoMatch):
			if first == nil || refusal.Kind == confdb.NoData {
				first = err
			}
		default:
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, first
	}
	return found, nil
}

// status is how one of the engine's errors is answered.
func (a *access) status(refusal *confdb.Error, requests int) (status int, kind, message string) {
	message = a.e.words(refusal.Message)
	wrapped := fmt.Sprintf("internal error: cannot read confdb %s/%s: %s", a.id.Account, a.id.Schema, message)
	read := a.r.Method == http.MethodGet
	switch refusal.Kind {
	case confdb.NoMatch:
		status, kind = a.e.noMatch()
		if read && a.e.minor >= 71 && requests > 1 {
			return status, kind, wrapped
		}
		return status, kind, message
	case confdb.NoData:
		if a.e.kinds {
			return 400, "option-not-found", message
		}
		return 404, "", message
	case confdb.UnmatchedConstraints, confdb.UnconstrainedParams:
		return 400, "", wrapped
	case confdb.BadRequest:
		if read && a.e.minor >= 71 {
			return 500, "", message
		}
		return 400, "", message
	default:
		return 500, "", message
	}
}

func (f *Fake) readChange(a *access, key string, data any) {
	c := &change{kind: "get-confdb", summary: fmt.Sprintf("Get confdb through %q", a.id), looks: f.config.ReadLooks}
	c.run = func(c *change) { c.data = map[string]any{key: data} }
	f.begin(c)
	accept(a.w, c.id)
}

func (f *Fake) put(a *access) {
	values, timeout, refused := a.body()
	if refused != "" {
		refuse(a.w, 400, "", refused)
		return
	}
	if !f.find(a) {
		return
	}
	name := a.id.Account + "/" + a.id.Schema
	if f.ongoing[name] != nil && a.e.minor >= 70 && !f.turn(a, timeout, true) {
		return
	}
	tx, err := f.Data.Stage(a.schema, a.id.View, values)
	var refusal *confdb.Error
	if errors.As(err, &refusal) {
		refuse2(a.w, a, refusal, len(values))
		return
	}
	if !f.custodian(a, true) {
		return
	}
	c := &change{kind: a.e.kind, summary: a.summary(), looks: f.config.WriteLooks, schema: name}
	write := Write{View: a.id, Values: values}
	c.run = func(c *change) { f.outcome(a, c, tx, write) }
	if !a.e.change {
		c.looks = 0
	}
	if first := f.ongoing[name]; first != nil && a.e.change {
		// The change exists by now, and nothing takes it back.
		c.looks, c.schema = 0, name
		c.id, c.status, c.spawned = fmt.Sprint(50+len(f.changes)), "Doing", time.Now()
		f.changes = append(f.changes, c)
		f.note(c)
		f.leftover[name] = append(f.leftover[name], c)
		if a.e.minor == 69 {
			refuse(a.w, 500, "", fmt.Sprintf("cannot write confdb (%s): a write transaction is ongoing", name))
			return
		}
		refuse(a.w, 500, "", fmt.Sprintf("internal error: cannot set task %q as ongoing commit task for %s %s: "+
			"already have %q", "1"+c.id, a.e.noun, name, "1"+first.id))
		return
	}
	f.begin(c)
	accept(a.w, c.id)
}

func refuse2(w http.ResponseWriter, a *access, refusal *confdb.Error, requests int) {
	status, kind, message := a.status(refusal, requests)
	refuse(w, status, kind, message)
}

// outcome runs the custodian's hook and the commit.
func (f *Fake) outcome(a *access, c *change, tx *confdb.Tx, write Write) {
	commit := strings.Replace("commit-confdb-tx", "confdb", a.e.noun, 1)
	hook := "change-view-" + a.id.View
	fail := func(summary, cause string, failed int) {
		c.status = "Error"
		c.err = fmt.Sprintf("cannot perform the following tasks:\n- %s (%s)", summary, cause)
		clear := "clear-" + a.e.noun + "-tx"
		for i, kind := range []string{clear + "-on-error", "run-hook", commit, "run-hook", clear} {
			task := map[string]any{"id": fmt.Sprint(100 + i), "kind": kind, "summary": summary, "status": "Hold"}
			switch {
			case i == failed:
				task["status"] = "Error"
				task["log"] = []string{time.Now().UTC().Format(time.RFC3339) + " ERROR " + cause}
			case i < failed:
				task["status"] = "Undone"
			}
			c.tasks = append(c.tasks, task)
		}
	}
	if a.e.change && f.config.Reject != nil {
		if reason := f.config.Reject(write); reason != "" {
			fail(fmt.Sprintf("Run hook %s of snap %q", hook, "cust"),
				fmt.Sprintf("cannot change %s %s/%s: cust rejected changes: %s", a.e.noun, a.id.Account, a.id.Schema, reason), 1)
			return
		}
	}
	if a.e.change && f.config.HookFails != nil {
		if output, fails := f.config.HookFails(write); fails {
			fail(fmt.Sprintf("Run hook %s of snap %q", hook, "cust"),
				fmt.Sprintf("run hook %q: \n-----\n%s\n-----", hook, output), 1)
			return
		}
	}
	if err := f.Data.Commit(a.schema, tx, a.e.minor < 77); err != nil {
		fail(fmt.Sprintf("Commit changes to %s (%s)", a.e.noun, a.id), err.Error(), 2)
	}
}

func (a *access) summary() string {
	switch {
	case a.e.minor >= 69:
		return fmt.Sprintf("Set confdb through %q", a.id)
	case a.e.minor >= 67:
		return fmt.Sprintf("Modify %s %q", a.e.noun, a.id.Account+"/"+a.id.Schema)
	default:
		return fmt.Sprintf("Set %s view %q", a.e.noun, a.id)
	}
}

// turn waits until no write is under way, or answers that one is.
func (f *Fake) turn(a *access, timeout time.Duration, write bool) bool {
	name := a.id.Account + "/" + a.id.Schema
	if f.ongoing[name] == nil || a.e.minor < 70 {
		return true
	}
	if !a.e.queue {
		if write {
			refuse(a.w, 500, "", fmt.Sprintf("cannot write confdb through view %s: ongoing transaction", a.id))
		} else {
			refuse(a.w, 500, "", fmt.Sprintf("cannot access confdb view %s: ongoing write transaction", a.id))
		}
		return false
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for f.ongoing[name] != nil {
		if !f.wait(a.r, timer.C) {
			verb := "read"
			if write {
				verb = "write"
			}
			refuse(a.w, 500, "", fmt.Sprintf("cannot %s %s: timed out waiting for access", verb, a.id))
			return false
		}
	}
	return true
}

// body reads what is to be written, with numbers as snapd's REST API sees them: float64.
func (a *access) body() (values map[string]any, timeout time.Duration, refused string) {
	var body struct {
		Values  map[string]any `json:"values"`
		Options struct {
			AccessTimeout string `json:"access-timeout"`
		} `json:"options"`
	}
	var target any = &body
	if !a.e.wrapped {
		target = &body.Values
	}
	if err := json.NewDecoder(a.r.Body).Decode(target); err != nil {
		return nil, 0, fmt.Sprintf("cannot decode %s request body: %v", a.e.noun, err)
	}
	if a.e.wrapped && len(body.Values) == 0 {
		verb := "set"
		if a.e.minor >= 76 {
			verb = "write"
		}
		return nil, 0, fmt.Sprintf("cannot %s confdb: request body contains no values", verb)
	}
	timeout, refused = accessTimeout(body.Options.AccessTimeout, "write", a.e)
	text, err := json.Marshal(body.Values)
	if err != nil {
		return nil, 0, err.Error()
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return nil, 0, err.Error()
	}
	return values, timeout, refused
}

func accessTimeout(text, verb string, e era) (timeout time.Duration, refused string) {
	if text == "" || !e.queue {
		return 10 * time.Minute, ""
	}
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout < 0 {
		return 0, fmt.Sprintf("cannot %s confdb: invalid access-timeout: %q", verb, text)
	}
	return timeout, ""
}

func constraints(text string, e era) (values map[string]any, refused string) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return nil, `"constraints" must be a JSON object`
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		shape := ""
		switch values[name].(type) {
		case nil:
			shape = "null"
		case []any:
			shape = "array"
		case map[string]any:
			shape = "map"
		case string:
			continue
		default:
			if e.minor >= 75 {
				continue
			}
			shape = "non-string" // 2.74 took strings only
		}
		return nil, fmt.Sprintf("constraint value must be non-null scalar but parameter %q has %s constraint", name, shape)
	}
	return values, ""
}
