package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"aspects-poc/roles/server/access"
	"aspects-poc/roles/server/fleet"
	"aspects-poc/roles/server/fleet/release"
	"aspects-poc/roles/serverapi"

	"github.com/labstack/echo/v4"
)

// A problem is an error that is answered as a problem detail.
type problem struct {
	serverapi.Problem
	retryAfter int               // seconds; 0 means none
	headers    func(http.Header) // adds headers; nil means none
	cause      error             // for the log, not for the caller
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

// statusGone is for the log only: the connection ended before the answer.
const statusGone = 499

// fieldProblem returns the problem of invalid fields of a body, a query or a path.
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

// problemOf maps errors to answers. No other function does.
func problemOf(err error) *problem {
	var known *problem
	if errors.As(err, &known) {
		return known
	}
	var framework *echo.HTTPError
	if errors.As(err, &framework) {
		if framework.Code == http.StatusNotFound {
			return newProblem(framework.Code, "There is nothing at this path; /docs/ shows what there is")
		}
		return newProblem(framework.Code, http.StatusText(framework.Code))
	}
	if answer := refusalOf(err); answer != nil {
		return answer
	}
	if answer := tokenProblem(err); answer != nil {
		return answer
	}
	for _, row := range problemTable() {
		if errors.Is(err, row.kind) {
			answer := newProblem(row.status, row.detail)
			answer.Type, answer.retryAfter, answer.cause = row.typ, row.retryAfter, err
			return answer
		}
	}
	// All other errors are the store's. They may pass, for example when a disk has room again.
	answer := newProblem(http.StatusServiceUnavailable, "The server cannot use its state; its log says why")
	answer.retryAfter, answer.cause = 30, err
	return answer
}

// Explain returns the API's answer to an error, so that the page uses the same words.
func Explain(err error) serverapi.Problem { return problemOf(err).Problem }

// refusalOf returns the answer to an error with details of its own; nil for another error.
func refusalOf(err error) *problem {
	var (
		refused *access.Refusal
		target  *fleet.TargetError
		layer   *fleet.LayerError
		label   *fleet.LabelError
		stale   *fleet.StaleError
		used    *fleet.UsedError
		name    *fleet.NameError
		taken   *fleet.NameTakenError
		word    *fleet.UnknownWordError
		several *fleet.AmbiguousError
		scope   *fleet.ScopeError
		during  *fleet.ReleaseError
		moved   *fleet.MoveError
		stages  *release.Error
	)
	switch {
	case errors.As(err, &refused):
		answer := newProblem(refused.Status, refused.Detail)
		answer.Type, answer.retryAfter, answer.cause = refused.Type, refused.RetryAfter, refused.Cause
		answer.headers = refused.Headers
		return answer
	case errors.As(err, &target):
		answer := newProblem(http.StatusUnprocessableEntity, target.Text)
		answer.Type = serverapi.ProblemRefusedTarget
		answer.Errors = []serverapi.FieldProblem{{Field: cmp.Or(target.Path, "config"), Message: target.Text}}
		return answer
	case errors.As(err, &layer):
		return fieldProblem(serverapi.FieldProblem{Field: layer.Field, Message: layer.Text})
	case errors.As(err, &label):
		name := strings.TrimSuffix("labels."+label.Name, ".")
		return fieldProblem(serverapi.FieldProblem{Field: name, Message: "cannot be taken: " + label.Error()})
	case errors.As(err, &name):
		return fieldProblem(serverapi.FieldProblem{Field: "name", Message: name.Error()})
	case errors.As(err, &taken):
		return newProblem(http.StatusConflict, Capital(taken.Error()))
	case errors.As(err, &word):
		return newProblem(http.StatusNotFound, Capital(word.Error()))
	case errors.As(err, &several):
		return newProblem(http.StatusConflict, Capital(several.Error()))
	case errors.As(err, &scope):
		return newProblem(http.StatusForbidden, "This concerns more than what your token is for: "+scope.Error())
	case errors.As(err, &used):
		return newProblem(http.StatusConflict, used.Error())
	case errors.As(err, &during):
		answer := newProblem(http.StatusConflict, Capital(during.Text))
		answer.Type = serverapi.ProblemReleasing
		return answer
	case errors.As(err, &stages):
		return fieldProblem(serverapi.FieldProblem{Field: strings.TrimSuffix("release."+stages.Field, "."), Message: stages.Text})
	case errors.As(err, &moved):
		return newProblem(http.StatusConflict, Capital(moved.Text))
	case errors.As(err, &stale):
		answer := newProblem(http.StatusPreconditionFailed, "The layer has changed meanwhile: "+stale.Error())
		answer.Type = serverapi.ProblemStale
		return answer
	}
	return nil
}

// Capital returns a text with a capital first letter.
func Capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if first == utf8.RuneError {
		return text
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

type problemRow struct {
	kind       error
	status     int
	typ        string
	detail     string
	retryAfter int
}

// pendingRetry is the Retry-After of a device that waits for approval, in seconds.
const pendingRetry = 60

func problemTable() []problemRow {
	return []problemRow{
		{fleet.ErrUnknownDevice, http.StatusBadRequest, "", serverapi.NotRegistered, 0},
		{fleet.ErrUnknownLayer, http.StatusNotFound, "", "There is no such layer", 0},
		{fleet.ErrUnknownSecret, http.StatusNotFound, "", "There is no such secret", 0},
		{fleet.ErrUnknownRelease, http.StatusNotFound, "", "There is no such release", 0},
		{fleet.ErrReleasing, http.StatusConflict, serverapi.ProblemReleasing, "A release is active", 0},
		{fleet.ErrNoMove, http.StatusConflict, "", "The release does not move on that", 0},
		{fleet.ErrUnknownKey, http.StatusNotFound, "", "No removed device had this key when it was revoked", 0},
		{fleet.ErrManyRevoked, http.StatusConflict, "", "The server remembers as many keys of removed, revoked devices as it may; " +
			"allow those that are no danger any more (GET and DELETE /revoked-keys/), then delete this device", 0},
		{fleet.ErrNameTaken, http.StatusConflict, "", "Another device has this name", 0},
		{fleet.ErrUnknownEntry, http.StatusNotFound, "", "The history has no such revision", 0},
		{fleet.ErrNoTarget, http.StatusUnprocessableEntity, "", "That revision changed a device's labels or name, or moved a release, and no target", 0},
		{fleet.ErrBadCursor, http.StatusUnprocessableEntity, "", "after is no place in the list: take it from next", 0},
		{fleet.ErrExists, http.StatusServiceUnavailable, "", "The server drew a UUID that is taken; try again", 1},
		{fleet.ErrPendingFull, http.StatusServiceUnavailable, "", "As many devices wait for approval as the server takes; an operator " +
			"has to approve or delete some (GET /devices/?state=pending), or run the server with a higher --max-pending. A device with " +
			"an enrolment token does not wait", pendingRetry},
		{fleet.ErrScope, http.StatusForbidden, "", "This concerns more than what your token is for", 0},
		{fleet.ErrStale, http.StatusPreconditionFailed, serverapi.ProblemStale, "It has been changed in between", 0},
		{fleet.ErrTarget, http.StatusUnprocessableEntity, serverapi.ProblemRefusedTarget, "The target cannot be taken", 0},
		{fleet.ErrPending, http.StatusForbidden, serverapi.ProblemPending, "An operator has yet to approve this device", pendingRetry},
		{fleet.ErrRevoked, http.StatusForbidden, serverapi.ProblemRevoked, "An operator has turned this device away", 0},
		{fleet.ErrClosed, http.StatusServiceUnavailable, "", "The server is stopping", 5},
		{fleet.ErrOutage, http.StatusServiceUnavailable, "", "The server cannot reach its state at present; its log says why", 5},
		{fleet.ErrUnavailable, http.StatusServiceUnavailable, "", "The server cannot reach its state at present; its log says why", 5},
		{context.Canceled, statusGone, "", "The request was given up", 0},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "", "The server is too busy", 5},
	}
}

// answerError is Echo's HTTPErrorHandler.
func (h *handlers) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	answer := problemOf(err)
	if allowed := c.Response().Header().Get(echo.HeaderAllow); answer.Status == http.StatusMethodNotAllowed && allowed != "" {
		answer.Detail = fmt.Sprintf("This path does not know %s; it knows %s", clip(c.Request().Method), allowed)
	}
	header := c.Response().Header()
	if answer.retryAfter > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(answer.retryAfter))
	}
	if answer.headers != nil {
		answer.headers(header)
	}
	if answer.Status == http.StatusRequestEntityTooLarge || answer.Status == http.StatusRequestTimeout {
		header.Set(echo.HeaderConnection, "close") // the rest of the body is not read
	}
	if h.pages.answers(c) {
		if err := h.pages.answer(c, answer.Problem); err != nil {
			h.log.Debug("cannot answer", "error", err, "request-id", requestID(c))
		}
		return
	}
	body, err := json.Marshal(answer.Problem)
	if err != nil {
		body = []byte(`{}`) // the values are strings and numbers, so there is no error
	}
	if err := c.Blob(answer.Status, "application/problem+json", body); err != nil {
		h.log.Debug("cannot answer", "error", err, "request-id", requestID(c))
	}
}
