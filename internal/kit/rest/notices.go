package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"aspects-poc/internal/kit/world/changes"
)

// noticeTypes are the types that snapd 2.77.1 knows. The imitated machine adds only notices of changes.
var noticeTypes = []string{"change-update", "warning", "refresh-inhibit", "snap-run-inhibit", "interfaces-requests-prompt",
	"interfaces-requests-rule-update"}

type noticeInfo struct {
	ID            string            `json:"id"`
	UserID        *int              `json:"user-id"` // null: for all users
	Type          string            `json:"type"`
	Key           string            `json:"key"`
	FirstOccurred time.Time         `json:"first-occurred"`
	LastOccurred  time.Time         `json:"last-occurred"`
	LastRepeated  time.Time         `json:"last-repeated"`
	Occurrences   int               `json:"occurrences"`
	LastData      map[string]string `json:"last-data,omitempty"`
	ExpireAfter   string            `json:"expire-after,omitempty"`
}

func noticeOf(n changes.Notice) noticeInfo {
	return noticeInfo{ID: n.ID, Type: n.Type, Key: n.Key, FirstOccurred: n.FirstOccurred, LastOccurred: n.LastOccurred,
		LastRepeated: n.LastRepeated, Occurrences: n.Occurrences, LastData: n.LastData, ExpireAfter: n.ExpireAfter.String()}
}

// listNotices returns notices that match the query. If there is none yet, it waits for one, at most for the query's timeout.
func (s *Server) listNotices(r *http.Request) (reply, error) {
	query := r.URL.Query()
	filter := changes.NoticeFilter{Keys: commaSeparated(query["keys"]...)}
	list := []noticeInfo{}
	if err := s.noticeUsers(r, query); err != nil {
		return reply{}, err
	}
	if given := commaSeparated(query["types"]...); len(given) > 0 {
		for _, kind := range given {
			if slices.Contains(noticeTypes, kind) {
				filter.Types = append(filter.Types, kind)
			}
		}
		if len(filter.Types) == 0 { // this version knows none of the types, so no notice can match
			return reply{result: list}, nil
		}
	}
	if text := query.Get("after"); text != "" {
		after, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return reply{}, badRequest(fmt.Sprintf(`invalid "after" timestamp: %v`, err))
		}
		filter.After = after
	}
	var timeout time.Duration
	if text := query.Get("timeout"); text != "" {
		var err error
		if timeout, err = time.ParseDuration(text); err != nil {
			return reply{}, badRequest(fmt.Sprintf("invalid timeout: %v", err))
		}
	}
	found := s.world.Changes.Notices(filter)
	if len(found) == 0 && timeout > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		if found = s.world.Changes.WaitNotices(ctx, filter); len(found) == 0 && r.Context().Err() != nil {
			return reply{}, badRequest("request canceled")
		}
	}
	for _, n := range found {
		list = append(list, noticeOf(n))
	}
	return reply{result: list}, nil
}

// noticeUsers checks the filters by user. They select nothing, because all notices here are for all users.
func (s *Server) noticeUsers(r *http.Request, query url.Values) error {
	if len(query["user-id"]) == 0 && len(query["users"]) == 0 {
		return nil
	}
	if p, known := peerOf(r.Context()); !known || !s.options.Root(p.uid) {
		return refuse(http.StatusForbidden, `only admins may use the "users" and "user-id" filters`)
	}
	if len(query["user-id"]) > 0 && len(query["users"]) > 0 {
		return badRequest(`cannot use both "users" and "user-id" parameters`)
	}
	for _, text := range query["users"] {
		if text != "all" {
			return badRequest(`invalid "users" filter: must be "all"`)
		}
	}
	for _, text := range query["user-id"] {
		var uid uint32
		if _, err := fmt.Sscanf(text, "%d", &uid); err != nil {
			return badRequest(fmt.Sprintf(`invalid "user-id" filter: %v`, err))
		}
	}
	return nil
}

func (s *Server) showNotice(r *http.Request) (reply, error) {
	n, found := s.world.Changes.Notice(r.PathValue("id"))
	if !found {
		return reply{}, notFound(fmt.Sprintf("cannot find notice with ID %q", r.PathValue("id")))
	}
	return reply{result: noticeOf(n)}, nil
}

// addNotice refuses to add a notice. On snapd, the snap command adds one when a snap cannot be run.
func (s *Server) addNotice(*http.Request) (reply, error) {
	return reply{}, refuse(http.StatusForbidden, "only snap command can record notices")
}
