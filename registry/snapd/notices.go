package snapd

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/internal/snapdhttp"
	"aspects-poc/registry/backend"
)

// longPoll is how long snapd holds one request for notices open.
const longPoll = 50 * time.Second

// A notice says that the status of a change has changed. Key is the ID of the change.
type notice struct {
	Key          string            `json:"key"`
	LastRepeated time.Time         `json:"last-repeated"`
	LastData     map[string]string `json:"last-data"` // "kind" of the change, if snapd includes it
}

// listen waits for finished changes that wrote data and makes the affected views due. It returns when ctx ends, or if
// this snapd has no notices.
func (b *Backend) listen(ctx context.Context, since time.Time) {
	if !b.isAnnounced() {
		return
	}
	afterSilence := pauses{next: time.Second, limit: 30 * time.Second}
	retry := &pauses{}
	*retry = afterSilence
	finished := map[string]bool{} // changes seen in their final state; their later notices are ignored
	for ctx.Err() == nil {
		notices, refused, err := b.notices(ctx, since)
		switch {
		case ctx.Err() != nil:
			return
		case refused:
			b.announces(false)
			return
		case err != nil:
			b.forget() // after a restart snapd may be another version
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
			if !finished[n.Key] && b.handleNotice(ctx, n) {
				finished[n.Key] = true
			}
		}
		if len(finished) > 1000 { // far more than snapd announces twice at a time
			clear(finished)
		}
		// Bounds the rate even if snapd answers at once without notices, and collects what happens meanwhile.
		_ = sleep(ctx, 20*time.Millisecond)
	}
}

// notices requests the notices after a moment. After longPoll it returns none. refused means that snapd does not
// provide notices.
func (b *Backend) notices(ctx context.Context, since time.Time) (_ []notice, refused bool, _ error) {
	query := url.Values{
		"types":   {"change-update"},
		"after":   {since.UTC().Format(time.RFC3339Nano)},
		"timeout": {longPoll.String()},
	}
	// A snapd that exceeds its own limit by far is stuck.
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
	if err := jsonvalue.Decode(response.Result, &notices); err != nil {
		return nil, true, fmt.Errorf("cannot read notices: %w", err)
	}
	return notices, false, nil
}

// handleNotice requests the change of a notice and makes the views due that the change may have altered. It reports whether the
// change is finished. Reads are changes too; handleNotice skips them without a request.
func (b *Backend) handleNotice(ctx context.Context, n notice) bool {
	if n.LastData["kind"] == "get-confdb" {
		return true
	}
	change, err := b.change(ctx, n.Key)
	if err != nil {
		return false // pruned, or snapd is restarting; the regular read follows
	}
	if change.Ready && wrote(change) {
		account, schema := written(change.Summary)
		b.due(account, schema)
	}
	return change.Ready
}

// wrote reports whether a finished change may have stored data. A write of an ordinary hook is part of the change
// that runs the hook, so changes of any kind can contain one.
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

// written returns account and confdb-schema from the summary of a change: `Set confdb through "ACC/network/VIEW"`, or
// `Modify confdb "ACC/network"` in 2.68. They are "" if the summary names none.
func written(summary string) (account, schema string) {
	match := quotedName.FindStringSubmatch(summary)
	if match == nil {
		return "", ""
	}
	return match[1], match[2]
}

// severalSchemas returns a warning if this snapd erases data when it holds several confdb-schemas and it knows more
// than one; otherwise "". Whether it holds data for them is not visible from outside.
func (b *Backend) severalSchemas(ctx context.Context, found Found) string {
	if !found.generation.mayLoseData {
		return ""
	}
	schemas, err := b.schemas(ctx, found.generation)
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
