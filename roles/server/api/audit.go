package api

import (
	"encoding/json"
	"strings"
	"time"

	"aspects-poc/roles/server/audit"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// jsonLines is the type of an answer with a record on each line.
const jsonLines = "application/jsonl"

// listAudit lists records of the audit log.
//
//	@Summary		List the audit log
//	@Description	Who did what, from where, and what came of it, the newest first; with after, the oldest first. No record has a
//	@Description	secret. With "Accept: application/jsonl" the answer has a record on each line, and no page around them.
//	@Tags			access
//	@ID				list-audit
//	@Produce		json,application/jsonl
//	@Param			since	query		int					false	"Only records from this time on, in seconds since 1970"
//	@Param			who		query		string				false	"Only acts of this token, user, person or kind; or the whole as the command shows it, such as first (admin)"
//	@Param			thing	query		string				false	"Only acts on this thing, or on things below it, such as layers/labels or devices/UUID"
//	@Param			result	query		string				false	"Only acts with this result"	Enums(done,unchanged,refused,failed)
//	@Param			limit	query		int					false	"Most records in the answer, up to 1000"	default(100)
//	@Param			before	query		int					false	"next of the previous page"
//	@Param			after	query		int					false	"Only records with a higher number, the oldest first: 0, or next of the previous page"
//	@Success		200		{object}	serverapi.AuditPage	"The records"
//	@Failure		401		{object}	serverapi.Problem	"An operator's token is needed"
//	@Failure		403		{object}	serverapi.Problem	"The token is no admin's"
//	@Failure		422		{object}	serverapi.Problem	"A parameter is invalid"
//	@Failure		503		{object}	serverapi.Problem	"The server cannot read its store; Retry-After says when to try again"
//	@Router			/audit/ [get]
func (h *handlers) listAudit(c echo.Context) error {
	q := query{c: c}
	limit := q.limit()
	filter := audit.Filter{Before: q.place("before"), Who: q.text("who"), Thing: strings.Trim(q.text("thing"), "/")}
	if _, there := q.argument("after"); there {
		filter.Ascending, filter.After = true, q.place("after")
		if filter.Before > 0 {
			q.complain("after", "does not go with before")
		}
	}
	if since := q.place("since"); since > 0 {
		filter.Since = time.Unix(since, 0)
	}
	if result := q.text("result"); result != "" {
		var err error
		if filter.Result, err = audit.ParseResult(result); err != nil {
			q.complain("result", "is %s", err)
		}
	}
	if err := q.done(); err != nil {
		return err
	}
	list, err := h.audit.Records(c.Request().Context(), filter, limit)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	page := serverapi.AuditPage{Records: []serverapi.AuditRecord{}, Next: filter.After}
	for _, record := range list {
		page.Records = append(page.Records, record.Shape())
		page.Next = record.Number
	}
	if len(list) < limit && !filter.Ascending {
		page.Next = 0
	}
	if strings.Contains(c.Request().Header.Get(echo.HeaderAccept), jsonLines) {
		return answerLines(c, page.Records)
	}
	return answerJSON(c, page)
}

func answerLines(c echo.Context, list []serverapi.AuditRecord) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text) // ends each value with a line break
	for _, record := range list {
		if err := encoder.Encode(record); err != nil {
			return err
		}
	}
	return c.Blob(200, jsonLines, []byte(text.String()))
}
