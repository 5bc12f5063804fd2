package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// A problem is an answer to be given instead of a handler's.
type problem struct {
	serverapi.Problem
	retryAfter int   // seconds; 0 for none
	cause      error // for the log, not for the caller
}

func (p *problem) Error() string {
	if p.cause != nil {
		return p.cause.Error()
	}
	return p.Detail
}

func (p *problem) Unwrap() error { return p.cause }

func newProblem(status int, detail string) *problem {
	title := http.StatusText(status)
	if status == statusGone {
		title = "Client Closed Request"
	}
	return &problem{Problem: serverapi.Problem{Title: title, Status: status, Detail: detail}}
}

// statusGone is for the log only: the caller has left, or lost the connection, before it was answered.
const statusGone = 499

// fieldProblem says what is wrong with fields of a body or a path.
func fieldProblem(fields ...serverapi.FieldProblem) *problem {
	var texts []string
	for i := range fields {
		fields[i].Field, fields[i].Message = clip(fields[i].Field), clip(fields[i].Message)
		texts = append(texts, fields[i].Field+" "+fields[i].Message)
	}
	refused := newProblem(http.StatusUnprocessableEntity, strings.Join(texts, "; "))
	refused.Errors = fields
	return refused
}

// problemOf is the one place that maps errors to answers.
func problemOf(err error) *problem {
	var known *problem
	if errors.As(err, &known) {
		return known
	}
	var framework *echo.HTTPError
	if errors.As(err, &framework) {
		return newProblem(framework.Code, http.StatusText(framework.Code))
	}
	for _, row := range problemTable() {
		if errors.Is(err, row.kind) {
			answer := newProblem(row.status, row.detail)
			answer.retryAfter, answer.cause = row.retryAfter, err
			return answer
		}
	}
	// What is left is the store's trouble. It may pass: disks get room, databases come back.
	answer := newProblem(http.StatusServiceUnavailable, "The server cannot use its state; its log says why")
	answer.retryAfter, answer.cause = 30, err
	return answer
}

type problemRow struct {
	kind       error
	status     int
	detail     string
	retryAfter int
}

func problemTable() []problemRow {
	return []problemRow{
		{fleet.ErrUnknownDevice, http.StatusBadRequest, serverapi.NotRegistered, 0},
		{fleet.ErrExists, http.StatusServiceUnavailable, "The server drew a UUID that is taken; try again", 1},
		{fleet.ErrClosed, http.StatusServiceUnavailable, "The server is stopping", 5},
		{context.Canceled, statusGone, "The request was given up", 0},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "The server is too busy", 5},
	}
}

// answerError is Echo's HTTPErrorHandler.
func (h *handlers) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	answer := problemOf(err)
	body, err := json.Marshal(answer.Problem)
	if err != nil {
		body = []byte(`{}`) // strings and numbers do not fail
	}
	header := c.Response().Header()
	if answer.retryAfter > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(answer.retryAfter))
	}
	if answer.Status == http.StatusRequestEntityTooLarge || answer.Status == http.StatusRequestTimeout {
		header.Set(echo.HeaderConnection, "close") // the rest of the body is not read
	}
	if err := c.Blob(answer.Status, "application/problem+json", body); err != nil {
		h.log.Debug("cannot answer", "error", err, "request-id", requestID(c))
	}
}
