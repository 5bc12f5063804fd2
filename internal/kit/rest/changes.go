package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"aspects-poc/internal/kit/world/changes"
	"aspects-poc/internal/kit/world/facts"
)

// The shapes of a change and its tasks in snapd's API, with members in snapd's order.
type changeInfo struct {
	ID      string         `json:"id"`
	Kind    string         `json:"kind"`
	Summary string         `json:"summary"`
	Status  string         `json:"status"`
	Tasks   []taskInfo     `json:"tasks,omitempty"`
	Ready   bool           `json:"ready"`
	Err     string         `json:"err,omitempty"`
	Spawned time.Time      `json:"spawn-time,omitzero"`
	Ended   *time.Time     `json:"ready-time,omitempty"`
	Data    map[string]any `json:"data,omitempty"`
}

type taskInfo struct {
	ID       string       `json:"id"`
	Kind     string       `json:"kind"`
	Summary  string       `json:"summary"`
	Status   string       `json:"status"`
	Log      []string     `json:"log,omitempty"`
	Progress progressInfo `json:"progress"`
	Spawned  time.Time    `json:"spawn-time,omitzero"`
	Ended    *time.Time   `json:"ready-time,omitempty"`
	Data     *taskData    `json:"data,omitempty"`
}

type taskData struct {
	Snaps []string `json:"affected-snaps"`
}

type progressInfo struct {
	Label string `json:"label"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

func showChange(c changes.Change) changeInfo {
	info := changeInfo{ID: c.ID, Kind: c.Kind, Summary: c.Summary, Status: c.Status, Ready: c.Ready, Err: c.Err,
		Spawned: c.Spawned, Ended: moment(c.Ended), Data: c.Data}
	for _, t := range c.Tasks {
		task := taskInfo{ID: t.ID, Kind: t.Kind, Summary: t.Summary, Status: t.Status, Log: t.Log,
			Progress: progressInfo{Done: 1, Total: 1}, Spawned: t.Spawned, Ended: moment(t.Ended)}
		if t.Status == changes.Do || t.Status == changes.Doing {
			task.Progress.Done = 0
		}
		if t.Affects != "" {
			task.Data = &taskData{[]string{t.Affects}}
		}
		info.Tasks = append(info.Tasks, task)
	}
	return info
}

func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

func (s *Server) listChanges(r *http.Request) (reply, error) {
	query := r.URL.Query()
	var wanted func(changes.Change) bool
	switch query.Get("select") {
	case "all":
		wanted = func(changes.Change) bool { return true }
	case "in-progress", "":
		wanted = func(c changes.Change) bool { return !c.Ready }
	case "ready":
		wanted = func(c changes.Change) bool { return c.Ready }
	default:
		return reply{}, badRequest("select should be one of: all,in-progress,ready")
	}
	list := []changeInfo{}
	for _, c := range s.world.Changes.Changes() {
		if wanted(c) && concerns(c, query.Get("for")) {
			list = append(list, showChange(c))
		}
	}
	return reply{result: list}, nil
}

// concerns reports whether a change is about a snap: the summary of the change or of one of its hooks names the snap.
func concerns(c changes.Change, instance string) bool {
	if instance == "" {
		return true
	}
	if instance == "system" {
		instance = "core"
	}
	if names, ok := c.Data["snap-names"].([]string); ok && slices.Contains(names, instance) {
		return true
	}
	about := func(summary string) bool {
		return strings.Contains(summary, fmt.Sprintf("%q", instance)) || strings.Contains(summary, " "+instance+":")
	}
	return about(c.Summary) || slices.ContainsFunc(c.Tasks, func(t changes.Task) bool { return about(t.Summary) })
}

func (s *Server) showChange(r *http.Request) (reply, error) {
	c, err := s.world.Changes.Change(r.PathValue("id"))
	if err != nil {
		return reply{}, err
	}
	return reply{result: showChange(c)}, nil
}

func (s *Server) abortChange(r *http.Request) (reply, error) {
	c, err := s.world.Changes.Change(r.PathValue("id"))
	if err != nil {
		return reply{}, err
	}
	var body struct {
		Action string `json:"action"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode data from request body: %v", err))
	}
	if body.Action != "abort" {
		return reply{}, badRequest(fmt.Sprintf("change action %q is unsupported", body.Action))
	}
	if c, err = s.world.Changes.Abort(c.ID); err != nil {
		return reply{}, err
	}
	return reply{result: showChange(c)}, nil
}

func (s *Server) listWarnings(*http.Request) (reply, error) { return reply{result: []any{}}, nil }

func (s *Server) okayWarnings(r *http.Request) (reply, error) {
	var body struct {
		Action    string    `json:"action"`
		Timestamp time.Time `json:"timestamp"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return reply{}, badRequest(fmt.Sprintf("cannot decode request body into warnings operation: %v", err))
	}
	if body.Action != "okay" {
		return reply{}, badRequest(fmt.Sprintf("unknown warning action %q", body.Action))
	}
	return reply{result: 0}, nil
}

func notFound(message string) *facts.Error { return refuse(http.StatusNotFound, message) }
