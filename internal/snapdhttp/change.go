package snapdhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"aspects-poc/internal/jsonvalue"
)

// A Change is the part of snapd's change that the backends use.
type Change struct {
	ID      string                     `json:"id"`
	Kind    string                     `json:"kind"`
	Summary string                     `json:"summary"`
	Status  string                     `json:"status"`
	Ready   bool                       `json:"ready"` // in a final state
	Err     string                     `json:"err"`
	Tasks   []Task                     `json:"tasks"`
	Data    map[string]json.RawMessage `json:"data"`
}

// A Task is a step of a Change.
type Task struct {
	Kind    string   `json:"kind"`
	Summary string   `json:"summary"`
	Status  string   `json:"status"`
	Log     []string `json:"log"`
}

// DecodeChange decodes the result of GET /v2/changes/ID.
func DecodeChange(result []byte) (*Change, error) {
	var change *Change
	if err := jsonvalue.Decode(result, &change); err != nil {
		return nil, fmt.Errorf("cannot read change: %w", err)
	}
	if change == nil || change.Status == "" {
		return nil, errors.New("cannot read change: it has no status")
	}
	return change, nil
}

// Values returns the values of a finished read, or its refusal. Unless it returns an error, exactly one of the two is
// not nil. It accepts the names of all versions: values and error since 2.71, confdb-data and confdb-error in 2.69
// and 2.70.
func (c *Change) Values() (map[string]any, *Refusal, error) {
	if !c.Ready {
		return nil, nil, fmt.Errorf("change %s is not finished", c.ID)
	}
	if refusal := c.Failure(); refusal != nil {
		return nil, refusal, nil
	}
	for _, name := range []string{"error", "confdb-error"} {
		text, found := c.Data[name]
		if !found {
			continue
		}
		refusal, err := dataError(text)
		if err != nil {
			return nil, nil, fmt.Errorf("change %s: data %q: %w", c.ID, name, err)
		}
		return nil, refusal, nil
	}
	for _, name := range []string{"values", "confdb-data"} {
		text, found := c.Data[name]
		if !found {
			continue
		}
		values, err := Object(text)
		if err != nil {
			return nil, nil, fmt.Errorf("change %s: data %q: %w", c.ID, name, err)
		}
		return values, nil, nil
	}
	return nil, nil, fmt.Errorf("change %s is done but has neither values nor an error", c.ID)
}

func dataError(text []byte) (*Refusal, error) {
	var message string
	if err := json.Unmarshal(text, &message); err == nil && message != "" {
		return &Refusal{Message: message}, nil
	}
	var object struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(text, &object); err != nil || object.Message == "" {
		return nil, errors.New("want a message, or an object with one")
	}
	return &Refusal{Kind: object.Kind, Message: object.Message}, nil
}

// Failure returns why a finished change failed, in the words of the failed task; nil if the change is Done.
func (c *Change) Failure() *Refusal {
	if c.Status == "Done" {
		return nil
	}
	for _, task := range c.Tasks {
		if task.Status != "Error" {
			continue
		}
		if text := lastError(task.Log); text != "" {
			return &Refusal{Message: text, Hook: hookOf(task.Summary)}
		}
	}
	if summary, text := firstTask(c.Err); text != "" {
		return &Refusal{Message: text, Hook: hookOf(summary)}
	}
	if c.Err != "" {
		return &Refusal{Message: c.Err}
	}
	return &Refusal{Message: fmt.Sprintf("change %s ended as %s without an error", c.ID, c.Status)}
}

// lastError returns the text of the last ERROR record of a task's log. Records look like "2026-11-22T23:49:17Z ERROR
// cannot change confdb …".
func lastError(log []string) string {
	for i := len(log) - 1; i >= 0; i-- {
		_, rest, found := strings.Cut(log[i], " ")
		if text, isError := strings.CutPrefix(rest, "ERROR "); found && isError {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

var hookTask = regexp.MustCompile(`^Run hook (\S+) of snap "([^"]+)"`)

// hookOf returns which hook a task of this summary runs, as NAME of SNAP; "" for other tasks.
func hookOf(summary string) string {
	match := hookTask.FindStringSubmatch(summary)
	if match == nil {
		return ""
	}
	return match[1] + " of " + match[2]
}

// firstTask returns summary and cause of the first task in a change's err, which has the form
//
//	cannot perform the following tasks:
//	- SUMMARY (CAUSE)
//	- …
//
// CAUSE may contain line breaks (a hook's output) and brackets.
func firstTask(err string) (summary, cause string) {
	_, rest, found := strings.Cut(err, "cannot perform the following tasks:\n- ")
	if !found {
		return "", ""
	}
	if i := strings.Index(rest, ")\n- "); i >= 0 {
		rest = rest[:i+1]
	}
	summary, cause, found = strings.Cut(rest, " (")
	if !found {
		return "", ""
	}
	return summary, strings.TrimSpace(strings.TrimSuffix(cause, ")"))
}

// HookOutput returns the output of a failed hook from a message of the form
//
//	run hook "change-view-tunnel":
//	-----
//	OUTPUT
//	-----
//
// It returns false for any other message.
func HookOutput(message string) (string, bool) {
	const ruler = "-----"
	if !strings.HasPrefix(message, `run hook "`) {
		return "", false
	}
	_, rest, found := strings.Cut(message, ruler+"\n")
	if !found {
		return "", false
	}
	output, _, _ := strings.Cut(rest, "\n"+ruler)
	return strings.TrimSpace(output), true
}
