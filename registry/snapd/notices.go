package snapd

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"aspects-poc/registry/backend"
	"aspects-poc/registry/internal/snapdhttp"
)

// longPoll is how long one request for notices is held open.
const longPoll = 50 * time.Second

// A notice is the part of snapd's notice that concerns us: a change, whose ID is the key, has another status.
type notice struct {
	Key          string            `json:"key"`
	LastRepeated time.Time         `json:"last-repeated"`
	LastData     map[string]string `json:"last-data"` // "kind" of the change, where snapd gives it
}

// listen waits for changes that have written, until ctx ends or snapd turns out to have no notices.
func (b *Backend) listen(ctx context.Context, since time.Time) {
	if !b.isAnnounced() {
		return
	}
	afterSilence := pauses{next: time.Second, limit: 30 * time.Second}
	retry := &pauses{}
	*retry = afterSilence
	over := map[string]bool{} // changes that were looked at when they were over: a late notice tells nothing new
	for ctx.Err() == nil {
		notices, refused, err := b.notices(ctx, since)
		switch {
		case ctx.Err() != nil:
			return
		case refused:
			b.announces(false)
			return
		case err != nil:
			b.forget() // a snapd that went away may come back as another version
			b.announces(false)
			_ = sleep(ctx, retry.grown())
			continue
		}
		*retry = afterSilence
		b.announces(true)
		for _, n := range notices {
			if n.LastRepeated.After(since) {
				since = n.LastRepeated
			}
			if !over[n.Key] && b.noticed(ctx, n) {
				over[n.Key] = true
			}
		}
		if len(over) > 1000 { // far more than can be announced twice at a time
			clear(over)
		}
		// However fast they come, and even if snapd answers at once with nothing, this is no busy loop; and what
		// happens meanwhile comes together.
		_ = sleep(ctx, 20*time.Millisecond)
	}
}

// notices waits for changes with another status since a moment. It returns none after a while, and refused if snapd
// does not give them to us at all.
func (b *Backend) notices(ctx context.Context, since time.Time) (_ []notice, refused bool, _ error) {
	query := url.Values{
		"types":   {"change-update"},
		"after":   {since.UTC().Format(time.RFC3339Nano)},
		"timeout": {longPoll.String()},
	}
	// A snapd that does not answer long after its own limit has gone astray.
	ctx, cancel := context.WithTimeout(ctx, longPoll+30*time.Second)
	defer cancel()
	response, err := b.client.Do(ctx, http.MethodGet, "/v2/notices", query, nil)
	if err != nil {
		return nil, false, err
	}
	if refusal := response.Refusal(); refusal != nil {
		return nil, true, &snapdhttp.RefusalError{Refusal: *refusal}
	}
	var notices []notice
	if err := snapdhttp.Decode(response.Result, &notices); err != nil {
		return nil, true, fmt.Errorf("cannot read notices: %w", err)
	}
	return notices, false, nil
}

// noticed looks at a change that has another status, and has the views read that it may have altered. It tells whether
// the change is over. Reads make changes too: they are passed over without a question.
func (b *Backend) noticed(ctx context.Context, n notice) bool {
	if n.LastData["kind"] == "get-confdb" {
		return true
	}
	change, err := b.change(ctx, n.Key)
	if err != nil {
		return false // pruned, or snapd has just gone: the regular read finds out
	}
	if change.Ready && wrote(change) {
		account, schema := written(change.Summary)
		b.due(account, schema)
	}
	return change.Ready
}

// wrote tells that a finished change may have stored something. A write from an ordinary hook is part of the change
// that the hook runs for, so any kind of change can hold one.
func wrote(change *snapdhttp.Change) bool {
	for _, task := range change.Tasks {
		if task.Kind == "commit-confdb-tx" {
			return task.Status == "Done"
		}
	}
	switch change.Kind {
	case "set-confdb", "modify-confdb":
		return change.Status == "Done"
	}
	return false
}

var quotedName = regexp.MustCompile(`"([^"/]+)/([^"/]+)(?:/[^"/]+)?"`)

// written finds account and confdb-schema in the summary of a change: `Set confdb through "ACC/network/VIEW"`, or
// `Modify confdb "ACC/network"` in 2.68. It returns "" for a summary that names none.
func written(summary string) (account, schema string) {
	match := quotedName.FindStringSubmatch(summary)
	if match == nil {
		return "", ""
	}
	return match[1], match[2]
}

// severalSchemas warns of a snapd that erases data when it holds more than one confdb-schema. That it knows several is
// all that can be seen from outside; whether it holds data for them cannot. It returns "" where there is nothing to
// warn of, or nothing to be learnt.
func (b *Backend) severalSchemas(ctx context.Context, found Found) string {
	if !found.dialect.mayLoseData {
		return ""
	}
	schemas, err := b.schemas(ctx, found.dialect)
	if err != nil || len(schemas) < 2 {
		return ""
	}
	var names []string
	for _, schema := range schemas {
		names = append(names, schema.Account+"/"+schema.Name)
	}
	return fmt.Sprintf("%v: snapd %s knows %s, and the first write to one without data erases the data of the others "+
		"(try: update snapd to 2.77, or keep everything in one confdb-schema)",
		backend.ErrMayLoseData, found.Version, strings.Join(names, ", "))
}
